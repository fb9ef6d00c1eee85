"""Every metric beside live: rules first, each by its own finding, then what no rule is about."""

import numpy as np
import pytest

from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide, hide
from tidegate.gate.read import Wanted
from tidegate.gate.report.comparisons import compare_findings, compare_sides, evaluate_sides
from tidegate.project import Better, Churn, Distribution, Gate, Max, Min, NotWorse, Simpler, Size, Slices


def compared(gate: Gate, evidence: Evidence):
    findings = decide(gate, evidence, (), now=0.0, commit="").findings
    return compare_sides(evaluate_sides(evidence, findings), evidence, findings)


def by_rule(lines):
    return {line.rule: line for line in lines if line.rule}


def test_a_rule_is_told_in_words_with_its_verdict(evidence):
    rules = (NotWorse(margin=0.02), Better(), Min(value=0.8), Churn(max=0.2), Distribution(), Size(max=10))
    lines = by_rule(compared(Gate(rule=rules), evidence(90, 5, 898)))
    assert {rule: (line.metric, line.verdict) for rule, line in lines.items()} == {
        "at most 2 pp below live": ("accuracy", "pass"),
        "better than live": ("accuracy", "pass"),
        "at least 80.0%": ("accuracy", "pass"),
        "at most 20.0% of answers change": ("churn", "pass"),
        "moves by at most 5.0%": ("distribution prediction", "pass"),
        "to refute: the model's size is above 10 B": ("size", "underpowered"),
    }


def test_a_difference_is_that_of_its_finding_and_a_level_gets_live_beside_it(evidence):
    lines = by_rule(compared(Gate(rule=(NotWorse(margin=0.02), Min(value=0.8))), evidence(90, 5, 898)))
    asked, level = lines["at most 2 pp below live"], lines["at least 80.0%"]
    assert (asked.unit, level.unit) == ("share", "share")
    assert (asked.candidate, asked.live) == (level.candidate, level.live) == (893 / 898, 808 / 898)
    assert asked.change == pytest.approx(85 / 898) == level.change
    assert asked.low < level.low < level.change < level.high <= asked.high + 0.05


def test_other_metrics_have_no_rule_and_no_verdict(evidence):
    lines = compared(Gate(rule=(NotWorse(),)), evidence(90, 5, 898))
    assert [line.metric for line in lines] == ["accuracy", "balanced_accuracy", "f1", "precision", "recall"]
    assert all((line.rule, line.verdict) == ("", None) for line in lines[1:])
    assert all(line.low < line.change < line.high for line in lines)


def test_with_nothing_live_there_is_nothing_to_compare_with(evidence):
    lines = compared(Gate(rule=(Min(value=0.5), Simpler())), Evidence(evidence(0, 20, 898).candidate, None))
    assert all((line.live, line.change, line.low, line.high) == (None,) * 4 for line in lines)
    assert "better than always giving the most frequent answer (50.0%)" in by_rule(lines)


def test_the_labels_that_are_missing_stand_with_the_rule(evidence):
    (line,) = by_rule(compared(Gate(rule=(NotWorse(margin=0.02),)), evidence(20, 20, 898))).values()
    assert line.verdict == "underpowered"
    assert line.n_needed > 898


def test_slices_stand_elsewhere(evidence):
    lines = compared(Gate(rule=(Slices(by=("group",)),)), evidence(10, 80, 898))
    assert not by_rule(lines)


def test_a_metric_that_only_a_rule_names_is_measured_of_both(evidence):
    lines = by_rule(compared(Gate(rule=(Min(metric="f1_micro", value=0.5),)), evidence(90, 5, 898)))
    line = lines["at least 50.0%"]
    assert (line.metric, line.candidate, line.live) == ("f1_micro", 893 / 898, 808 / 898)


def test_losses_are_worse_above(read):
    data = "id,truth,prediction\n" + "".join(f"{n},{n},{{}}\n" for n in range(200))
    rows = [
        read(data.format(*(n + off for n in range(200))), wanted=Wanted("regression")) for off in (0.5, 1.0)
    ]
    gate = Gate(rule=(NotWorse(metric="mae", margin=0.25), Max(metric="mae", value=2)))
    lines = by_rule(compared(gate, Evidence(*rows)))
    line = lines["at most 0.25 above live"]
    assert (line.unit, line.candidate, line.live, line.change) == ("number", 0.5, 1.0, -0.5)
    assert lines["at most 2"].change == pytest.approx(-0.5)


def test_of_hidden_findings_only_verdicts_are_left(evidence):
    rules = (NotWorse(margin=0.02), Min(value=0.8), Churn(max=0.2), Simpler(than=("dummy",)))
    found = decide(Gate(rule=rules), evidence(90, 5, 898), (), now=0.0, commit="").findings
    lines = compare_findings([hide(one) for one in found])
    assert [line.verdict for line in lines] == ["pass"] * 4
    numbers = ("candidate", "live", "change", "low", "high", "n_needed")
    assert all(getattr(line, name) is None for line in lines for name in numbers)
    assert lines[-1].rule == "better than always giving the most frequent answer"


def test_a_score_that_only_the_candidate_has_is_not_compared(read):
    text = "id,truth,prediction{}\n" + "".join(f"{n},{n % 2},{n % 2}{{}}\n" for n in range(100))
    scored = read(
        text.format(",score", *(f",{n % 2}" for n in range(100))), wanted=Wanted("binary", scores=True)
    )
    bare = read(text.format("", *("" for _ in range(100))), wanted=Wanted("binary", scores=True))
    lines = {line.metric: line for line in compared(Gate(rule=(Min(value=0.5),)), Evidence(scored, bare))}
    assert (lines["auc"].candidate, lines["auc"].live, lines["auc"].change) == (1.0, None, None)
    assert np.isfinite(lines["f1"].change)
