"""From the result of a test to the finding that people read: verdict, numbers, labels needed, a sentence.

An interval can be read as its verdict: passing needs proof at this submission's level, blocking at the gate's
`error`, and each end of the interval is drawn at the error of the proof on its side.
"""

import math
from typing import NamedTuple

from tidegate.domain import Consequence, Finding, Unit, Verdict
from tidegate.gate.words import say, say_difference, say_interval
from tidegate.stats.power import betting_labels, floor_labels, normal_labels, paired_labels
from tidegate.stats.result import Result, Tails

CLOSE = 5


class Terms(NamedTuple):
    """What proof takes: `level` to pass, `error` to block; `power` is what labels are planned for."""

    level: float
    error: float
    power: float

    @property
    def tails(self) -> Tails:
        """The errors of an interval's ends."""
        return Tails(self.level, self.error)


class Case(NamedTuple):
    """What a finding is about, beside its numbers.

    `kind` and `metric` name the rule, `part` a slice, `null` is what the test tried to refute. `is_open`
    lets inconclusive rows pass (`fn_free`). `values` are the candidate's and the live model's, `counts` what
    the test was a function of.
    """

    kind: str
    metric: str = ""
    part: str = ""
    null: str = ""
    severity: Consequence = "block"
    is_open: bool = False
    unit: Unit = "number"
    values: tuple[float | None, float | None] = (None, None)
    counts: dict[str, int] = {}  # noqa: RUF012 - a default of a frozen record

    @property
    def check(self) -> str:
        """The name of the finding: kind, then metric or slice."""
        return f"{self.kind} {self.part or self.metric}".strip()


def conclude(case: Case, found: Result, bound: float, *, terms: Terms, is_below: bool = False) -> Finding:
    """The finding of a claim that a value lies above `bound`, or below it.

    `found.p` is the claim's own p-value; the verdict is the claim's proof or its refutation.
    """
    refuted = found.low > bound if is_below else found.high < bound
    verdict = verdict_of(proven=found.p <= terms.level, refuted=refuted, is_open=case.is_open)
    return Finding(
        case.check,
        verdict,
        finite(found.estimate),
        finite(found.low),
        finite(found.high),
        found.n,
        None,
        because=_sentence(case, found, bound, is_below=is_below),
        guarantee=found.guarantee,
        severity=case.severity,
        kind=case.kind,
        metric=case.metric,
        slice=case.part,
        unit=case.unit,
        candidate=case.values[0],
        live=case.values[1],
        bound=bound,
        error=terms.level,
        p=found.p,
        log_e=None if found.log_e is None else finite(found.log_e),
        method=found.method,
        null=case.null,
        counts=case.counts,
    )


def note(case: Case, verdict: Verdict, because: str, *, n: int = 0) -> Finding:
    """A finding without a test: something that could not be judged, or needs no chance."""
    return Finding(
        case.check, verdict, None, None, None, n, None, because,
        severity=case.severity, kind=case.kind, metric=case.metric, slice=case.part, unit=case.unit, null=case.null,
    )  # fmt: skip


def verdict_of(*, proven: bool, refuted: bool, is_open: bool = False) -> Verdict:
    """Pass what is proven, block what is refuted; else `underpowered`, or a pass where the mode is open."""
    if proven:
        return "pass"
    if refuted:
        return "block"
    return "pass" if is_open else "underpowered"


def finite(value: float) -> float | None:
    """The value, None where it is infinite or unknown: JSON has neither."""
    return float(value) if math.isfinite(value) else None


def labels_needed(found: Result, gap: float, *, terms: Terms) -> int | None:
    """Rows that would prove a value this far above its bound; None when it takes some hundred times these rows.

    `gap` is the true distance to plan for, 0 or less when what was seen, if true, proves nothing.
    """
    spread = found.deviation or 0.0
    if gap <= 0 or spread**2 > CLOSE * found.n * gap**2:
        return None
    if found.method == "betting":
        return betting_labels(spread, gap=gap, error=terms.level, power=terms.power)
    return normal_labels(max(spread, gap / 10), gap=gap, error=terms.level, power=terms.power)


def share_labels(rate: float, value: float, n: int, *, terms: Terms) -> int | None:
    """The same for a proportion that must reach a value."""
    gap = rate - value
    if gap <= 0 or rate * (1 - rate) > CLOSE * n * gap**2:
        return None
    return floor_labels(rate, value, error=terms.level, power=terms.power)


def paired_needed(counts: tuple[int, int, int], margin: float, *, terms: Terms, is_equal: bool) -> int | None:
    """The same for two models on the same rows; `is_equal` plans for one as good as the other first.

    An equal candidate may need no more rows than these: then this one looks worse, and only the difference
    observed tells how many it needs.
    """
    gained, lost, n = counts
    disagreement, difference = max(gained + lost, 1) / n, (gained - lost) / n

    def labels(shift: float) -> int | None:
        share = max(disagreement, abs(shift))
        return paired_labels(share, margin=margin, error=terms.level, power=terms.power, shift=shift)

    if is_equal and margin > 0:
        needed = labels(0.0)
        if needed is None or needed > n:
            return needed
    gap = difference + margin
    return None if gap <= 0 or disagreement > CLOSE * n * gap**2 else labels(difference)


def _sentence(case: Case, found: Result, bound: float, *, is_below: bool) -> str:
    """`31 better and 12 worse of 898 rows: difference +2.1 pp, interval [-0.2, +4.4] pp, must be above ...`."""
    must = _must(case, bound, is_below=is_below)
    interval = f"interval {say_interval(found.low, found.high, case.unit)}"
    candidate, live = case.values
    if {"gained", "lost"} <= case.counts.keys():
        rows = f"{case.counts['gained']} better and {case.counts['lost']} worse of {found.n:,} rows"
        return f"{rows}: difference {say(found.estimate, case.unit)}, {interval}, {must}"
    if live is not None and candidate is not None:
        seen = f"{case.metric} {say(candidate, 'number')}, live {say(live, 'number')} on {found.n:,} rows"
        change = f"change {say_difference(found.estimate, case.unit)}"
        return f"{seen}: {change}, {interval}, {must}"
    if "right" in case.counts:
        head = f"{case.counts['right']:,} right of {found.n:,} rows"
    elif "changed" in case.counts:
        head = f"{case.counts['changed']:,} of {found.n:,} answers changed"
    else:
        head = f"{found.n:,} rows"
    name = case.metric or case.kind
    return f"{head}: {name} {say(found.estimate, case.unit)}, {interval}, {must}"


def _must(case: Case, bound: float, *, is_below: bool) -> str:
    if case.unit == "points" or case.values[1] is not None:
        word = "below" if is_below else "above"
        return f"must be {word} {say(bound, case.unit) if case.unit == 'points' else say_difference(bound, case.unit)}"
    return f"must {'stay within' if is_below else 'reach'} {say(bound, case.unit)}"
