"""May I merge? Each report answers in plain words, and says why."""

import pytest
from msgspec.structs import replace

from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide
from tidegate.gate.report.answer import answer
from tidegate.gate.report.record import Case, Report, Step
from tidegate.project import Better, Churn, Gate, Min, NotWorse, Slices

GATE = Gate(rule=(NotWorse(margin=0.02), Min(value=0.8), Slices(by=("group",)), Churn(max=0.2), Better()))


def judged(gate, evidence, history=()):
    decision = decide(gate, evidence, history, now=0.0, commit="abcdef0123")
    return decision, answer(Report("digits", "abcdef0123", 0.0, decision=decision)).sentence


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((90, 5, 898), "you may merge: every rule is proven"),
        ((20, 20, 898), "cannot tell yet: `not_worse accuracy` needs "),
        (
            (10, 80, 898),
            "do not merge: `accuracy` is worse than live, -7.8 pp; the model got worse on `group=all`, -7.8 pp; "
            "`accuracy` is not better than live, -7.8 pp",
        ),
    ],
)
def test_the_gate_answers_with_its_reasons(evidence, counts, said):
    assert judged(GATE, evidence(*counts))[1].startswith(said)


def test_a_first_release_says_that_it_is_one(evidence):
    said = judged(GATE, Evidence(evidence(0, 20, 898).candidate, None))[1]
    assert said == "you may merge: a first release, every rule that needs no live model is proven"


def test_a_spent_budget_asks_for_labels(evidence):
    gate = Gate(submissions=1)
    first, _ = judged(gate, evidence(90, 5, 898))
    _, said = judged(gate, evidence(91, 5, 898), [first])
    assert said == "cannot tell yet: the budget of this test set is spent, fresh labels are needed"


@pytest.mark.parametrize(
    ("name", "cases", "said"),
    [
        ("style", 1, "1 complaint of the style check"),
        ("style", 2, "2 complaints of the style check"),
        ("style", 0, "the style check fails"),
        ("tests", 2, "2 of 3 tests fail"),
        ("tests", 0, "the tests fail"),
        ("contract", 1, "the data breaks 1 rule of its contract"),
        ("contract", 0, "the data breaks its contract"),
        ("stages", 1, "the pipeline fails"),
        ("gate", 0, "the gate fails"),
    ],
)
def test_a_failed_step_forbids_the_merge(name, cases, said):
    looked = (Case("fine", "passed"), *(Case("wrong", "failed") for _ in range(cases)))
    report = Report("digits", "", 0.0, steps=(Step(name, "failed", "it failed", 0.1, looked),))
    assert answer(report).sentence == f"do not merge: {said}"


def test_a_failed_step_forbids_what_the_gate_would_pass(failed):
    assert failed.decision.verdict == "pass"
    assert answer(failed).sentence == "do not merge: 1 complaint of the style check; 2 of 3 tests fail"


def test_the_gate_step_does_not_say_again_what_its_findings_say(blocked, underpowered):
    assert "gate" not in answer(blocked).sentence
    assert answer(underpowered).sentence == "cannot tell yet: `churn` needs 410 more labels"


def test_an_undecided_step_postpones():
    report = Report("digits", "", 0.0, steps=(Step("contract", "undecided", "no data", 0.1),))
    assert answer(report).sentence == "cannot tell yet: contract is undecided"


def test_a_change_that_no_rule_is_about_may_merge():
    steps = (
        Step("style", "passed", "", 0.1),
        Step("tests", "passed", "", 0.1),
        Step("gate", "skipped", "", 0.0),
    )
    said = answer(Report("digits", "", 0.0, steps=steps)).sentence
    assert said == "you may merge: style and tests passed, and nothing that the gate judges changed"


def test_nothing_checked_allows_nothing(nothing):
    assert answer(nothing).sentence == "cannot tell: nothing was checked"


def test_verdicts_alone_are_told_without_numbers(hidden):
    assert (
        answer(hidden).sentence
        == "do not merge: `accuracy` is worse than live; the model got worse on `label=8`"
    )


def test_warnings_have_no_part_in_it(passing, blocked):
    warning = blocked.decision.findings[-1]
    assert warning.severity == "warn"
    decision = replace(passing.decision, findings=(*passing.decision.findings, warning))
    assert answer(replace(passing, decision=decision)).words == "you may merge"


def test_slices_are_one_reason(blocked):
    parts = tuple(replace(blocked.decision.findings[1], slice=f"label={n}") for n in range(9))
    said = answer(replace(blocked, decision=replace(blocked.decision, findings=parts))).sentence
    assert said == "do not merge: the model got worse on `label=0`, -7.9 pp, and 8 more slices"


def test_of_many_reasons_the_first_three_are_named(blocked):
    floors = tuple(replace(blocked.decision.findings[2], metric=f"m{n}", verdict="block") for n in range(9))
    said = answer(replace(blocked, decision=replace(blocked.decision, findings=floors))).sentence
    assert said.endswith("; `m2` stays below 90.0%; and 6 more")
