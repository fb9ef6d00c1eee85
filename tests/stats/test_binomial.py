"""Binomial probabilities against scipy.stats, in every regime."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tidegate.stats.binomial import chance, chance_of_at_least

LAW = settings(max_examples=80, deadline=None, derandomize=True)


@LAW
@given(n=st.integers(1, 4000), at=st.floats(0, 1), share=st.floats(0, 1))
def test_chances_of_few_rows_are_the_binomials(n, at, share) -> None:
    k = np.array([0, round(at * n), n])
    assert chance(k, n, share) == pytest.approx(binom.pmf(k, n, share), rel=1e-9, abs=1e-300)
    found = chance_of_at_least(k, np.array([n]), np.array([share]))
    assert found == pytest.approx(binom.sf(k - 1, n, share), rel=1e-9, abs=1e-300)


def test_none_is_always_reached_and_more_than_all_never() -> None:
    assert chance_of_at_least(np.array([-1, 0, 11]), np.array(10), np.array(0.5)).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("share", [0.001, 0.03, 0.2, 0.4999, 0.5, 0.7])
@pytest.mark.parametrize("n", [12_000, 100_000, 10_000_000])
def test_the_approximation_of_many_rows_is_right_to_eight_digits(n, share) -> None:
    z = np.linspace(-6, 6, 61)
    k = np.rint(n * share + z * np.sqrt(n * share * (1 - share)))
    found = chance_of_at_least(k, np.array(n), np.array(share))
    assert found == pytest.approx(binom.sf(k - 1, n, share), rel=1e-5, abs=1e-8)
    assert np.all(np.diff(found) <= 0)
