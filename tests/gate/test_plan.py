"""The label planner: exact numbers for the next submission, for the world observed and for usual ones."""

import pytest

from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide
from tidegate.gate.plan import plan_labels
from tidegate.project import Better, Churn, Gate, Min, NotWorse, Slices


def labels(needs, rule, assuming, power):
    (found,) = [n.labels for n in needs if (n.rule, n.assuming, n.power) == (rule, assuming, power)]
    return found


def test_without_evidence_usual_worlds_are_planned_for():
    needs = plan_labels(Gate(submissions=1, error=0.1, rule=(NotWorse(margin=0.1),)), None, ())
    assert [need.assuming for need in needs[::3]] == [
        "5.0% disagree, equally good",
        "10.0% disagree, equally good",
        "20.0% disagree, equally good",
    ]
    assert {need.error for need in needs} == {0.05}


def test_more_power_needs_more_labels():
    needs = plan_labels(Gate(rule=(NotWorse(margin=0.1), Min(value=0.8))), None, ())
    for start in range(0, len(needs), 3):
        half, most, nearly_all = (need.labels for need in needs[start : start + 3])
        assert half < most < nearly_all


def test_what_is_observed_comes_first(evidence):
    gate = Gate(rule=(NotWorse(margin=0.1), Min(value=0.9)))
    needs = plan_labels(gate, evidence(20, 10, 500), ())
    assert needs[0].assuming == "6.0% disagree as observed, equally good"
    assert labels(needs, "min accuracy", "accuracy 98.0% as observed", 0.8) < 500


def test_the_level_follows_what_was_spent(evidence):
    gate = Gate(submissions=2, rule=(Min(value=0.9),))
    asked = evidence(0, 10, 500)
    first = decide(gate, asked, (), now=0.0, commit="")
    second = decide(gate, evidence(0, 11, 500), (first,), now=0.0, commit="")
    errors = [plan_labels(gate, asked, history)[0].error for history in ((), (first,), (first, second))]
    assert errors == pytest.approx([0.0125, 0.0125, 0.0125])


def test_every_rule_that_must_be_proven_is_planned():
    gate = Gate(rule=(Better(by=0.1), Min(value=0.9), Churn(max=0.1), Slices(by=("truth",))))
    assert {n.rule for n in plan_labels(gate, None, ())} == {"better accuracy", "min accuracy", "churn"}


def test_a_floor_above_what_is_observed_needs_no_number_of_labels(evidence):
    only = Evidence(evidence(0, 100, 400).candidate, None)
    needs = plan_labels(Gate(rule=(Min(value=0.9),)), only, ())
    assert labels(needs, "min accuracy", "accuracy 75.0% as observed", 0.9) is None
