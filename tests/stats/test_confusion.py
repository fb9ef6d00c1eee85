"""Scores from counts against scikit-learn, and the bootstrap of counts: coverage and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score

from tidegate.stats.confusion import Kinds, Metric, Score, compute_score, count_kinds, margins_of, prove_score
from tidegate.stats.exact import clopper_pearson
from tidegate.stats.result import Tails
from tidegate.stats.shares import prove_paired

LAW = settings(max_examples=40, deadline=None, derandomize=True)
THEIRS = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@pytest.mark.parametrize("metric", THEIRS)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@LAW
@given(rows=ROWS)
def test_scores_equal_scikit_learns(metric, average, rows) -> None:
    truth, said = np.array(rows).T
    found = compute_score(margins_of(count_kinds(truth, said)), Score(metric, average))
    assert found == pytest.approx(THEIRS[metric](truth, said, average=average, zero_division=0), abs=1e-12)


@LAW
@given(rows=ROWS)
def test_accuracies_equal_scikit_learns(rows) -> None:
    truth, said = np.array(rows).T
    margins = margins_of(count_kinds(truth, said))
    assert compute_score(margins, Score("accuracy")) == pytest.approx(accuracy_score(truth, said))
    known = np.isin(said, truth)
    if known.all() and len(np.unique(truth)) > 1:
        expected = balanced_accuracy_score(truth, said)
        assert compute_score(margins, Score("balanced_accuracy")) == pytest.approx(expected)


@pytest.mark.parametrize("metric", THEIRS)
def test_a_binary_score_is_the_positive_classs(metric) -> None:
    truth, said = np.random.default_rng(61).integers(0, 2, (2, 50))
    found = compute_score(margins_of(count_kinds(truth, said)), Score(metric, "binary", positive=0))
    assert found == pytest.approx(THEIRS[metric](truth, said, pos_label=0))


def test_kinds_count_the_rows_of_both_models() -> None:
    kinds = count_kinds(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([0, 0, 2, 1]))
    assert kinds.classes.tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 2]]
    assert (kinds.counts.tolist(), kinds.size) == ([2, 1, 1], 3)
    assert margins_of(kinds, model=2).hits.tolist() == [2, 1, 0]


def paired(rng, n: int, share: float) -> Kinds:
    """Two models of three classes, each right on `share` of the rows, often together."""
    truth = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    same, each = rng.random((2, n))
    wrong = (truth + rng.integers(1, 3, n)) % 3
    new, old = (
        np.where(np.where(same < 0.7, each, part) < share, truth, wrong) for part in rng.random((2, n))
    )
    return count_kinds(truth, new, old)


def test_a_difference_of_accuracy_is_nearly_the_exact_test() -> None:
    kinds = paired(np.random.default_rng(62), 1500, 0.85)
    found = prove_score(kinds, Score("accuracy"), above=-0.02)
    truth, new, old = kinds.classes.T
    gained = int(kinds.counts[(new == truth) & (old != truth)].sum())
    lost = int(kinds.counts[(new != truth) & (old == truth)].sum())
    exact = prove_paired(gained, lost, 1500, margin=0.02)
    assert found.estimate == pytest.approx(exact.estimate)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.002)
    assert found.p == pytest.approx(exact.p, rel=0.5)


@pytest.mark.parametrize("score", [Score("f1"), Score("precision", "binary", positive=2)])
def test_equal_models_are_called_better_as_rarely_as_promised(score) -> None:
    rng, runs = np.random.default_rng(63), 300
    passed = sum(prove_score(paired(rng, 400, 0.85), score, above=0.0).p <= 0.05 for _ in range(runs))
    assert clopper_pearson(passed, runs, error=0.01, side="lower").low <= 0.06
    assert clopper_pearson(passed, runs, error=0.01, side="upper").high >= 0.03


def test_the_interval_of_an_f1_covers_as_promised() -> None:
    rng, runs, score = np.random.default_rng(64), 300, Score("f1")
    truth = compute_score(margins_of(paired(rng, 2_000_000, 0.85)), score)
    missed = 0
    for _ in range(runs):
        kinds = paired(rng, 400, 0.85)
        one = Kinds(kinds.classes[:, :2], kinds.counts)
        found = prove_score(one, score, above=0.0, tails=Tails(0.05, 0.05))
        missed += not found.low <= truth <= found.high
    assert clopper_pearson(missed, runs, error=0.01, side="lower").low <= 0.12
    assert clopper_pearson(missed, runs, error=0.01, side="upper").high >= 0.08


def test_rows_times_a_thousand_are_resampled_as_counts() -> None:
    kinds = paired(np.random.default_rng(65), 10_000, 0.9)
    many = Kinds(kinds.classes, kinds.counts * 1000)
    few, found = (prove_score(k, Score("f1"), above=-0.01) for k in (kinds, many))
    assert found.estimate == pytest.approx(few.estimate)
    assert found.high - found.low == pytest.approx((few.high - few.low) / 1000**0.5, rel=0.1)


def test_answers_that_never_differ_are_not_proven_equal_by_few_rows() -> None:
    truth = np.array([0, 1, 2, 0, 1])
    found = prove_score(count_kinds(truth, truth, truth), Score("f1"), above=-0.01)
    assert found.p == pytest.approx(0.99**5)
    assert (found.method, found.guarantee) == ("no spread", "asymptotic")


@pytest.mark.parametrize("metric", ["f1", "precision", "recall"])
def test_a_score_of_a_class_that_nobody_is_or_says_is_zero(metric: Metric) -> None:
    kinds = count_kinds(np.zeros(9, dtype=int), np.zeros(9, dtype=int))
    assert compute_score(margins_of(kinds), Score(metric, "binary", 1)) == 0
