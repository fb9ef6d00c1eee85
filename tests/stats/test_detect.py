"""Change detectors: exact expectations at the null's edge, simulated months, and changes that are found."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from tidegate.stats.detect import (
    DRIFT_BETS,
    LOSS_BETS,
    drift_limits,
    drift_score,
    drift_start,
    drift_step,
    performance_limit,
    performance_score,
    performance_start,
    performance_step,
)
from tidegate.stats.exact import clopper_pearson

LAW = settings(max_examples=30, deadline=None, derandomize=True)
CUTS = np.array([0.01, 0.05, *np.arange(0.1, 0.95, 0.1), 0.95, 0.99])
FEATURES = 50
LOG_1000 = math.log(1000)


def below_cuts(rng: np.random.Generator, shape: tuple[int, ...], n_reference: int) -> np.ndarray:
    """The true shares below cut points taken from a reference sample of that size, per feature."""
    return np.quantile(rng.random((n_reference, *shape)), CUTS, axis=0).transpose(
        *range(1, len(shape) + 1), 0
    )


def rows_below(rng: np.random.Generator, shares: np.ndarray, n: int) -> np.ndarray:
    """How many of `n` rows fall below each cut point of each feature."""
    bins = np.diff(shares, axis=-1, prepend=0.0, append=1.0)
    return rng.multinomial(n, bins).cumsum(axis=-1)[..., :-1]


def simulate(shares: np.ndarray, *, days: int, n: int, n_reference: int, seed: int) -> np.ndarray:
    """The global score log M of every simulated month [months, days], over all features of a month."""
    rng = np.random.default_rng(seed)
    months = len(shares)
    limits = np.tile(drift_limits(CUTS, n_reference), (months * FEATURES, 1))
    scores = drift_start(limits.shape[0])
    found = np.empty((months, days))
    for day in range(days):
        scores = drift_step(scores, rows_below(rng, shares, n).reshape(-1), n, limits=limits)
        found[:, day] = [drift_score(month) for month in np.split(scores, months)]
    return found


@pytest.mark.parametrize(("sensitivity", "tolerated"), [("low", 0.2), ("normal", 0.1), ("high", 0.05)])
def test_limits_are_half_the_tolerance_away_on_the_arcsine_scale(sensitivity, tolerated) -> None:
    most, most_missed = drift_limits(CUTS[2:-2], 400, sensitivity=sensitivity).T
    angles = [np.arcsin(np.sqrt(share)) for share in (1 - most_missed, CUTS[2:-2], most)]
    assert np.diff(angles, axis=0) == pytest.approx(np.full((2, 9), (tolerated + 0.05) / 2))


def test_limits_of_an_indicator_never_or_always_met_stay_shares() -> None:
    never, always = drift_limits(np.array([0.0, 1.0]), 10**6)
    assert never == pytest.approx([math.sin(0.0505) ** 2, 1.0])
    assert always == pytest.approx([1.0, math.sin(0.0505) ** 2])


def test_the_normal_sensitivity_is_the_default() -> None:
    assert np.array_equal(drift_limits(CUTS, 100), drift_limits(CUTS, 100, sensitivity="normal"))


def test_bets_lie_on_their_grids() -> None:
    assert pytest.approx(0.02 * 45 ** (np.arange(8) / 7)) == DRIFT_BETS
    assert pytest.approx(0.02 * 45 ** (np.arange(12) / 11)) == LOSS_BETS


def test_nothing_seen_scores_nothing() -> None:
    assert drift_start(13).shape == (13, 2, 8)
    assert drift_start(13).size == 208
    assert drift_score(drift_start(13)) == -math.inf
    assert performance_score(performance_start()) == -math.inf


def test_an_empty_window_still_counts_as_a_window() -> None:
    limits = drift_limits(CUTS, 1000)
    scores = drift_start(13)
    for window in range(1, 5):
        scores = drift_step(scores, np.zeros(13, dtype=int), 0, limits=limits)
        assert drift_score(scores) == pytest.approx(math.log(window))


def test_a_limit_of_one_cannot_be_exceeded_and_never_counts_a_window() -> None:
    limits = drift_limits(np.array([0.999]), 100)
    assert limits[0, 0] == 1.0
    scores = drift_start(1)
    for _ in range(50):
        scores = drift_step(scores, np.array([100]), 100, limits=limits)
    assert drift_score(scores[0, 0]) == -math.inf
    assert np.isfinite(scores[0, 1]).all()


def test_a_batch_without_labels_changes_nothing() -> None:
    scores = performance_step(performance_start(), 3, 20, limit=0.1)
    assert performance_step(scores, 0, 0, limit=0.1) is scores


@pytest.mark.parametrize("frequency", [0.0, 0.01, 0.3, 0.5, 0.99, 1.0])
def test_drift_adds_one_window_in_expectation_at_the_limit(frequency) -> None:
    """M rises by exactly 1 a window on average, so it reaches c after c windows on average or later."""
    n = 40
    limits = drift_limits(np.array([frequency]), 500)
    before = np.log(np.linspace(0.5, 30, 16)).reshape(1, 2, 8)
    hits = np.arange(n + 1)
    after = np.exp([drift_step(before, np.array([k]), n, limits=limits)[0] for k in hits])
    for side, chance in enumerate((limits[0, 0], 1 - limits[0, 1])):
        if 0 < chance < 1:
            mean = np.tensordot(binom.pmf(hits, n, chance), after[:, side], 1)
            assert mean == pytest.approx(1 + np.exp(before[0, side]), rel=1e-9)
        inside = np.tensordot(binom.pmf(hits, n, frequency), after[:, side], 1)
        assert np.all(inside <= (1 + np.exp(before[0, side])) * (1 + 1e-9))


@pytest.mark.parametrize(("limit", "labels"), [(0.12, 1), (0.12, 50), (0.5, 20), (1.0, 5)])
def test_performance_adds_its_labels_in_expectation_at_the_limit(limit, labels) -> None:
    before = np.log(np.linspace(1, 200, 12))
    errors = np.arange(labels + 1)
    after = np.exp([performance_step(before, int(s), labels, limit=limit) for s in errors])
    assert binom.pmf(errors, labels, limit) @ after == pytest.approx(labels + np.exp(before), rel=1e-9)
    better = binom.pmf(errors, labels, 0.8 * limit) @ after
    assert np.all(better < labels + np.exp(before))


@LAW
@given(data=st.data(), n=st.integers(1, 2000))
def test_drift_of_merged_shards_equals_one_window(data, n) -> None:
    """Shards of a window merge by adding their counts; the scores then differ in no bit."""
    limits = drift_limits(CUTS, 1000)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    rows = np.searchsorted(CUTS, rng.random(n))
    hits = (rows[:, None] <= np.arange(13)).sum(axis=0)
    owner = rng.integers(0, 4, n)
    parts = [(rows[owner == shard][:, None] <= np.arange(13)).sum(axis=0) for shard in range(4)]
    start = drift_step(drift_start(13), hits, n, limits=limits)
    assert np.array_equal(start, drift_step(drift_start(13), np.sum(parts, axis=0), n, limits=limits))
    assert not np.isnan(start).any()


@LAW
@given(hits=st.integers(0, 300), more=st.integers(1, 50))
def test_more_hits_raise_the_upper_side_and_lower_the_other(hits, more) -> None:
    limits, n = drift_limits(np.array([0.4]), 1000), 400
    few, many = (drift_step(drift_start(1), np.array([k]), n, limits=limits)[0] for k in (hits, hits + more))
    assert np.all(many[0] > few[0])
    assert np.all(many[1] < few[1])


def test_the_first_window_scores_the_bets_alone() -> None:
    limits = np.array([[0.2, 0.9]])
    bets = DRIFT_BETS / 0.2
    expected = 30 * np.log1p(bets * 0.8) + 70 * np.log1p(-bets * 0.2)
    assert drift_step(drift_start(1), np.array([30]), 100, limits=limits)[0, 0] == pytest.approx(expected)


def test_months_without_drift_raise_no_alarm() -> None:
    """50 features, cut points of a reference sample of 1,000 rows, 30 daily checks of 500 rows."""
    shares = below_cuts(np.random.default_rng(41), (64, FEATURES), 1_000)
    found = simulate(shares, days=30, n=500, n_reference=1_000, seed=42)
    assert np.sum(found.max(axis=1) >= LOG_1000) == 0


def test_a_daily_test_per_feature_cries_wolf_in_the_same_months() -> None:
    rng = np.random.default_rng(43)
    shares = below_cuts(rng, (64, FEATURES), 1_000)
    gaps = np.stack([np.abs(rows_below(rng, shares, 500) / 500 - CUTS) for _ in range(30)])
    far = gaps / np.sqrt(CUTS * (1 - CUTS) * (1 / 500 + 1 / 1_000)) > norm.isf(0.025)
    assert far.any(axis=(0, 2, 3)).mean() > 0.99


def test_a_month_at_the_very_limit_keeps_the_promised_rate(ceiling) -> None:
    """M is a submartingale that gains 1 a window: P(alarm within t windows) is at most t / c."""
    runs, days, n, threshold = 2_000, 20, 300, 100
    limits = drift_limits(np.full(runs, 0.3), 1_000)
    rng, scores = np.random.default_rng(44), drift_start(runs)
    alarms = np.zeros(runs, dtype=bool)
    for _ in range(days):
        scores = drift_step(scores, rng.binomial(n, limits[:, 0]), n, limits=limits)
        alarms |= np.array([drift_score(run[0]) for run in scores]) >= math.log(threshold)
    assert 0.01 < alarms.mean() <= ceiling(days / threshold, runs)


@pytest.mark.parametrize(("n", "median"), [(200, 5), (1_000, 2)])
def test_one_feature_of_fifty_moving_by_half_a_deviation_is_found(n, median) -> None:
    shares = below_cuts(np.random.default_rng(45), (30, FEATURES), 5_000)
    shares[:, 7] = norm.cdf(norm.ppf(shares[:, 7]) - 0.5)
    found = simulate(shares, days=14, n=n, n_reference=5_000, seed=46) >= LOG_1000
    assert found.any(axis=1).all()
    assert np.median(found.argmax(axis=1) + 1) <= median


def test_a_feature_that_breaks_is_found_in_the_first_window_and_named() -> None:
    limits = drift_limits(CUTS, 1_000)
    broken = drift_step(drift_start(13), np.zeros(13, dtype=int), 500, limits=limits)
    usual = drift_step(drift_start(13), np.round(500 * CUTS), 500, limits=limits)
    everything = np.concatenate([usual] * (FEATURES - 1) + [broken])
    assert drift_score(everything) >= LOG_1000
    assert drift_score(broken) > drift_score(usual) + 100


def test_a_drift_score_never_overflows() -> None:
    scores, limits = drift_start(13), drift_limits(CUTS, 1_000)
    for _ in range(50):
        scores = drift_step(scores, np.zeros(13, dtype=int), 1_000_000, limits=limits)
    assert math.isfinite(drift_score(scores))
    assert drift_score(scores) > 1e6


@pytest.mark.parametrize(
    ("errors", "n", "tolerance", "expected"),
    [(0, 59, 0.0, 1 - 0.1 ** (1 / 59)), (5, 10, 0.9, 1.0), (10, 10, 0.0, 1.0)],
)
def test_the_performance_limit_is_the_upper_bound_plus_tolerance(errors, n, tolerance, expected) -> None:
    assert performance_limit(errors, n, tolerance=tolerance) == pytest.approx(expected)


def test_the_performance_limit_holds_the_true_rate_nine_times_in_ten() -> None:
    limits = np.array([performance_limit(s, 500, tolerance=0.0) for s in range(501)])
    assert binom.pmf(np.arange(501), 500, 0.1) @ (limits >= 0.1) >= 0.9
    bound = clopper_pearson(50, 500, error=0.1, side="upper").high
    assert performance_limit(50, 500, tolerance=0.02) == pytest.approx(bound + 0.02)


def label_streams(rates: np.ndarray, *, batch: int, runs: int, limit: float, seed: int) -> np.ndarray:
    """log M after every batch [runs, batches] of labels whose error rate is one of `rates` per batch."""
    errors = np.random.default_rng(seed).binomial(batch, rates, size=(runs, len(rates)))
    scores = np.tile(performance_start(), (runs, 1))
    found = np.empty(errors.shape)
    for i, wrong in enumerate(errors.T):
        scores = performance_step(scores, wrong[:, None], batch, limit=limit)
        found[:, i] = [performance_score(run) for run in scores]
    return found


@pytest.mark.parametrize("at_limit", [False, True])
def test_false_alarms_per_20_000_labels_stay_below_one_in_five(at_limit, ceiling) -> None:
    runs = 400
    limit = performance_limit(200, 2_000, tolerance=0.0)
    rates = np.full(200, limit if at_limit else 0.1)
    alarms = label_streams(rates, batch=100, runs=runs, limit=limit, seed=47).max(axis=1) >= math.log(1e5)
    assert alarms.mean() <= (ceiling(0.2, runs) if at_limit else 0.1)


def test_a_jump_to_a_quarter_of_wrong_answers_is_found_quickly() -> None:
    limit = performance_limit(200, 2_000, tolerance=0.01)
    rates = np.concatenate([np.full(100, 0.1), np.full(80, 0.25)])
    scores = label_streams(rates, batch=20, runs=200, limit=limit, seed=48)
    found = scores[:, 100:] >= math.log(1e5)
    assert found.any(axis=1).all()
    delays = 20 * (found.argmax(axis=1) + 1)
    assert np.median(delays) <= 200
    assert delays.max() <= 1_000


def test_a_slow_decline_is_found_within_5_000_labels() -> None:
    limit = performance_limit(500, 5_000, tolerance=0.0)
    found = label_streams(np.full(100, 0.13), batch=50, runs=200, limit=limit, seed=49) >= math.log(1e5)
    assert found.any(axis=1).mean() >= 0.9


@LAW
@given(errors=st.integers(0, 99), limit=st.floats(0.001, 1.0))
def test_another_wrong_answer_raises_the_performance_score(errors, limit) -> None:
    start = performance_start()
    here, worse = (performance_step(start, s, 100, limit=limit) for s in (errors, errors + 1))
    assert here.shape == LOSS_BETS.shape
    assert np.all(worse > here)
    assert performance_score(worse) > performance_score(here)
