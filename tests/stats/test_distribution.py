"""Shifts of a column: the Kolmogorov-Smirnov distance as scipy's, and one window of the drift detector."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from tidegate.stats.distribution import drifted_levels, drifted_window, kolmogorov_smirnov

LAW = settings(max_examples=40, deadline=None, derandomize=True)
COLUMN = st.lists(st.integers(-5, 5), min_size=1, max_size=60).map(np.array)


@LAW
@given(reference=COLUMN, current=COLUMN)
def test_the_distance_is_scipys_and_symmetric(reference, current) -> None:
    found = kolmogorov_smirnov(reference, current)
    assert found.distance == pytest.approx(ks_2samp(reference, current).statistic)
    turned = kolmogorov_smirnov(current, reference)
    assert (turned.distance, turned.p) == pytest.approx((found.distance, found.p))
    assert kolmogorov_smirnov(reference, current, tolerance=0.1).p >= found.p


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.2])
def test_the_p_value_of_many_rows_is_scipys(shift) -> None:
    reference, current = np.random.default_rng(91).normal(size=(2, 2000))
    theirs = ks_2samp(reference, current + shift, method="asymp").pvalue
    assert kolmogorov_smirnov(reference, current + shift).p == pytest.approx(theirs, rel=0.1)


def test_a_tolerated_shift_is_called_one_as_rarely_as_promised(ceiling) -> None:
    """Uniform columns a tenth apart differ by .1 everywhere but at the ends: exactly the tolerance."""
    rng, runs = np.random.default_rng(92), 1000
    columns = [(rng.random(300), rng.random(300) * 1.0 + 0.1) for _ in range(runs)]
    assert np.mean([kolmogorov_smirnov(*pair, tolerance=0.1).p <= 0.05 for pair in columns]) <= ceiling(
        0.05, runs
    )
    assert np.mean([kolmogorov_smirnov(*pair).p <= 0.05 for pair in columns]) > 0.3


def test_the_worst_place_is_named() -> None:
    assert kolmogorov_smirnov(np.array([1, 2, 3, 4]), np.array([3, 3, 4, 4])).at == 2.0


def test_one_window_without_drift_rarely_alarms_and_one_with_it_does(ceiling) -> None:
    rng, runs = np.random.default_rng(93), 400
    quiet = [drifted_window(rng.normal(size=2000), rng.normal(size=500)) for _ in range(runs)]
    assert np.mean([found.p <= 0.05 for found in quiet]) <= ceiling(0.05, runs)
    moved = drifted_window(rng.normal(size=2000), rng.normal(size=2000) + 0.5)
    assert moved.p < 1e-4
    assert moved.distance == pytest.approx(0.2, abs=0.03)
    assert moved.p == pytest.approx(math.exp(-moved.log_e))


def test_a_more_tolerant_window_has_less_evidence_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(94)
    reference, current = rng.normal(size=1000), rng.normal(size=1000) + 0.3
    values = [drifted_window(reference, current, sensitivity=s).log_e for s in ("low", "normal", "high")]
    assert values == sorted(values)
    assert drifted_window(reference[::-1], current[::-1]) == drifted_window(reference, current)


def test_a_constant_column_that_stays_constant_has_not_drifted() -> None:
    same = drifted_window(np.full(500, 3.0), np.full(400, 3.0))
    assert (same.p, same.distance) == (1.0, 0.0)
    assert drifted_window(np.full(500, 3.0), np.full(400, 4.0)).p < 1e-6


def test_levels_of_a_category_are_the_same_test_on_counts() -> None:
    reference = np.array([850, 150, 0])
    assert drifted_levels(reference, reference).p == 1.0
    found = drifted_levels(reference, np.array([700, 300, 0]))
    assert found.p < 0.01
    assert (found.distance, found.at) == (pytest.approx(0.15), 0.0)
    assert drifted_levels(reference, np.array([850, 0, 150])).p < 1e-6
