"""The betting test of bounded scores: its error at the edge of the null, laws, and very many rows."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tidegate.stats import betting
from tidegate.stats.betting import prove_mean
from tidegate.stats.exact import clopper_pearson
from tidegate.stats.result import Tails

LAW = settings(max_examples=30, deadline=None, derandomize=True)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=80).map(np.array)


@pytest.mark.parametrize("shape", [(1.0, 1.0), (0.2, 1.8), (9.0, 1.0)])
def test_a_mean_exactly_at_the_constant_passes_as_rarely_as_promised(shape) -> None:
    rng, runs = np.random.default_rng(11), 1500
    null = shape[0] / sum(shape)
    passed = sum(prove_mean(rng.beta(*shape, 60), above=null).p <= 0.05 for _ in range(runs))
    assert clopper_pearson(passed, runs, error=0.01, side="lower").low <= 0.05


def test_rare_large_scores_fool_the_t_test_and_not_the_bets() -> None:
    """A lower claim about 1 - x, where x is .02 of ones: the t-test sees no spread and passes."""
    rng, runs = np.random.default_rng(12), 600
    samples = (rng.random((runs, 60)) >= 0.05).astype(float)
    t_like = (samples.mean(axis=1) - 0.95) / np.maximum(samples.std(axis=1, ddof=1) / math.sqrt(60), 1e-9)
    assert np.mean(norm.sf(t_like) <= 0.05) > 0.1
    passed = sum(prove_mean(row, above=0.95).p <= 0.05 for row in samples)
    assert clopper_pearson(passed, runs, error=0.01, side="lower").low <= 0.05


def test_the_e_value_has_mean_one_at_most() -> None:
    rng = np.random.default_rng(13)
    found = np.exp([prove_mean(rng.random(40), above=0.5).log_e for _ in range(1500)])
    assert found.mean() <= 1 + 3 * found.std() / math.sqrt(len(found))
    assert found.mean() > 0.8


@LAW
@given(scores=SCORES, above=st.floats(0, 1))
def test_the_interval_holds_the_mean_and_agrees_with_p(scores, above) -> None:
    found = prove_mean(scores, above=above)
    assert 0 <= found.low <= found.estimate + 1e-12 and found.estimate <= found.high + 1e-12 <= 1 + 2e-12
    assert found.p == pytest.approx(math.exp(-max(found.log_e, 0)))
    if abs(found.low - above) > 1e-5:
        assert (found.p <= 0.05) == (found.low > above)
    assert found.guarantee == "exact"


@LAW
@given(scores=SCORES)
def test_a_higher_constant_is_harder_and_the_mirror_has_mirrored_ends(scores) -> None:
    values = [prove_mean(scores, above=above).log_e for above in (0.2, 0.4, 0.6, 0.8)]
    assert all(high <= low + 1e-9 for low, high in pairwise(values))
    here, there = (
        prove_mean(part, above=0.5, tails=tails)
        for part, tails in ((scores, Tails(0.02, 0.1)), (1 - scores, Tails(0.1, 0.02)))
    )
    assert (here.low, here.high) == pytest.approx((1 - there.high, 1 - there.low), abs=1e-5)


def test_differences_within_other_bounds_are_the_same_test_scaled() -> None:
    differences = np.random.default_rng(14).uniform(-0.3, 0.4, 400)
    found = prove_mean(differences, above=-0.05, bounds=(-1, 1))
    scaled = prove_mean((differences + 1) / 2, above=0.475)
    assert found.log_e == pytest.approx(scaled.log_e)
    assert (found.low, found.high) == pytest.approx((2 * scaled.low - 1, 2 * scaled.high - 1))
    assert found.deviation == pytest.approx(differences.std())


@pytest.mark.parametrize("values", [[], [0.5, 1.5], [-0.1], [math.nan]])
def test_values_outside_the_bounds_are_refused(values) -> None:
    with pytest.raises(ValueError, match="within"):
        prove_mean(np.array(values), above=0.5)


def test_a_constant_at_the_lower_bound_is_beaten_by_any_score_above_it() -> None:
    assert prove_mean(np.array([0.0, 0.1]), above=0.0).p == 0.0
    assert prove_mean(np.zeros(5), above=0.0).p == 1.0
    assert prove_mean(np.ones(50), above=1.0).p == 1.0


def test_very_many_rows_are_bet_on_in_blocks_with_nearly_the_power_of_all() -> None:
    scores = np.random.default_rng(15).beta(5, 1, 400_000)
    found = prove_mean(scores, above=0.83)
    half = 2.4477 * scores.std() / math.sqrt(len(scores))
    assert found.estimate - 1.15 * half < found.low < found.estimate - 0.6 * half
    assert found.estimate + 0.6 * half < found.high < found.estimate + 1.15 * half


def test_blocks_keep_the_error_and_leave_the_remainder_out(monkeypatch) -> None:
    monkeypatch.setattr(betting, "MOST_BETS", 40)
    rng, runs = np.random.default_rng(16), 1000
    passed = sum(prove_mean(rng.beta(0.5, 2.0, 130), above=0.2).p <= 0.05 for _ in range(runs))
    assert clopper_pearson(passed, runs, error=0.01, side="lower").low <= 0.05
    assert len(betting._blocks(np.arange(130) / 130)) == 32
