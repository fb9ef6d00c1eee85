"""Evidence that may be looked at any time: references, exact expectations, and simulated peeking."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from tidegate.stats.sequential import (
    GRID,
    arm_log_e,
    cs_half_width,
    cs_rho,
    floor_log_e,
    log_mean_exp,
    normal_mixture_bound,
    share_log_e,
)

LAW = settings(max_examples=40, deadline=None, derandomize=True)
COUNT = st.integers(0, 10**6)
SHARE = st.floats(0.01, 0.99)
WINDOWS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), SHARE), min_size=1, max_size=8)
LOG_20 = math.log(20)


@cache
def per_event(share: float, ratio: float, side: str) -> tuple[np.ndarray, np.ndarray]:
    """What one canary event and one stable event add to the log-wealth of each bet."""
    return tuple(np.array(arm_log_e(*event, share, ratio=ratio, side=side)) for event in ((1, 0), (0, 1)))


def log_e(wealth: np.ndarray) -> np.ndarray:
    """log E of every simulated run and look, from the log-wealth of each bet on the last axis."""
    return np.logaddexp.reduce(wealth, axis=-1) - math.log(len(GRID))


def watch(canary, stable, shares, *, ratio=1.0, side="harm") -> np.ndarray:
    """log E after every window [runs, looks]; `shares` is one per window, or one per run and window."""
    shares = np.broadcast_to(shares, canary.shape)
    distinct, at = np.unique(shares, return_inverse=True)
    added = np.array([per_event(float(share), ratio, side) for share in distinct])[at.reshape(shares.shape)]
    wealth = canary[..., None] * added[:, :, 0] + stable[..., None] * added[:, :, 1]
    return log_e(wealth.cumsum(axis=1))


def alarm_share(log_es: np.ndarray) -> float:
    """The share of runs in which E reached 20 at any look."""
    return float(np.mean(log_es.max(axis=1) >= LOG_20))


@pytest.mark.parametrize(
    ("canary", "stable", "ratio", "side", "expected"),
    [(30, 180, 1.0, "harm", 0.71595105), (12, 180, 1.5, "safe", 4.80126302)],
)
def test_arm_given_event_equals_the_reference(canary, stable, ratio, side, expected) -> None:
    wealth = arm_log_e(canary, stable, 0.1, ratio=ratio, side=side)
    assert len(wealth) == len(GRID) == 10
    assert log_mean_exp(wealth) == pytest.approx(expected, abs=5e-9)


def test_bets_lie_on_the_grid_of_rate_ratios() -> None:
    assert GRID == (1.1, 1.2, 1.35, 1.6, 2.0, 2.7, 4.0, 7.0, 15.0, 50.0)


@pytest.mark.parametrize(
    ("side", "rates"),
    [("harm", [min(0.05 * g, 0.525) for g in GRID]), ("safe", [0.05 / g for g in GRID])],
)
def test_floor_evidence_is_the_binomial_likelihood_ratio_of_each_bet(side, rates) -> None:
    expected = [binom.logpmf(7, 90, rate) - binom.logpmf(7, 90, 0.05) for rate in rates]
    assert floor_log_e(7, 90, floor=0.05, side=side) == pytest.approx(expected)


def test_share_log_e_equals_the_reference() -> None:
    assert share_log_e(30, 180, 0.1, k=100) == pytest.approx(0.6593855135, abs=1e-10)


def test_confidence_sequence_equals_the_reference() -> None:
    assert cs_rho(0.05, 5000) == pytest.approx(0.0398400668, abs=1e-10)
    assert cs_half_width(10_000, 1.0, error=0.05, horizon=5000) == pytest.approx(0.0306147722, abs=1e-10)


def test_normal_mixture_bound_equals_the_reference() -> None:
    assert normal_mixture_bound(100, error=0.05, rho=12.60056) == pytest.approx(30.35209, abs=5e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0,), 0.0),
        ((-1000.0, -1000.0), -1000.0),
        ((1000.0, 1000.0 + math.log(3)), 1000.0 + math.log(2)),
        ((-math.inf, 0.0), -math.log(2)),
        ((-math.inf, -math.inf), -math.inf),
        ((math.inf, 0.0), math.inf),
    ],
)
def test_log_mean_exp_never_leaves_the_log_scale(values, expected) -> None:
    assert log_mean_exp(values) == pytest.approx(expected)


@pytest.mark.parametrize("side", ["harm", "safe"])
def test_no_events_are_no_evidence(side) -> None:
    assert log_mean_exp(arm_log_e(0, 0, 0.1, ratio=1.0, side=side)) == 0.0
    assert log_mean_exp(floor_log_e(0, 0, floor=0.01, side=side)) == 0.0
    assert share_log_e(0, 0, 0.1) == 0.0


@LAW
@given(
    one=st.tuples(COUNT, COUNT),
    other=st.tuples(COUNT, COUNT),
    share=SHARE,
    side=st.sampled_from(["harm", "safe"]),
)
def test_two_workers_equal_one(one, other, share, side) -> None:
    """Counters add as integers; adding log-wealths instead differs by rounding only."""
    merged = [a + b for a, b in zip(one, other, strict=True)]
    whole = arm_log_e(*merged, share, ratio=1.25, side=side)
    parts = [arm_log_e(*part, share, ratio=1.25, side=side) for part in (one, other)]
    assert np.sum(parts, axis=0) == pytest.approx(np.array(whole), rel=1e-9, abs=1e-6)


@LAW
@given(windows=WINDOWS, side=st.sampled_from(["harm", "safe"]), seed=st.integers(0, 99))
def test_the_order_of_windows_does_not_matter(windows, side, seed) -> None:
    def total(order):
        added = [arm_log_e(*windows[i], ratio=1.5, side=side) for i in order]
        return [math.fsum(bet) for bet in zip(*added, strict=True)]

    assert total(np.random.default_rng(seed).permutation(len(windows))) == total(range(len(windows)))


@LAW
@given(
    one=st.tuples(st.integers(0, 900), st.integers(900, 5000)),
    times=st.integers(1, 50),
    floor=st.floats(1e-5, 0.3),
)
def test_floor_evidence_is_additive_over_shards(one, times, floor) -> None:
    for side in ("harm", "safe"):
        whole = floor_log_e(one[0] * times, one[1] * times, floor=floor, side=side)
        assert times * np.array(floor_log_e(*one, floor=floor, side=side)) == pytest.approx(
            np.array(whole), rel=1e-9, abs=1e-9
        )


@LAW
@given(canary=st.integers(0, 400), stable=st.integers(0, 400), share=SHARE)
def test_a_canary_event_is_evidence_of_harm_and_against_safety(canary, stable, share) -> None:
    def moved(side):
        before, after = ((canary + more, stable) for more in (0, 1))
        return np.subtract(*(arm_log_e(*c, share, ratio=1.2, side=side) for c in (after, before)))

    assert np.all(moved("harm") > 0)
    assert np.all(moved("safe") < 0)


@pytest.mark.parametrize("side", ["harm", "safe"])
@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_every_arm_bet_has_expectation_one_at_the_boundary(side, ratio, share) -> None:
    events = 40
    chance = share * ratio / (share * ratio + 1 - share)
    c = np.arange(events + 1)
    wealth = np.array([arm_log_e(int(k), events - int(k), share, ratio=ratio, side=side) for k in c])
    assert binom.pmf(c, events, chance) @ np.exp(wealth) == pytest.approx(np.ones(10), abs=1e-9)
    inside = chance * 0.9 if side == "harm" else 1 - (1 - chance) * 0.9
    assert np.all(binom.pmf(c, events, inside) @ np.exp(wealth) < 1)


@pytest.mark.parametrize("side", ["harm", "safe"])
@pytest.mark.parametrize("floor", [0.001, 0.05, 0.4])
def test_every_floor_bet_has_expectation_one_at_the_floor(side, floor) -> None:
    n = 60
    k = np.arange(n + 1)
    wealth = np.array([floor_log_e(int(events), n, floor=floor, side=side) for events in k])
    assert binom.pmf(k, n, floor) @ np.exp(wealth) == pytest.approx(np.ones(10), abs=1e-9)
    inside = floor * (0.8 if side == "harm" else 1.2)
    assert np.all(binom.pmf(k, n, inside) @ np.exp(wealth) < 1)


@pytest.mark.parametrize(("share", "k"), [(0.1, 1000.0), (0.5, 10.0), (0.01, 100.0)])
def test_the_share_e_value_has_expectation_one_at_the_share(share, k) -> None:
    n = 80
    c = np.arange(n + 1)
    e = [math.exp(share_log_e(int(canary), n - int(canary), share, k=k)) for canary in c]
    assert binom.pmf(c, n, share) @ e == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("per_window", [1_000, 10_000])
def test_an_identical_version_is_not_rolled_back_through_an_incident(per_window, ceiling) -> None:
    runs, looks = 2_000, 60
    base = np.where((np.arange(looks) > 20) & (np.arange(looks) < 30), 0.08, 0.01)
    rng = np.random.default_rng(21)
    canary = rng.binomial(per_window // 10, base, size=(runs, looks))
    stable = rng.binomial(per_window - per_window // 10, base, size=(runs, looks))
    log_es = watch(canary, stable, 0.1)
    assert alarm_share(log_es) <= ceiling(0.015, runs)
    e = np.exp(log_es[:, -1])
    assert e.mean() <= 1 + 3 * e.std() / math.sqrt(runs)


def test_a_ramp_that_meets_a_drifting_base_rate_is_not_held_against_the_canary(ceiling) -> None:
    """Simpson: pooled over the windows the canary has more errors, in no window it has."""
    runs, looks, per_window = 2_000, 40, 1_000
    shares, base = np.linspace(0.01, 0.5, looks), np.linspace(0.004, 0.05, looks)
    rng = np.random.default_rng(22)
    units = np.round(per_window * shares).astype(int)
    canary = rng.binomial(units, base, size=(runs, looks))
    stable = rng.binomial(per_window - units, base, size=(runs, looks))
    log_es = watch(canary, stable, units / per_window)
    assert alarm_share(log_es) <= ceiling(0.05, runs)
    e = np.exp(log_es[:, -1])
    assert e.mean() <= 1 + 3 * e.std() / math.sqrt(runs)
    pooled_share = units.sum() / (looks * per_window)
    pooled = watch(canary.sum(axis=1, keepdims=True), stable.sum(axis=1, keepdims=True), pooled_share)
    assert alarm_share(pooled) > 0.9


def test_only_the_observed_share_forgives_a_router_that_delivers_more_than_it_says(ceiling) -> None:
    runs, looks, per_window, base = 2_000, 60, 2_000, 0.05
    rng = np.random.default_rng(23)
    units = rng.binomial(per_window, 0.12, size=(runs, looks))
    canary, stable = rng.binomial(units, base), rng.binomial(per_window - units, base)
    assert alarm_share(watch(canary, stable, units / per_window)) <= ceiling(0.05, runs)
    assert alarm_share(watch(canary, stable, 0.1)) > 0.7


def test_a_canary_exactly_at_the_bound_is_not_promoted(ceiling) -> None:
    runs, looks, base = 2_000, 60, 0.01
    rng = np.random.default_rng(24)
    canary = rng.binomial(250, 1.5 * base, size=(runs, looks))
    stable = rng.binomial(750, base, size=(runs, looks))
    log_es = watch(canary, stable, 0.25, ratio=1.5, side="safe")
    assert alarm_share(log_es) <= ceiling(0.05, runs)
    e = np.exp(log_es[:, -1])
    assert e.mean() <= 1 + 3 * e.std() / math.sqrt(runs)


def test_a_z_test_looked_at_as_often_rolls_back_what_is_the_same() -> None:
    rng = np.random.default_rng(25)
    canary = rng.binomial(100, 0.01, size=(2_000, 60)).cumsum(axis=1)
    events = canary + rng.binomial(900, 0.01, size=(2_000, 60)).cumsum(axis=1)
    p_values = norm.sf((canary - 0.1 * events) / np.sqrt(np.maximum(0.09 * events, 1)))
    assert np.mean(p_values.min(axis=1) <= 0.05) > 0.2


@pytest.mark.parametrize(("factor", "per_window", "median"), [(2, 1_000, 15), (2, 10_000, 2), (5, 1_000, 3)])
def test_a_canary_with_more_errors_is_caught(factor, per_window, median) -> None:
    rng = np.random.default_rng(26)
    canary = rng.binomial(per_window // 10, factor * 0.01, size=(1_000, 60))
    stable = rng.binomial(per_window - per_window // 10, 0.01, size=(1_000, 60))
    crossed = watch(canary, stable, 0.1) >= LOG_20
    assert crossed.any(axis=1).mean() >= 0.98
    assert np.median(crossed.argmax(axis=1) + 1) <= median


def test_a_canary_as_good_as_stable_is_promoted() -> None:
    rng = np.random.default_rng(27)
    canary, stable = (rng.binomial(units, 0.01, size=(1_000, 60)) for units in (1_000, 3_000))
    assert alarm_share(watch(canary, stable, 0.25, ratio=1.5, side="safe")) >= 0.95


@pytest.mark.parametrize("side", ["harm", "safe"])
def test_a_rate_exactly_at_the_floor_is_no_evidence_however_often_one_looks(side, ceiling) -> None:
    runs, looks, floor = 2_000, 100, 0.01
    hits = np.random.default_rng(28).binomial(200, floor, size=(runs, looks)).cumsum(axis=1)
    units = 200 * np.arange(1, looks + 1)
    hit, miss = (np.array(floor_log_e(k, 1, floor=floor, side=side)) for k in (1, 0))
    log_es = log_e(hits[..., None] * hit + (units - hits)[..., None] * miss)
    assert alarm_share(log_es) <= ceiling(0.05, runs)
    e = np.exp(log_es[:, -1])
    assert e.mean() <= 1 + 3 * e.std() / math.sqrt(runs)


def test_a_floor_near_one_keeps_its_bets_below_one() -> None:
    assert all(math.isfinite(value) for value in floor_log_e(3, 5, floor=0.9, side="harm"))


@pytest.mark.parametrize(("delivered", "least", "most"), [(0.1, 0.0, 0.065), (0.12, 0.99, 1.0)])
def test_the_sample_ratio_guard_sees_a_wrong_share_and_only_that(delivered, least, most) -> None:
    steps = np.random.default_rng(29).binomial(500, delivered, size=(600, 30)).cumsum(axis=1)
    alarms = [
        any(share_log_e(int(c), 500 * (i + 1) - int(c), 0.1) >= LOG_20 for i, c in enumerate(run))
        for run in steps
    ]
    assert least <= np.mean(alarms) <= most


def test_a_confidence_sequence_covers_while_one_looks_at_every_step(ceiling) -> None:
    runs, step, looks, rate = 2_000, 50, 200, 0.1
    n = step * np.arange(1, looks + 1)
    means = np.random.default_rng(30).binomial(step, rate, size=(runs, looks)).cumsum(axis=1) / n
    off, deviations = np.abs(means - rate)[:, 5:], np.sqrt(means * (1 - means))[:, 5:]
    widths = np.array([cs_half_width(int(k), 1.0, error=0.05, horizon=5_000) for k in n])[5:]
    assert np.mean((off > deviations * widths).any(axis=1)) <= ceiling(0.05, runs)
    assert np.mean((off > 1.96 * deviations / np.sqrt(n[5:])).any(axis=1)) > 0.2


@LAW
@given(n=st.integers(1, 10**6), variance=st.floats(0.0, 100.0), horizon=st.integers(10, 10**6))
def test_a_confidence_sequence_scales_with_deviation_and_widens_with_certainty(n, variance, horizon) -> None:
    width = cs_half_width(n, variance, error=0.05, horizon=horizon)
    assert width == pytest.approx(math.sqrt(variance) * cs_half_width(n, 1.0, error=0.05, horizon=horizon))
    assert width <= cs_half_width(n, variance, error=0.01, horizon=horizon)
    assert width > 1.96 * math.sqrt(variance / n) or variance < 1e-300


def test_a_confidence_sequence_is_tightest_near_its_horizon() -> None:
    widths = {
        h: cs_half_width(5_000, 1.0, error=0.05, horizon=h) for h in (100, 1_000, 5_000, 25_000, 250_000)
    }
    assert min(widths, key=widths.get) == 5_000


def test_a_random_walk_stays_within_the_normal_mixture_bound(ceiling) -> None:
    runs, steps = 2_000, 600
    walks = np.abs(np.random.default_rng(31).normal(size=(runs, steps)).cumsum(axis=1))
    bounds = np.array([normal_mixture_bound(t, error=0.05, rho=12.6) for t in range(1, steps + 1)])
    assert np.mean((walks > bounds).any(axis=1)) <= ceiling(0.05, runs)
    assert np.mean((walks > 1.96 * np.sqrt(np.arange(1, steps + 1))).any(axis=1)) > 0.3
