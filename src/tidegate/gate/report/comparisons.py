"""Every metric of the candidate beside live: first those that rules are about, then the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tidegate.domain import Evaluation, Finding, Unit
from tidegate.gate.checks import Evidence
from tidegate.gate.evaluate import evaluate
from tidegate.gate.finding import finite
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, goodness
from tidegate.gate.report.record import Comparison
from tidegate.gate.rows import Rows
from tidegate.gate.simpler import NAMES
from tidegate.gate.words import plain, say
from tidegate.project import read_metric
from tidegate.stats.result import Tails

# of the interval of a change that no rule has tested: 95 % lie within
TAILS = Tails(0.025, 0.025)
LEVELS = ("min", "max")
DIFFERENCES = ("not_worse", "better")
ELSEWHERE = ("slices", "budget")


class Sides(NamedTuple):
    """What was measured of the candidate, and of live, None with nothing live."""

    candidate: Evaluation
    live: Evaluation | None


def evaluate_sides(evidence: Evidence, findings: Iterable[Finding] = ()) -> Sides:
    """Both models by the usual metrics of their task, and by those that rules are about."""
    asked = {found.metric for found in findings if found.kind in (*LEVELS, *DIFFERENCES)}
    names = tuple(sorted(name for name in asked if ":" not in name))
    live = evidence.baseline
    return Sides(_evaluated(evidence.candidate, names), _evaluated(live, names) if live else None)


def compare_sides(sides: Sides, evidence: Evidence, findings: Sequence[Finding]) -> tuple[Comparison, ...]:
    """A line for each rule, by its finding, and one for each metric that no rule is about."""
    measured = {name: _measured(name, sides, evidence) for name in sides.candidate.metrics}
    asked = compare_findings(findings, measured)
    known = {one.metric for one in asked}
    return (*asked, *(one for name, one in measured.items() if name not in known))


def compare_findings(
    findings: Iterable[Finding], measured: Mapping[str, Comparison] = {}
) -> tuple[Comparison, ...]:
    """A line for each rule but those about slices; values that a finding lacks are taken from `measured`."""
    return tuple(_of_finding(found, measured) for found in findings if found.kind not in ELSEWHERE)


def say_rule(found: Finding) -> str:
    """What the rule behind a finding asks, in words."""
    if found.kind == "simpler":
        known = "" if found.live is None else f" ({say(found.live, _unit(found))})"
        return f"better than {NAMES[found.slice]}{known}"
    if found.bound is None:
        return f"to refute: {found.null}" if found.null else found.check
    if found.kind in DIFFERENCES:
        return _say_difference(found, found.bound)
    if found.kind == "churn":
        return f"at most {found.bound:.1%} of answers change"
    if found.kind == "distribution":
        return f"moves by at most {found.bound:.1%}"
    return f"at {'least' if found.kind == 'min' else 'most'} {say(found.bound, found.unit)}"


def _evaluated(rows: Rows, names: Sequence[str]) -> Evaluation:
    found = evaluate(rows)
    more = tuple(name for name in names if name not in found.metrics and name not in found.missing)
    if not more:
        return found
    extra = evaluate(rows, more)
    return msgspec.structs.replace(
        found, metrics=found.metrics | extra.metrics, missing=found.missing | extra.missing
    )


def _measured(name: str, sides: Sides, evidence: Evidence) -> Comparison:
    metric = metric_of(read_metric(name))
    value, old = sides.candidate.metrics[name].value, evidence.baseline
    if sides.live is None or old is None or name not in sides.live.metrics:
        return Comparison(name, metric.unit, value, None, None, None, None)
    found = goodness(metric, metric.compare(evidence.candidate, old, Bar(0.0, TAILS)))
    live, low, high = sides.live.metrics[name].value, finite(found.low), finite(found.high)
    return Comparison(name, metric.unit, value, live, value - live, low, high)


def _of_finding(found: Finding, measured: Mapping[str, Comparison]) -> Comparison:
    line = _numbers(found, measured)
    return msgspec.structs.replace(
        line, rule=say_rule(found), verdict=found.verdict, severity=found.severity, n_needed=found.n_needed
    )


def _numbers(found: Finding, measured: Mapping[str, Comparison]) -> Comparison:
    """A difference stands in its finding; beside a level stands how live fares; the rest has one value."""
    name = found.check if found.kind == "distribution" else found.metric or found.check
    unit = _unit(found)
    if found.kind in DIFFERENCES:
        return Comparison(name, unit, found.candidate, found.live, found.estimate, found.low, found.high)
    if found.kind in LEVELS and found.candidate is not None and name in measured:
        return measured[name]
    value = found.estimate if found.candidate is None else found.candidate
    return Comparison(name, unit, value, None, None, None, None)


def _unit(found: Finding) -> Unit:
    """The unit of the two values; shares differ by points."""
    return "share" if found.unit == "points" else found.unit


def _say_difference(found: Finding, bound: float) -> str:
    size = f"{100 * abs(bound):.3g} pp" if found.unit == "points" else plain(abs(bound))
    side = "below" if bound < 0 else "above"
    if found.kind == "better":
        return f"more than {size} {side} live" if bound else "better than live"
    return f"at most {size} {side} live" if bound else "no worse than live"
