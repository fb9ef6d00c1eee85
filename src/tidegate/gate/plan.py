"""Labels to collect before asking: what each rule needs at the next submission, and what others need."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from tidegate.domain import Decision
from tidegate.gate.checks import Evidence, claim_of
from tidegate.gate.decide import Spent, next_level, spent_on
from tidegate.gate.evaluate import evaluate, test_set_digest
from tidegate.gate.pairs import changes, points, tally
from tidegate.project import Better, Churn, Gate, Min, NotWorse
from tidegate.stats.power import floor_labels, paired_labels

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

    Worlds are the one observed, where there is evidence, and usual ones. With the test set's budget
    spent this is the first submission on a fresh one. Slices pass without proof and need no labels.
    """
    fresh = Spent(0, 0)
    spent = spent_on(test_set_digest(evidence.candidate), history) if evidence else fresh
    error = next_level(gate, spent) or next_level(gate, fresh)
    return tuple(
        Need(case.rule, case.assuming, error, power, case.labels(error=error, power=power))
        for case in _cases(gate, evidence)
        for power in POWERS
    )


def _cases(gate: Gate, evidence: Evidence | None) -> Iterator[Case]:
    for rule in gate.rule:
        if isinstance(rule, NotWorse | Better):
            yield from _paired(rule, _observed(evidence))
        elif isinstance(rule, Min):
            yield _floor(rule, evidence)
        elif isinstance(rule, Churn):
            assuming = f"truly {rule.max / 2:.1%} change"
            yield Case("churn", assuming, partial(floor_labels, 1 - rule.max / 2, 1 - rule.max))


def _observed(evidence: Evidence | None) -> tuple[float, ...]:
    """The disagreement with live on these rows, if anything is live."""
    if evidence is None or evidence.baseline is None:
        return ()
    return (tally(changes(evidence.candidate, evidence.baseline)).disagreement,)


def _paired(rule: NotWorse | Better, observed: Sequence[float]) -> Iterator[Case]:
    """`not_worse` for a candidate as good as live, `better` for one some points above the bar."""
    claim = claim_of(rule)
    shift = 0.0 if claim.equal else LEAD - claim.margin
    truly = "equally good" if claim.equal else f"truly {points(shift)} pp"
    for share in (*observed, *DISAGREEMENTS):
        if share >= abs(shift):
            seen = " as observed" if share in observed else ""
            labels = partial(paired_labels, share, margin=claim.margin, shift=shift)
            yield Case(claim.check, f"{share:.1%} disagree{seen}, {truly}", labels)


def _floor(rule: Min, evidence: Evidence | None) -> Case:
    rate = evaluate(evidence.candidate).metrics[rule.metric].value if evidence else (rule.value + 1) / 2
    seen = " as observed" if evidence else ""
    return Case(
        f"min {rule.metric}", f"{rule.metric} {rate:.1%}{seen}", partial(floor_labels, rate, rule.value)
    )
