"""Order-statistic bounds: coverage by enumeration and simulation, and what few rows cannot say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tidegate.stats.quantile import prove_quantile_below
from tidegate.stats.result import Tails

LAW = settings(max_examples=60, deadline=None, derandomize=True)


def test_fifty_nine_rows_bound_the_95_percent_quantile_by_the_largest() -> None:
    values = np.arange(1.0, 60.0)
    assert prove_quantile_below(values, q=0.95, limit=100.0).high == 59.0
    assert prove_quantile_below(values[:58], q=0.95, limit=100.0).high == np.inf
    assert prove_quantile_below(values[:58], q=0.95, limit=100.0).p == pytest.approx(0.95**58)
    assert prove_quantile_below(values[:10], q=0.05, limit=1.0).low == -np.inf
    assert prove_quantile_below(values, q=0.95, limit=0.0).p == 1.0


@LAW
@given(
    values=st.lists(st.integers(0, 30), min_size=1, max_size=200),
    q=st.sampled_from([0.05, 0.5, 0.9, 0.99]),
    limit=st.integers(-1, 31),
)
def test_the_limit_is_proven_exactly_when_the_upper_end_is_within_it(values, q, limit) -> None:
    found = prove_quantile_below(np.array(values), q=q, limit=limit, tails=Tails(0.05, 0.1))
    assert found.low <= found.estimate <= found.high
    assert (found.p <= 0.05) == (found.high <= limit)
    shuffled = prove_quantile_below(np.array(values[::-1]), q=q, limit=limit, tails=Tails(0.05, 0.1))
    assert shuffled == found


@pytest.mark.parametrize(("n", "q"), [(100, 0.5), (200, 0.9), (500, 0.99)])
def test_both_ends_miss_the_true_quantile_as_rarely_as_promised(n, q) -> None:
    ranks = np.arange(1.0, n + 1)
    found = prove_quantile_below(ranks, q=q, limit=n, tails=Tails(0.05, 0.1))
    below = np.arange(n + 1)
    chance = binom.pmf(below, n, q)
    assert chance[below >= found.high].sum() <= 0.05 < chance[below >= found.high - 1].sum()
    assert chance[below < found.low].sum() <= 0.1 < chance[below < found.low + 1].sum()
