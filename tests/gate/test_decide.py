"""The verdict: findings combined, the budget of the test set, repeats for free, and the attack on it."""

import random
import sys
from itertools import product
from math import comb

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.domain import Decision, Finding
from tidegate.errors import UsageError
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import combine, decide, next_level, rules_digest, spent_on
from tidegate.project import Better, Gate, Min, NotWorse, Slices
from tidegate.stats.budget import Account

GATE = Gate(rule=(NotWorse(margin=0.02),))


def ask(gate, evidence, history=()):
    return decide(gate, evidence, history, now=1.0, commit="c0ffee")


def finding(verdict):
    return Finding("x", verdict, 0.0, 0.0, 0.0, 1, None, "")


@pytest.mark.parametrize(
    ("verdicts", "combined"),
    [
        (["pass"], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "underpowered"], "underpowered"),
        (["underpowered", "block", "pass"], "block"),
        (["block"], "block"),
    ],
)
def test_one_block_blocks_and_everything_must_be_proven(verdicts, combined):
    assert combine(finding(verdict) for verdict in verdicts) == combined


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [((60, 10, 898), "pass"), ((20, 25, 898), "underpowered"), ((10, 70, 898), "block")],
)
def test_the_verdict_comes_with_what_was_asked_and_when(evidence, counts, verdict):
    found = ask(GATE, evidence(*counts))
    assert (found.verdict, found.submission, found.at, found.commit) == (verdict, 1, 1.0, "c0ffee")
    assert found.error == pytest.approx(7.8125e-4)
    assert found.rules == rules_digest(GATE)
    assert msgspec.convert(msgspec.to_builtins(found), Decision) == found


def test_the_first_release_is_judged_by_floors_and_the_dummy(evidence):
    gate = Gate(rule=(NotWorse(), Min(value=0.9), Slices(by=("group",))))
    found = ask(gate, Evidence(evidence(0, 10, 400).candidate, None))
    assert [f.check for f in found.findings] == [
        "min accuracy",
        "simpler dummy",
        "simpler linear",
        "simpler tree",
    ]
    assert (found.verdict, found.baseline) == ("pass", None)


def test_a_gate_without_rules_is_refused(evidence):
    with pytest.raises(UsageError, match=r"gate\.rule: empty"):
        ask(Gate(rule=()), evidence(0, 0, 10))


def test_the_same_question_gets_the_recorded_decision(evidence):
    first = ask(GATE, evidence(20, 25, 898))
    again = decide(GATE, evidence(20, 25, 898), [first], now=9.0, commit="other")
    assert again is first


def test_the_rows_that_live_was_released_on_are_no_new_question(rows):
    gate = Gate(rule=(Min(value=0.5),))
    released = rows([True] * 90 + [False] * 10)
    first = ask(gate, Evidence(released, None))
    assert first.verdict == "pass"
    assert ask(gate, Evidence(released, released), [first]) == first
    assert ask(Gate(rule=(Min(value=0.4),)), Evidence(released, released), [first]).submission == 2


@pytest.mark.parametrize(
    ("gate", "counts", "submission"),
    [
        (GATE, (21, 25, 898), 2),
        (Gate(rule=(Better(),)), (20, 25, 898), 2),
        (GATE, (20, 25, 897), 1),
    ],
)
def test_another_question_on_the_same_test_set_is_another_submission(evidence, gate, counts, submission):
    first = ask(GATE, evidence(20, 25, 898))
    assert ask(gate, evidence(*counts), [first]).submission == submission


def test_submissions_are_counted_once_and_passes_make_proof_dearer(evidence):
    history = []
    for gained in (60, 61, 10, 62):
        history.append(ask(GATE, evidence(gained, 10, 898), history))
    assert [d.submission for d in history] == [1, 2, 3, 4]
    assert [d.verdict for d in history] == ["pass", "pass", "underpowered", "pass"]
    assert [d.error for d in history] == pytest.approx(
        [7.8125e-4, 2.52016e-5, 1.26008e-6, 1.26008e-6], rel=1e-5
    )
    assert spent_on(history[0].test_set, [*history, *history]) == Account(4, 3)


def test_a_spent_budget_asks_for_fresh_labels(evidence):
    gate = Gate(submissions=2, rule=(NotWorse(margin=0.02),))
    history = []
    for gained in range(3):
        history.append(ask(gate, evidence(60 + gained, 0, 898), history))
    last = history[-1]
    assert (last.verdict, last.error, last.submission) == ("underpowered", 0.0, 3)
    assert last.findings[0].because.endswith("fresh labels needed")
    assert ask(gate, evidence(62, 0, 898), history) is last


def test_the_last_submission_is_still_judged():
    assert next_level(GATE, Account(31, 0)) > 0
    assert next_level(GATE, Account(32, 0)) == 0


def test_only_the_digest_of_the_same_settings_is_the_same():
    assert rules_digest(GATE) == rules_digest(Gate(rule=(NotWorse(margin=0.02),)))
    assert rules_digest(GATE) != rules_digest(Gate(rule=(NotWorse(margin=0.03),)))
    assert rules_digest(GATE) != rules_digest(Gate(rule=(Better(by=0.02),)))


law = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
right = st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abc")), min_size=1, max_size=60)
EVERYTHING = Gate(rule=(NotWorse(margin=0.2), Min(value=0.5), Slices(by=("group",), min_rows=5)))


def evidence_from(rows_of, rows) -> Evidence:
    groups = [group for _, _, group in rows]
    return Evidence(*(rows_of([row[arm] for row in rows], groups) for arm in (0, 1)))


@law
@given(st.lists(right, min_size=1, max_size=3))
def test_repeating_any_question_changes_nothing(rows_of, questions):
    history = []
    for rows in questions:
        history.append(ask(EVERYTHING, evidence_from(rows_of, rows), history))
    again = [ask(EVERYTHING, evidence_from(rows_of, rows), history) for rows in questions]
    assert again == history


@law
@given(right, st.integers(12, 30))
def test_a_slice_that_lost_every_row_blocks_whatever_else_is_good(rows_of, rows, lost):
    whole = [*rows, *[(False, True, "lost")] * lost]
    assert ask(EVERYTHING, evidence_from(rows_of, whole)).verdict == "block"


def on_the_floor(rows_of, seed: random.Random) -> Evidence:
    """A worthless candidate: right on each of 120 rows with probability .8, just what it must exceed."""
    return evidence_from(rows_of, [(seed.random() < 0.8, False, "a") for _ in range(120)])


def test_worthless_submissions_do_not_get_through(rows_of):
    """40 attackers, 16 tries each on one test set; at 5 % a try about half of them would get through."""
    gate = Gate(submissions=16, rule=(Min(value=0.8),))
    seed, lucky = random.Random(20), 0
    for _ in range(40):
        history: list[Decision] = []
        for _ in range(gate.submissions):
            history.append(ask(gate, on_the_floor(rows_of, seed), history))
        assert history[-1].submission == gate.submissions
        lucky += any(past.verdict == "pass" for past in history)
    assert lucky / 40 <= 0.05 + 3 * (0.05 * 0.95 / 40) ** 0.5


def test_on_the_floor_a_pass_is_as_rare_as_promised(evidence):
    """Every outcome on 80 rows, weighted by its probability when the truth is exactly the floor."""
    gate = Gate(submissions=1, error=0.1, rule=(Min(value=0.9),))
    size = sum(
        comb(80, lost) * 0.1**lost * 0.9 ** (80 - lost)
        for lost in range(81)
        if ask(gate, evidence(0, lost, 80)).verdict == "pass"
    )
    assert 0 < size <= 0.05


def test_at_the_margin_a_pass_is_as_rare_as_promised(evidence):
    """The truth is exactly the margin; of the outcomes on 30 rows the rarest count as passes, unasked."""
    n, gain, lose = 30, 0.05, 0.15
    gate = Gate(submissions=1, error=0.2, rule=(NotWorse(margin=lose - gain),))
    size = 1.0
    for gained, lost in product(range(12), repeat=2):
        weight = comb(n, gained) * comb(n - gained, lost) * gain**gained * lose**lost
        weight *= (1 - gain - lose) ** (n - gained - lost)
        if weight > 2e-3 and ask(gate, evidence(gained, lost, n)).verdict != "pass":
            size -= weight
    assert size <= 0.1


OWN = "def accuracy(rows):\n    return (rows['truth'] == rows['prediction']) * {weight}\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A gate by a metric of the user's own, and its file."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "own_metric_of_a_test.py"
    path.write_text(OWN.format(weight=1.0))
    yield Gate(rule=(NotWorse(metric="own_metric_of_a_test:accuracy", margin=0.02),)), path
    sys.modules.pop("own_metric_of_a_test", None)


def test_an_edited_metric_of_the_users_own_is_another_question(evidence, own):
    gate, path = own
    shown = evidence(40, 20, 898)
    first = ask(gate, shown)
    assert ask(gate, shown, [first]) is first
    path.write_text(OWN.format(weight=2.0))
    again = ask(gate, shown, [first])
    assert (again.submission, again.rules == first.rules) == (2, False)
    path.write_text(OWN.format(weight=1.0))
    assert ask(gate, shown, [again, first]) is first


def test_another_metrics_source_is_nobodys_concern(own):
    _, path = own
    before = rules_digest(GATE)
    path.write_text("")
    assert rules_digest(GATE) == before
    assert rules_digest(Gate(rule=(NotWorse(metric="math:fsum"),))) != before


@pytest.mark.parametrize("metric", ["no_module_of_a_test:f", "json.no_module:f", "no_package_of_a_test.m:f"])
def test_a_metric_whose_module_is_not_there_is_refused(evidence, metric):
    with pytest.raises(UsageError, match="No module named"):
        ask(Gate(rule=(NotWorse(metric=metric),)), evidence(0, 0, 10))
