"""One rule and the evidence in, findings out: interval, verdict, rows needed, and why in a sentence."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from tidegate.domain import Finding
from tidegate.gate.answers import changes
from tidegate.gate.artifact import Artifact, judge_artifact
from tidegate.gate.distribution import judge_distribution
from tidegate.gate.finding import (
    Case,
    Terms,
    conclude,
    labels_needed,
    paired_needed,
    share_labels,
)
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, Metric, goodness, require
from tidegate.gate.rows import Rows, count, numbers_of, right
from tidegate.gate.simpler import Challenger, judge_simpler
from tidegate.gate.slices import judge_slices
from tidegate.gate.suspects import judge_labels
from tidegate.gate.words import plain
from tidegate.project import (
    Better,
    Churn,
    Distribution,
    Labels,
    Max,
    Memory,
    Min,
    NotWorse,
    Quantile,
    Rule,
    Simpler,
    Size,
    Slices,
)
from tidegate.stats.quantile import prove_quantile_below
from tidegate.stats.result import Result, complement
from tidegate.stats.shares import prove_share


class Evidence(NamedTuple):
    """What a gate judges: the candidate's rows, the live model's in the same order (None when nothing is live).

    `challengers` are simple models on the same rows, `artifact` is the candidate's file.
    """

    candidate: Rows
    baseline: Rows | None
    challengers: Mapping[str, Challenger] = {}
    artifact: Artifact | None = None


def check(rule: Rule, evidence: Evidence, terms: Terms) -> tuple[Finding, ...]:
    """What one rule finds; nothing when it compares with the live model and nothing is live.

    Raises UsageError for rows that the rule cannot be judged on.
    """
    candidate, live = evidence.candidate, evidence.baseline
    if isinstance(rule, Min | Max):
        return (_floor(rule, candidate, terms),)
    if isinstance(rule, Quantile):
        return (_quantile(rule, candidate, terms),)
    if isinstance(rule, Size | Memory):
        return (judge_artifact(rule, evidence.artifact),)
    if isinstance(rule, Simpler):
        return judge_simpler(rule, candidate, evidence.challengers, terms=terms)
    if isinstance(rule, Labels):
        return (judge_labels(rule, candidate, terms=terms),)
    return () if live is None else _compared(rule, candidate, live, terms)


def _compared(
    rule: NotWorse | Better | Slices | Churn | Distribution, new: Rows, old: Rows, terms: Terms
) -> tuple[Finding, ...]:
    if isinstance(rule, Slices):
        return judge_slices(rule, new, old, terms=terms)
    if isinstance(rule, Churn):
        return (_churn(rule, new, old, terms=terms),)
    if isinstance(rule, Distribution):
        return (judge_distribution(rule, new, old, terms=terms),)
    return (_compare(rule, new, old, terms=terms),)


def _compare(rule: NotWorse | Better, new: Rows, old: Rows, *, terms: Terms) -> Finding:
    metric = metric_of(rule.named)
    require(metric.name, new)
    require(metric.name, old)
    margin = rule.margin if isinstance(rule, NotWorse) else -rule.by
    found = metric.compare(new, old, Bar(-margin, terms.tails))
    case = _case(rule, metric, null=_null(rule, metric))
    case = case._replace(values=(metric.measure(new), metric.measure(old)))
    is_accuracy = metric.name.text == "accuracy"
    if is_accuracy:
        gained, lost, _ = changes(new, old)
        case = case._replace(counts={"gained": gained, "lost": lost}, unit="points")
    elif metric.unit == "share":
        case = case._replace(unit="points")
    bound = -margin * metric.sign
    finding = conclude(case, goodness(metric, found), bound, terms=terms, is_below=metric.sign < 0)
    if finding.verdict != "underpowered":
        return finding
    is_equal = isinstance(rule, NotWorse)
    if is_accuracy:
        needed = paired_needed(changes(new, old), margin, terms=terms, is_equal=is_equal)
    else:
        needed = _difference_labels(found, margin, terms=terms, is_equal=is_equal)
    return _needing(finding, needed)


def _difference_labels(found: Result, margin: float, *, terms: Terms, is_equal: bool) -> int | None:
    if is_equal and margin > 0:
        needed = labels_needed(found._replace(n=10**12), margin, terms=terms)
        if needed is None or needed > found.n:
            return needed
    return labels_needed(found, found.estimate + margin, terms=terms)


def _floor(rule: Min | Max, rows: Rows, terms: Terms) -> Finding:
    metric = metric_of(rule.named)
    require(metric.name, rows)
    found = metric.prove(rows, Bar(metric.sign * rule.value, terms.tails))
    case = _case(
        rule, metric, null=f"the {metric.name.text} is {_beyond(metric)} {_value(metric, rule.value)}"
    )
    is_accuracy = metric.name.text == "accuracy"
    if is_accuracy:
        case = case._replace(counts={"right": int(right(rows).sum())})
    case = case._replace(values=(metric.measure(rows), None), unit=metric.unit)
    finding = conclude(case, goodness(metric, found), rule.value, terms=terms, is_below=metric.sign < 0)
    if finding.verdict != "underpowered":
        return finding
    if is_accuracy:
        return _needing(finding, share_labels(found.estimate, rule.value, found.n, terms=terms))
    return _needing(finding, labels_needed(found, found.estimate - metric.sign * rule.value, terms=terms))


def _churn(rule: Churn, new: Rows, old: Rows, *, terms: Terms) -> Finding:
    moved = (
        int((np.abs(new.prediction - old.prediction) > rule.tolerance).sum())
        if not new.classes
        else int((new.prediction != old.prediction).sum())
    )
    n = count(new)
    stayed = prove_share(n - moved, n, above=1 - rule.max, tails=terms.tails)
    null = f"more than {rule.max:.1%} of the answers change"
    case = Case("churn", null=null, severity=rule.severity, is_open=rule.mode == "fn_free", unit="share")
    case = case._replace(counts={"changed": moved})
    finding = conclude(case, complement(stayed), rule.max, terms=terms, is_below=True)
    if finding.verdict != "underpowered":
        return finding
    return _needing(finding, share_labels(1 - moved / n, 1 - rule.max, n, terms=terms))


def _quantile(rule: Quantile, rows: Rows, terms: Terms) -> Finding:
    """A quantile is below its limit where enough rows are: the rows needed are those of that share."""
    values = numbers_of(rows, rule.column)
    found = prove_quantile_below(values, q=rule.q, limit=rule.max, tails=terms.tails)
    name = f"{rule.column} q{rule.q:g}"
    null = f"the {rule.q:g} quantile of {rule.column} is above {plain(rule.max)}"
    case = Case("quantile", name, null=null, severity=rule.severity, is_open=rule.mode == "fn_free")
    finding = conclude(case, found, rule.max, terms=terms, is_below=True)
    if finding.verdict != "underpowered":
        return finding
    within = float((values <= rule.max).mean())
    return _needing(finding, share_labels(within, rule.q, found.n, terms=terms))


def _case(rule: Min | Max | NotWorse | Better, metric: Metric, *, null: str) -> Case:
    kind = str(rule.__struct_config__.tag)
    return Case(
        kind,
        metric.name.text,
        null=null,
        severity=rule.severity,
        is_open=rule.mode == "fn_free",
        unit=metric.unit,
    )


def _null(rule: NotWorse | Better, metric: Metric) -> str:
    """What the comparison tries to refute, in words."""
    worse, better = ("above", "below") if metric.sign < 0 else ("below", "above")
    if isinstance(rule, NotWorse):
        return f"the {metric.name.text} is {_gap(metric, rule.margin)} or more {worse} live"
    return f"the {metric.name.text} is at most {_gap(metric, rule.by)} {better} live"


def _gap(metric: Metric, size: float) -> str:
    return f"{100 * size:.3g} pp" if metric.unit == "share" else plain(size)


def _beyond(metric: Metric) -> str:
    return "above" if metric.sign < 0 else "below"


def _value(metric: Metric, value: float) -> str:
    return f"{value:.1%}" if metric.unit == "share" else plain(value)


def _needing(finding: Finding, needed: int | None) -> Finding:
    return msgspec.structs.replace(finding, n_needed=needed)
