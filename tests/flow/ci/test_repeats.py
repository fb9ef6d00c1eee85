"""A repeat on the same inputs is recorded, and what ended otherwise before says so."""

import pytest

from tidegate.flow.ci.repeats import Check, judge_repeats, record_check
from tidegate.flow.ci.step import Ended
from tidegate.gate.report.record import Case
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger


def ended(*failed, inputs="a", tests=("one", "two")):
    cases = tuple(Case(name, "failed" if name in failed else "passed") for name in tests)
    return Ended("failed" if failed else "passed", "2 tests", cases, inputs)


def past(*failed):
    return Check("a", "failed" if failed else "passed", failed)


def test_the_first_time_has_no_past_and_every_repeat_is_recorded(tmp_path):
    assert record_check(tmp_path, "tests", ended("one")) == ()
    assert record_check(tmp_path, "tests", ended()) == (past("one"),)
    assert record_check(tmp_path, "tests", ended()) == (past("one"), past())
    with open_ledger(Layout(tmp_path).ledger) as ledger:
        assert [event.subject for event in ledger.events(kinds=("ci.checked",))] == ["tests"] * 3


def test_other_inputs_and_other_checks_have_a_past_of_their_own(tmp_path):
    record_check(tmp_path, "tests", ended("one"))
    assert record_check(tmp_path, "tests", ended(inputs="b")) == ()
    assert record_check(tmp_path, "style", ended()) == ()


def test_the_same_end_is_no_flake():
    assert judge_repeats(ended("one"), [past("one"), past("one")], policy="fail") == (ended("one"), 0)
    assert judge_repeats(ended(), [past()], policy="fail") == (ended(), 0)


def test_failed_then_passed_is_flaky_and_names_the_case():
    found, repeats = judge_repeats(ended(), [past("one"), past("one"), past()], policy="warn")
    assert (found.outcome, repeats) == ("passed", 2)
    assert found.because == (
        "2 tests; flaky, 2 times ended otherwise on the same inputs: `one` failed -> passed"
    )
    assert found.cases[0].because == "failed before on the same inputs"
    assert found.cases[1].because == ""


def test_a_flake_fails_if_the_policy_says_so():
    assert judge_repeats(ended(), [past("one")], policy="fail").ended.outcome == "failed"


def test_passed_then_failed_is_told_and_stays_failed():
    found, repeats = judge_repeats(ended("two"), [past()], policy="warn")
    assert (found.outcome, repeats) == ("failed", 1)
    assert found.because.endswith("flaky, 1 time ended otherwise on the same inputs: `two` passed -> failed")


def test_a_failure_that_moves_from_case_to_case_is_told_in_both_directions():
    found, repeats = judge_repeats(ended("two"), [past("one")], policy="warn")
    assert repeats == 1
    assert found.because.endswith("`one` failed -> passed, `two` passed -> failed")


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_a_command_without_cases_is_told_without_names(policy):
    found, repeats = judge_repeats(ended(tests=()), [Check("a", "failed")], policy=policy)
    assert repeats == 1
    assert found.because.endswith("flaky, 1 time ended otherwise on the same inputs")
