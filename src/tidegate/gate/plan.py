"""Labels to collect before asking: what each rule needs at the next submission, and what others need."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from tidegate.domain import Decision
from tidegate.gate.answers import changes
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import next_level, spent_on
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, Metric, lacks
from tidegate.gate.words import plain, points
from tidegate.project import Better, Churn, Gate, Max, Min, NotWorse, Quantile, Slices
from tidegate.stats.budget import Account
from tidegate.stats.power import (
    bennett_labels,
    betting_labels,
    easeml_labels,
    floor_labels,
    normal_labels,
    paired_labels,
)
from tidegate.stats.result import Result, Tails

POWERS = (0.5, 0.8, 0.9)
DISAGREEMENTS = (0.05, 0.1, 0.2)
LEAD = 0.02


class Need(NamedTuple):
    """Labeled rows that a rule needs if the world is as assumed; None when no number suffices."""

    rule: str
    assuming: str
    error: float
    power: float
    labels: int | None


class Case(NamedTuple):
    """A rule in an assumed world; `labels` takes `error` and `power`."""

    rule: str
    assuming: str
    labels: Callable[..., int | None]


def plan_labels(gate: Gate, evidence: Evidence | None, history: Sequence[Decision]) -> tuple[Need, ...]:
    """The labels with which each rule passes at 50, 80 and 90 % power, at the next submission's level.

    Worlds are the one observed, where there is evidence and the gate shows more than verdicts, and usual ones.
    With the test set's budget spent this is the first submission on a fresh one. Slices that block only when
    proven worse pass without proof and need no labels.
    """
    error = _next_error(gate, evidence, history)
    seen = evidence if gate.show == "interval" else None
    return tuple(
        Need(case.rule, case.assuming, error, power, case.labels(error=error, power=power))
        for case in _cases(gate, seen)
        for power in POWERS
    )


def plan_easeml(gate: Gate) -> tuple[Need, ...]:
    """What ease.ml/ci (Renggli et al. 2019) would ask for the same rules, for comparison; it has no power.

    Its verdict is told to the submitter, so that each of 2^H histories counts. Rules that it has no formula for
    are left out.
    """
    found = []
    for rule in gate.rule:
        if isinstance(rule, NotWorse | Better) and rule.metric == "accuracy":
            tolerance = rule.margin if isinstance(rule, NotWorse) else rule.by
            found += _easeml_paired(gate, f"{rule.__struct_config__.tag} accuracy", tolerance)
        if isinstance(rule, Min) and rule.metric == "accuracy":
            labels = easeml_labels(1 - gate.error, tolerance=LEAD, candidates=2.0**gate.submissions)
            found.append(Need("min accuracy", f"within {points(LEAD)} pp", gate.error, 0.0, labels))
    return tuple(found)


def _easeml_paired(gate: Gate, name: str, tolerance: float) -> list[Need]:
    if not tolerance:
        return [Need(name, "no margin", gate.error, 0.0, None)]
    known, histories = 1 - gate.error, 2.0**gate.submissions
    blind = easeml_labels(known, tolerance=tolerance, variables=2, candidates=histories)
    found = [Need(name, "two accuracies, Hoeffding", gate.error, 0.0, blind)]
    for share in DISAGREEMENTS:
        labels = bennett_labels(known, tolerance=tolerance, disagreement=share, candidates=histories)
        found.append(Need(name, f"{share:.1%} disagree, Bennett", gate.error, 0.0, labels))
    return found


def _next_error(gate: Gate, evidence: Evidence | None, history: Sequence[Decision]) -> float:
    fresh = Account()
    spent = spent_on(evidence.candidate.test_set, history) if evidence else fresh
    return next_level(gate, spent) or next_level(gate, fresh)


def _cases(gate: Gate, evidence: Evidence | None) -> Iterator[Case]:
    for rule in gate.rule:
        if isinstance(rule, NotWorse | Better):
            yield from _paired(rule, evidence)
        elif isinstance(rule, Min | Max):
            yield from _floor(rule, evidence)
        elif isinstance(rule, Churn):
            assuming = f"truly {rule.max / 2:.1%} change"
            yield Case("churn", assuming, partial(floor_labels, 1 - rule.max / 2, 1 - rule.max))
        elif isinstance(rule, Quantile):
            within = (1 + rule.q) / 2
            assuming = f"truly {within:.1%} are within {plain(rule.max)}"
            yield Case(f"quantile {rule.column}", assuming, partial(floor_labels, within, rule.q))
        elif (
            isinstance(rule, Slices) and rule.mode == "pass_only_if_all_proven" and rule.metric == "accuracy"
        ):
            yield from _equal(
                f"each slice of {', '.join((*rule.by, *rule.bins, *rule.where))}", rule.margin, ()
            )


def _paired(rule: NotWorse | Better, evidence: Evidence | None) -> Iterator[Case]:
    """`not_worse` for a candidate as good as live, `better` for one some points above the bar."""
    name = f"{rule.__struct_config__.tag} {rule.metric}"
    if rule.metric != "accuracy":
        yield from _seen_difference(rule, name, evidence)
    elif isinstance(rule, NotWorse):
        yield from _equal(name, rule.margin, _observed(evidence))
    else:
        yield from _ahead(name, rule.by, _observed(evidence))


def _equal(name: str, margin: float, observed: Sequence[float]) -> Iterator[Case]:
    for share in (*observed, *DISAGREEMENTS):
        seen = " as observed" if share in observed else ""
        labels = partial(paired_labels, share, margin=margin, shift=0.0)
        yield Case(name, f"{share:.1%} disagree{seen}, equally good", labels)


def _ahead(name: str, by: float, observed: Sequence[float]) -> Iterator[Case]:
    shift = LEAD + by
    for share in (*observed, *DISAGREEMENTS):
        if share >= shift:
            seen = " as observed" if share in observed else ""
            labels = partial(paired_labels, share, margin=-by, shift=shift)
            yield Case(name, f"{share:.1%} disagree{seen}, truly {points(shift)} pp", labels)


def _observed(evidence: Evidence | None) -> tuple[float, ...]:
    """The disagreement with live on these rows, if anything is live."""
    if evidence is None or evidence.baseline is None:
        return ()
    gained, lost, n = changes(evidence.candidate, evidence.baseline)
    return (max(gained + lost, 1) / n,)


def _seen_difference(rule: NotWorse | Better, name: str, evidence: Evidence | None) -> Iterator[Case]:
    """Other metrics have no usual spread: theirs is planned from the rows there are."""
    if evidence is None or evidence.baseline is None:
        return
    metric = metric_of(rule.named)
    if lacks(metric.name, evidence.candidate) or lacks(metric.name, evidence.baseline):
        return
    found = metric.compare(evidence.candidate, evidence.baseline, Bar(0.0, Tails()))
    gap = rule.margin if isinstance(rule, NotWorse) else found.estimate - rule.by
    truly = "equally good" if isinstance(rule, NotWorse) else f"truly {found.estimate:+.4g}"
    yield Case(name, f"spread as observed, {truly}", partial(_by_spread, found, gap))


def _by_spread(found: Result, gap: float, *, error: float, power: float) -> int | None:
    if gap <= 0 or not found.deviation:
        return None
    needed = betting_labels if found.method == "betting" else normal_labels
    return needed(found.deviation, gap=gap, error=error, power=power)


def _floor(rule: Min | Max, evidence: Evidence | None) -> Iterator[Case]:
    metric, name = metric_of(rule.named), f"{rule.__struct_config__.tag} {rule.metric}"
    if rule.metric == "accuracy":
        rate = metric.measure(evidence.candidate) if evidence else (rule.value + 1) / 2
        seen = " as observed" if evidence else ""
        yield Case(name, f"accuracy {rate:.1%}{seen}", partial(floor_labels, rate, rule.value))
    elif evidence is not None and not lacks(metric.name, evidence.candidate):
        yield _seen_floor(rule, metric, name, evidence)


def _seen_floor(rule: Min | Max, metric: Metric, name: str, evidence: Evidence) -> Case:
    found = metric.prove(evidence.candidate, Bar(metric.sign * rule.value, Tails()))
    gap = found.estimate - metric.sign * rule.value
    value = metric.sign * found.estimate
    return Case(name, f"{rule.metric} {plain(value)} as observed", partial(_by_spread, found, gap))
