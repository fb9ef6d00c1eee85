"""Normal results: both ends, p, and what no spread says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tidegate.stats.asymptotic import Estimate, conclude_constant, conclude_normal
from tidegate.stats.exact import clopper_pearson
from tidegate.stats.result import Tails

LAW = settings(max_examples=60, deadline=None, derandomize=True)


@LAW
@given(value=st.floats(-5, 5), above=st.floats(-5, 5), error=st.floats(0.01, 5))
def test_a_normal_estimate_is_proven_exactly_when_its_lower_end_is_above(value, above, error) -> None:
    found = conclude_normal(Estimate(value, error, 100, "any"), above=above, tails=Tails(0.05, 0.01))
    assert found.low == pytest.approx(value - norm.isf(0.05) * error)
    assert found.high == pytest.approx(value + norm.isf(0.01) * error)
    assert found.p == pytest.approx(norm.cdf((above - value) / error), abs=1e-12)
    if abs(found.low - above) > 1e-9:
        assert (found.p <= 0.05) == (found.low > above)
    assert found.deviation == pytest.approx(10 * error)


@pytest.mark.parametrize("n", [5, 59, 1000])
def test_rows_without_spread_are_as_good_as_as_many_successes(n) -> None:
    found = conclude_constant(0.0, n, above=-0.05, tails=Tails(0.05, 0.01))
    assert found.low == pytest.approx(clopper_pearson(n, n, error=0.05, side="lower").low - 1)
    assert found.p == pytest.approx(0.95**n)
    assert (found.p <= 0.05) == (n >= 59)


def test_rows_without_spread_below_the_bound_prove_nothing_and_far_above_it_all() -> None:
    assert conclude_constant(0.5, 100, above=0.6, tails=Tails()).p == 1.0
    assert conclude_constant(7.0, 100, above=5.0, tails=Tails()).p == 0.0
    assert conclude_normal(Estimate(0.5, 0.0, 100, "any"), above=0.6, tails=Tails()).method == "any"
