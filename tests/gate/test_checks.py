"""Rules against evidence: the three verdicts, the interval that shows them, the labels that are missing."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tidegate.gate.checks import Evidence, check
from tidegate.gate.finding import Terms
from tidegate.gate.simpler import beats_dummy
from tidegate.project import Better, Churn, Min, NotWorse, Slices

TERMS = Terms(level=0.05, error=0.05, power=0.9)


@pytest.mark.parametrize(
    ("rule", "counts", "verdict"),
    [
        (NotWorse(margin=0.02), (31, 12, 898), "pass"),
        (NotWorse(margin=0.02), (20, 20, 898), "pass"),
        (NotWorse(margin=0.02), (80, 80, 898), "underpowered"),
        (NotWorse(margin=0.02), (10, 70, 898), "block"),
        (NotWorse(margin=0.02), (0, 0, 300), "pass"),
        (NotWorse(margin=0.02), (0, 0, 30), "underpowered"),
        (Better(), (45, 30, 500), "pass"),
        (Better(), (30, 30, 500), "underpowered"),
        (Better(), (10, 50, 500), "block"),
        (Better(by=0.02), (45, 30, 500), "underpowered"),
        (Better(by=0.02), (80, 10, 500), "pass"),
        (Better(by=0.10), (30, 30, 500), "block"),
        (Churn(max=0.1), (5, 5, 400), "pass"),
        (Churn(max=0.1), (20, 15, 400), "underpowered"),
        (Churn(max=0.1), (40, 40, 400), "block"),
        (Min(value=0.9), (0, 20, 400), "pass"),
        (Min(value=0.9), (0, 35, 400), "underpowered"),
        (Min(value=0.9), (0, 80, 400), "block"),
        (Slices(by=("group",)), (0, 80, 400), "block"),
        (Slices(by=("group",)), (80, 0, 400), "pass"),
    ],
)
def test_each_rule_has_its_verdicts(evidence, rule, counts, verdict):
    (found,) = check(rule, evidence(*counts), TERMS)
    assert found.verdict == verdict
    assert found.low <= found.estimate <= found.high
    assert found.n == counts[2]
    assert found.guarantee == "exact"


def test_a_finding_says_the_counts_and_the_bound(evidence):
    (found,) = check(NotWorse(margin=0.02), evidence(31, 12, 898), TERMS)
    assert found.because.startswith("31 better and 12 worse of 898 rows: difference +2.1 pp, interval [+")
    assert found.because.endswith(" pp, must be above -2.0 pp")


def test_a_floor_says_rate_and_bound(evidence):
    (found,) = check(Min(value=0.9), evidence(0, 18, 200), TERMS)
    assert found.because.startswith("182 right of 200 rows: accuracy 91.0%, interval [86.9%, 94.1%]")
    assert found.because.endswith("must reach 90.0%")


def test_an_equal_candidate_is_told_how_many_labels_would_do(evidence):
    (found,) = check(NotWorse(margin=0.02), evidence(25, 25, 500), TERMS)
    assert found.n_needed == pytest.approx(2100, rel=0.05)


def test_one_that_looks_worse_is_planned_for_as_seen(evidence):
    rule, terms = NotWorse(margin=0.05), Terms(level=0.05, error=1e-6, power=0.9)
    (found,) = check(rule, evidence(4, 36, 800), terms)
    assert found.verdict == "underpowered"
    assert found.n_needed > 800


def test_no_labels_help_what_is_truly_too_bad(evidence):
    terms = Terms(level=0.05, error=1e-9, power=0.9)
    (found,) = check(NotWorse(margin=0.02), evidence(2, 24, 1000), terms)
    assert (found.verdict, found.n_needed) == ("underpowered", None)
    (found,) = check(Better(), evidence(30, 31, 500), TERMS)
    assert (found.verdict, found.n_needed) == ("underpowered", None)
    (found,) = check(Min(value=0.9), evidence(0, 42, 400), TERMS)
    assert (found.verdict, found.n_needed) == ("underpowered", None)


def test_better_is_planned_for_the_difference_observed(evidence):
    (found,) = check(Better(), evidence(40, 30, 500), TERMS)
    assert found.verdict == "underpowered"
    assert found.n_needed > 500


@pytest.mark.parametrize("rule", [NotWorse(), Better(), Churn(max=0.1), Slices(by=("group",))])
def test_with_nothing_live_there_is_nothing_to_compare_with(evidence, rule):
    assert check(rule, Evidence(evidence(0, 0, 10).candidate, None), TERMS) == ()


def test_a_floor_holds_with_nothing_live(evidence):
    (found,) = check(Min(value=0.5), Evidence(evidence(0, 0, 100).candidate, None), TERMS)
    assert found.verdict == "pass"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("a" * 70 + "b" * 30, "pass"), ("a" * 100, "underpowered"), ("b" * 100, "block")],
)
def test_a_first_candidate_must_beat_the_most_frequent_answer(read, said, verdict):
    lines = [
        f"{i},{truth},{answer}"
        for i, (truth, answer) in enumerate(zip("a" * 70 + "b" * 30, said, strict=True))
    ]
    found = beats_dummy(read("\n".join(["id,truth,prediction", *lines])), TERMS)
    assert (found.check, found.verdict, found.severity) == ("simpler dummy", verdict, "block")


counts = st.integers(50, 600).flatmap(
    lambda n: st.tuples(st.integers(0, n // 3), st.integers(0, n // 3), st.just(n))
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example((5, 0, 117), 0.05, 7.8125e-4)
@example((5, 0, 65), 0.05, 7.8125e-4)
@given(counts, st.sampled_from([0.0, 0.01, 0.05]), st.sampled_from([0.05, 7.8125e-4]))
def test_the_interval_shows_the_verdict(evidence, counted, margin, level):
    (found,) = check(NotWorse(margin=margin), evidence(*counted), Terms(level, 0.05, 0.9))
    if found.verdict == "pass":
        assert found.low >= -margin
    if found.verdict == "block":
        assert found.high < -margin
    if found.verdict == "underpowered":
        assert found.low <= -margin
        assert found.high >= -margin
