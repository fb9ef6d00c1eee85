"""Means by t and BCa: against scipy, laws and coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, ttest_1samp, ttest_rel

from tidegate.stats.exact import clopper_pearson
from tidegate.stats.means import prove_mean_bca, prove_mean_t
from tidegate.stats.result import Tails

LAW = settings(max_examples=40, deadline=None, derandomize=True)
VALUES = st.lists(st.floats(-100, 100), min_size=3, max_size=60).map(np.array)


@LAW
@given(values=VALUES, above=st.floats(-100, 100))
def test_t_equals_scipy(values, above) -> None:
    found = prove_mean_t(values, above=above, tails=Tails(0.03, 0.1))
    if found.deviation > 1e-6:
        assert found.p == pytest.approx(ttest_1samp(values, above, alternative="greater").pvalue, abs=1e-9)
        assert found.low == pytest.approx(
            ttest_1samp(values, 0, alternative="greater").confidence_interval(0.97).low
        )
        assert found.high == pytest.approx(
            ttest_1samp(values, 0, alternative="less").confidence_interval(0.9).high
        )
    assert found.low <= found.estimate <= found.high


def test_t_of_differences_is_the_paired_test() -> None:
    new, old = np.random.default_rng(51).normal(size=(2, 80))
    found = prove_mean_t(new - old, above=0.0)
    assert found.p == pytest.approx(ttest_rel(new, old, alternative="greater").pvalue)


def test_equal_values_leave_no_doubt_to_t() -> None:
    assert prove_mean_t(np.full(5, 2.0), above=1.0).p == 0.0
    assert prove_mean_t(np.full(5, 2.0), above=2.0).p == 1.0


def test_bca_ends_are_scipys_within_the_noise_of_resampling() -> None:
    values = np.random.default_rng(52).exponential(size=300)
    found = prove_mean_bca(values, above=0.5, tails=Tails(0.05, 0.05))
    theirs = bootstrap(
        (values,), np.mean, confidence_level=0.9, n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.04 * width)


def test_bca_misses_a_skewed_mean_less_often_from_above_than_t_does() -> None:
    rng, runs = np.random.default_rng(53), 400
    samples = rng.lognormal(sigma=1.0, size=(runs, 120))
    mean = math.exp(0.5)
    missed = [
        sum(test(row, above=0.0).high < mean for row in samples) for test in (prove_mean_bca, prove_mean_t)
    ]
    assert missed[0] < missed[1]
    assert clopper_pearson(missed[0], runs, error=0.01, side="lower").low <= 0.10


def test_the_same_values_get_the_same_bootstrap_and_others_another() -> None:
    values = np.random.default_rng(54).normal(size=100)
    assert prove_mean_bca(values, above=0.1) == prove_mean_bca(values.copy(), above=0.1)
    assert prove_mean_bca(values, above=0.1).low != prove_mean_bca(values[::-1], above=0.1).low
    assert prove_mean_bca(values, above=0.1).low == pytest.approx(
        prove_mean_bca(values[::-1], above=0.1).low, abs=0.02
    )


def test_a_million_rows_are_resampled_in_groups() -> None:
    values = np.random.default_rng(55).exponential(size=1_000_003)
    found = prove_mean_bca(values, above=0.99)
    assert found.deviation == pytest.approx(1.0, rel=0.06)
    assert found.low == pytest.approx(values.mean() - 1.6449e-3, abs=1.2e-4)
