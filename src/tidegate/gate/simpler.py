"""Whether the simplest models there are would not do as well: the dummy from rows alone, others if trained."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tidegate.domain import Consequence, Finding
from tidegate.gate.answers import changes
from tidegate.gate.finding import Case, Terms, conclude, note
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, goodness
from tidegate.gate.rows import Rows, count
from tidegate.project import Simpler, read_metric

NAMES = {
    "dummy": "always giving the most frequent answer",
    "linear": "a linear model",
    "tree": "a tree of depth 3",
}


class Challenger(NamedTuple):
    """A simple model's rows on the same test set; None, and why, where it could not be trained."""

    rows: Rows | None
    why: str = ""


def judge_simpler(
    rule: Simpler, candidate: Rows, challengers: Mapping[str, Challenger], *, terms: Terms
) -> tuple[Finding, ...]:
    """One finding a challenger: whether the candidate is proven better than it."""
    found = [judge_challenger(name, candidate, _of(name, candidate, challengers), rule=rule, terms=terms)
             for name in rule.than]  # fmt: skip
    return tuple(found)


def beats_dummy(candidate: Rows, terms: Terms) -> Finding:
    """The comparison with the dummy as a rule that blocks: stands in for the live model while there is none."""
    rule = Simpler(than=("dummy",), severity="block")
    return judge_simpler(rule, candidate, {}, terms=terms)[0]


def judge_challenger(
    name: str, candidate: Rows, challenger: Challenger, *, rule: Simpler, terms: Terms
) -> Finding:
    """Whether the candidate is proven better than one challenger, by accuracy or by the mean absolute error."""
    text = "mae" if candidate.task == "regression" else "accuracy"
    severity: Consequence = rule.severity
    metric = metric_of(read_metric(text))
    null = f"the {text} is no better than that of {NAMES[name]}"
    case = Case("simpler", text, part=name, null=null, severity=severity)
    if challenger.rows is None:
        return note(case, "underpowered", f"{NAMES[name]} was not judged: {challenger.why}")
    other = challenger.rows
    found = metric.compare(candidate, other, Bar(rule.by, terms.tails))
    case = case._replace(values=(metric.measure(candidate), metric.measure(other)))
    if text == "accuracy":
        gained, lost, _ = changes(candidate, other)
        case = case._replace(counts={"gained": gained, "lost": lost}, unit="points")
    bound = metric.sign * rule.by
    return conclude(case, goodness(metric, found), bound, terms=terms, is_below=metric.sign < 0)


def dummy_of(rows: Rows) -> Rows:
    """The same rows always given the most frequent truth, the middle one of numbers."""
    if rows.classes:
        said = np.full(count(rows), np.bincount(rows.truth).argmax(), dtype=rows.truth.dtype)
    else:
        said = np.full(count(rows), np.median(rows.truth))
    return rows._replace(prediction=said, scores=None)


def _of(name: str, candidate: Rows, challengers: Mapping[str, Challenger]) -> Challenger:
    if name == "dummy":
        return Challenger(dummy_of(candidate))
    return challengers.get(name, Challenger(None, "no features beside the evaluation rows"))
