"""One rule and the evidence in, findings out: interval, verdict, rows needed, and why in a sentence.

An interval can be read as its verdict: passing needs proof at this submission's level, blocking at
the gate's `error`, and each end of the interval is drawn at the error of the proof on its side.
"""

from collections import Counter
from typing import NamedTuple

from tidegate.domain import Finding, Verdict, agree
from tidegate.gate.evaluate import Rows, right
from tidegate.gate.pairs import Pair, changes, interval, p_not_worse, points, sentence, tally
from tidegate.gate.slices import judge_slices
from tidegate.project import Better, Churn, Min, NotWorse, Rule, Slices
from tidegate.stats.exact import Interval, clopper_pearson
from tidegate.stats.power import floor_labels, paired_labels


class Evidence(NamedTuple):
    """The candidate's rows and the live model's, matched to them; None when nothing is live."""

    candidate: Rows
    baseline: Rows | None


class Terms(NamedTuple):
    """What proof takes: `level` to pass, `error` to block; `power` is what labels are planned for."""

    level: float
    error: float
    power: float


class Claim(NamedTuple):
    """What a comparison must prove: a difference above `-margin`.

    `equal` plans labels for a candidate as good as the other, else for the difference observed.
    """

    check: str
    margin: float
    equal: bool


def check(rule: Rule, evidence: Evidence, terms: Terms) -> tuple[Finding, ...]:
    """What one rule finds; nothing when it compares with the live model and nothing is live.

    Raises UsageError for a slice column that the evaluation rows lack.
    """
    candidate, baseline = evidence
    if isinstance(rule, Min):
        return (_floor(rule, candidate, terms),)
    if baseline is None:
        return ()
    if isinstance(rule, Slices):
        return judge_slices(rule, candidate, baseline, error=terms.error)
    if isinstance(rule, Churn):
        return (_churn(rule, candidate, baseline, terms=terms),)
    return (_compare(claim_of(rule), tally(changes(candidate, baseline)), terms),)


def beats_dummy(candidate: Rows, terms: Terms) -> Finding:
    """Whether the candidate is proven better than always answering the most frequent truth.

    Stands in for the comparison with the live model while nothing is live.
    """
    counts = Counter(candidate.truth)
    answer = min(counts, key=lambda truth: (-counts[truth], truth))
    dummy = candidate._replace(prediction=(answer,) * len(candidate.ids))
    return _compare(Claim("beats_dummy", 0.0, equal=False), tally(changes(candidate, dummy)), terms)


def claim_of(rule: NotWorse | Better) -> Claim:
    """A rule about the live model as the claim it makes."""
    if isinstance(rule, NotWorse):
        return Claim(f"not_worse {rule.metric}", rule.margin, equal=True)
    return Claim(f"better {rule.metric}", -rule.by, equal=False)


def _compare(claim: Claim, pair: Pair, terms: Terms) -> Finding:
    p = p_not_worse(pair, margin=claim.margin, error=terms.level)
    span = Interval(interval(pair, error=terms.level).low, interval(pair, error=terms.error / 2).high)
    verdict = _verdict(proven=p <= terms.level, refuted=span.high < -claim.margin)
    needed = _labels(claim, pair, terms) if verdict == "underpowered" else None
    because = f"{sentence(pair, span)}, must be above {points(-claim.margin)} pp"
    return Finding(claim.check, verdict, pair.difference, span.low, span.high, pair.n, needed, because)


def _labels(claim: Claim, pair: Pair, terms: Terms) -> int | None:
    """The labels that would settle it; None when the difference observed, if true, never would in practice.

    An equal candidate may need no more rows than these: then this one looks worse, and only the
    difference observed tells how many it needs.
    """
    if claim.equal and claim.margin > 0:
        needed = _paired_labels(claim, pair, terms, shift=0.0)
        if needed is None or needed > pair.n:
            return needed
    if _is_out_of_reach(pair.disagreement, pair.difference + claim.margin, pair.n):
        return None
    return _paired_labels(claim, pair, terms, shift=pair.difference)


def _paired_labels(claim: Claim, pair: Pair, terms: Terms, *, shift: float) -> int | None:
    share = max(pair.disagreement, abs(shift))
    return paired_labels(share, margin=claim.margin, error=terms.level, power=terms.power, shift=shift)


def _is_out_of_reach(variance: float, gap: float, n: int) -> bool:
    """Whether proving a gap this small takes some hundred times the rows there are, or cannot be done."""
    return gap <= 0 or variance > 5 * n * gap**2


def _floor(rule: Min, rows: Rows, terms: Terms) -> Finding:
    n, hits = len(rows.ids), sum(right(rows))
    low = clopper_pearson(hits, n, error=terms.level, side="lower").low
    high = clopper_pearson(hits, n, error=terms.error, side="upper").high
    verdict = _verdict(proven=low >= rule.value, refuted=high < rule.value)
    needed = _share_labels(hits / n, rule.value, n, terms=terms) if verdict == "underpowered" else None
    seen = f"{rule.metric} {hits / n:.1%}, interval [{low:.1%}, {high:.1%}], must reach {rule.value:.1%}"
    because = f"{hits:,} right of {n:,} rows: {seen}"
    return Finding(f"min {rule.metric}", verdict, hits / n, low, high, n, needed, because)


def _churn(rule: Churn, candidate: Rows, baseline: Rows, *, terms: Terms) -> Finding:
    pairs = zip(candidate.prediction, baseline.prediction, strict=True)
    n, moved = len(candidate.ids), sum(not agree(new, old) for new, old in pairs)
    low = clopper_pearson(moved, n, error=terms.error, side="lower").low
    high = clopper_pearson(moved, n, error=terms.level, side="upper").high
    verdict = _verdict(proven=high <= rule.max, refuted=low > rule.max)
    stayed = 1 - moved / n
    needed = _share_labels(stayed, 1 - rule.max, n, terms=terms) if verdict == "underpowered" else None
    seen = f"churn {moved / n:.1%}, interval [{low:.1%}, {high:.1%}], must stay within {rule.max:.1%}"
    because = f"{moved:,} of {n:,} answers changed: {seen}"
    return Finding("churn", verdict, moved / n, low, high, n, needed, because)


def _share_labels(rate: float, value: float, n: int, *, terms: Terms) -> int | None:
    if _is_out_of_reach(rate * (1 - rate), rate - value, n):
        return None
    return floor_labels(rate, value, error=terms.level, power=terms.power)


def _verdict(*, proven: bool, refuted: bool) -> Verdict:
    if proven:
        return "pass"
    return "block" if refuted else "underpowered"
