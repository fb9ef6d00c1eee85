"""Claims about shares: the record, its agreement with the tests beneath, and its error by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tidegate.stats.exact import paired_p
from tidegate.stats.result import Tails, complement, negate
from tidegate.stats.shares import prove_paired, prove_share

LAW = settings(max_examples=40, deadline=None, derandomize=True)


@LAW
@given(n=st.integers(1, 800), at=st.floats(0, 1), above=st.floats(0.01, 0.99))
def test_a_share_is_tested_as_by_scipy_and_proven_exactly_when_its_bound_says_so(n, at, above) -> None:
    hits = round(at * n)
    found = prove_share(hits, n, above=above, tails=Tails(0.02, 0.1))
    assert found.p == pytest.approx(binomtest(hits, n, above, alternative="greater").pvalue, rel=1e-8)
    assert found.low <= found.estimate <= found.high
    if abs(found.low - above) > 1e-9:
        assert (found.p <= 0.02) == (found.low >= above)
    assert found.guarantee == "exact"


def test_no_success_proves_nothing_and_a_bound_outside_the_possible_is_cut() -> None:
    assert prove_share(0, 20, above=0.1).p == 1.0
    assert prove_share(3, 20, above=-1.0).p == 0.0
    assert prove_share(3, 20, above=2.0).p == 1.0


def test_at_most_is_asked_of_the_failures() -> None:
    found = complement(prove_share(200 - 12, 200, above=1 - 0.1))
    assert found.estimate == pytest.approx(0.06)
    assert found.low < 0.06 < found.high
    assert found.p == pytest.approx(binom.cdf(12, 200, 0.1))


def test_a_negated_result_is_proven_from_the_other_end() -> None:
    found = prove_paired(30, 25, 500, margin=0.02)
    mirrored = negate(found)
    assert (mirrored.low, mirrored.estimate, mirrored.high) == (-found.high, -found.estimate, -found.low)
    assert mirrored.p == found.p
    assert negate(mirrored) == found


def test_a_pair_is_the_exact_unconditional_test() -> None:
    found = prove_paired(30, 25, 500, margin=0.02, tails=Tails(0.05, 0.05))
    assert found.p == pytest.approx(0.02537805, abs=5e-9)
    assert (found.estimate, found.n) == (0.01, 500)
    assert (found.low, found.high) == pytest.approx((-0.01485, 0.03596), abs=2e-5)
    assert found.low > -0.02


@LAW
@given(counts=st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 300)))
def test_a_pair_is_proven_exactly_when_its_lower_end_says_so(counts) -> None:
    gained, lost, same = counts
    n = gained + lost + same
    found = prove_paired(gained, lost, n, margin=0.03, tails=Tails(0.01, 0.2))
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    if abs(found.low + 0.03) > 2e-5:
        assert (found.p <= 0.01) == (found.low > -0.03)
    assert found.p == paired_p(gained, lost, n, margin=0.03, gamma=1e-4)


def test_ten_million_rows_cost_no_more_than_their_counts() -> None:
    """No clock: the windows summed over stay small, so that this test ends at all."""
    found = prove_paired(400_000, 401_000, 10_000_000, margin=0.0005)
    assert found.low < -1e-4 < found.high
    deviation = np.sqrt(801_000) / 1e7
    assert (found.low, found.high) == pytest.approx(
        (-1e-4 - 1.6449 * deviation, -1e-4 + 1.6449 * deviation), abs=0.02 * deviation
    )
