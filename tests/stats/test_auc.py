"""Areas against scikit-learn, DeLong against its own definition, and its error by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tidegate.stats.auc import (
    auc,
    macro_auc,
    prove_auc,
    prove_auc_difference,
    prove_macro_auc,
    prove_macro_auc_difference,
)
from tidegate.stats.exact import clopper_pearson

LAW = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def scored(draw):
    """Truths of both classes, and two columns of scores with many ties."""
    n = draw(st.integers(4, 60))
    truth = np.array([True, True, False, False, *draw(st.lists(st.booleans(), min_size=n, max_size=n))])
    column = st.lists(st.integers(0, 8), min_size=n + 4, max_size=n + 4)
    return truth, np.array(draw(column)) / 8, np.array(draw(column)) / 8


def delong_by_definition(truth, new, old):
    """The difference and its variance from the full matrix of comparisons."""
    sides = []
    for scores in (new, old):
        gap = scores[truth][:, None] - scores[~truth][None, :]
        sides.append((gap > 0) + 0.5 * (gap == 0))
    won = sides[0] - sides[1]
    return won.mean(), np.var(won.mean(1), ddof=1) / truth.sum() + np.var(won.mean(0), ddof=1) / (
        ~truth
    ).sum()


@LAW
@given(rows=scored())
def test_areas_equal_scikit_learns(rows) -> None:
    truth, new, _ = rows
    assert auc(truth, new) == pytest.approx(roc_auc_score(truth, new), abs=1e-12)


@LAW
@given(rows=scored())
def test_delong_equals_its_definition(rows) -> None:
    truth, new, old = rows
    difference, variance = delong_by_definition(truth, new, old)
    found = prove_auc_difference(truth, new, old, margin=0.05)
    assert found.estimate == pytest.approx(difference, abs=1e-12)
    if variance > 1e-20:
        assert found.p == pytest.approx(norm.cdf((-0.05 - difference) / math.sqrt(variance)), rel=1e-6)
        assert found.low == pytest.approx(difference - norm.isf(0.05) * math.sqrt(variance))
    assert found.low <= found.estimate <= found.high


@LAW
@given(rows=scored(), seed=st.integers(0, 99))
def test_order_of_rows_and_monotone_scales_change_nothing_and_exchange_changes_the_sign(rows, seed) -> None:
    truth, new, old = rows
    found = prove_auc_difference(truth, new, old, margin=0.05)
    order = np.random.default_rng(seed).permutation(len(truth))
    moved = prove_auc_difference(truth[order], np.exp(new[order]), old[order], margin=0.05)
    assert moved[:4] == pytest.approx(found[:4], abs=1e-12)
    swapped = prove_auc_difference(truth, old, new, margin=0.05)
    assert (swapped.low, swapped.estimate, swapped.high) == pytest.approx(
        (-found.high, -found.estimate, -found.low), abs=1e-12
    )


def test_the_delong_test_at_its_margin_passes_as_rarely_as_promised() -> None:
    """The old model's scores are worth a .05 larger area than the new one's, exactly the margin."""
    rng, runs, n = np.random.default_rng(41), 1500, 400
    old_gap, new_gap = (math.sqrt(2) * norm.ppf(area) for area in (0.85, 0.80))
    passed = 0
    for _ in range(runs):
        truth = np.arange(n) % 2 == 0
        shared = rng.normal(size=n) * 0.8
        old = old_gap * truth + shared + rng.normal(size=n) * 0.6
        new = new_gap * truth + shared + rng.normal(size=n) * 0.6
        passed += prove_auc_difference(truth, new, old, margin=0.05).p <= 0.05
    assert clopper_pearson(passed, runs, error=0.01).low <= 0.055
    assert clopper_pearson(passed, runs, error=0.01).high >= 0.045


def test_one_area_has_the_interval_of_its_own_variance() -> None:
    rng = np.random.default_rng(42)
    truth = rng.random(500) < 0.4
    scores = truth + rng.normal(size=500)
    found = prove_auc(truth, scores, above=0.7)
    assert found.estimate == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert (found.method, found.guarantee, found.n) == ("DeLong", "asymptotic", 500)
    assert found.high - found.low == pytest.approx(2 * 1.6449 * found.deviation / math.sqrt(500), rel=1e-3)


def test_models_that_rank_alike_are_not_proven_equal_by_few_rows() -> None:
    truth = np.array([True, True, False, False])
    found = prove_auc_difference(truth, truth * 1.0, truth * 2.0, margin=0.01)
    assert found.p == pytest.approx(0.99**4)
    assert found.low < 0.0 < found.high


def test_a_missing_class_has_no_area() -> None:
    with pytest.raises(ValueError, match="two rows of each class"):
        prove_auc(np.array([True, False, False]), np.arange(3.0), above=0.5)
    with pytest.raises(ValueError, match="class 2"):
        macro_auc(np.array([0, 1, 0, 1]), np.ones((4, 3)))
    with pytest.raises(ValueError, match="nan"):
        auc(np.array([True, False]), np.array([0.5, math.nan]))
    assert math.isnan(auc(np.array([True, True]), np.arange(2.0)))


def multiclass(rng, n=400):
    """Truths of three classes, and probabilities of a good and a slightly noisier model."""
    truth = rng.integers(0, 3, n)
    good = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    noisy = good + 0.5 * rng.normal(size=(n, 3))
    return truth, *(np.exp(s) / np.exp(s).sum(axis=1, keepdims=True) for s in (good, noisy))


def test_the_macro_area_equals_scikit_learns() -> None:
    truth, good, _ = multiclass(np.random.default_rng(43))
    assert macro_auc(truth, good) == pytest.approx(roc_auc_score(truth, good, multi_class="ovr"), abs=1e-12)


def test_the_macro_bootstrap_of_influence_is_the_bootstrap_of_rows() -> None:
    rng = np.random.default_rng(44)
    truth, good, noisy = multiclass(rng)
    found = prove_macro_auc_difference(truth, good, noisy, margin=0.0)
    draws = (rng.integers(0, len(truth), len(truth)) for _ in range(300))
    resampled = [macro_auc(truth[d], good[d]) - macro_auc(truth[d], noisy[d]) for d in draws]
    assert found.estimate == pytest.approx(macro_auc(truth, good) - macro_auc(truth, noisy))
    assert found.deviation / math.sqrt(len(truth)) == pytest.approx(np.std(resampled), rel=0.15)
    assert prove_macro_auc(truth, good, above=0.5).p < 1e-6


def test_the_macro_interval_covers_as_promised() -> None:
    rng, runs, missed = np.random.default_rng(45), 150, 0
    area = norm.cdf(1.5 / math.sqrt(2))
    for _ in range(runs):
        truth = rng.integers(0, 3, 200)
        scores = rng.normal(size=(200, 3)) + 1.5 * np.eye(3)[truth]
        found = prove_macro_auc(truth, scores, above=area)
        missed += not found.low <= area <= found.high
    assert clopper_pearson(missed, runs, error=0.01, side="lower").low <= 0.1
    assert clopper_pearson(missed, runs, error=0.01, side="upper").high >= 0.05
