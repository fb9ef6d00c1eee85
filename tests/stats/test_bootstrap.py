"""Resampling: its seed, its thin tails, its special cases, and agreement between its forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score

from tidegate.stats import bootstrap
from tidegate.stats.bootstrap import (
    Draws,
    conclude,
    generator,
    prove_batches,
    prove_counts,
    prove_mean_of,
    prove_rows,
)
from tidegate.stats.exact import clopper_pearson
from tidegate.stats.result import Tails

LAW = settings(max_examples=40, deadline=None, derandomize=True)


def share(counts: np.ndarray) -> np.ndarray:
    """The share of the first kind."""
    return counts[:, 0] / counts.sum(axis=1)


def test_the_seed_is_the_content_with_its_shape_and_type() -> None:
    parts = np.arange(6), np.arange(6).reshape(2, 3), np.arange(6.0), np.arange(7)
    drawn = [generator(part).random() for part in parts]
    assert len(set(drawn)) == 4
    assert generator(np.arange(12)[::2]).random() == generator(np.arange(0, 12, 2)).random()


def normal_draws(seed: int = 71, acceleration: float = 0.0) -> Draws:
    return Draws(0.0, np.random.default_rng(seed).normal(size=2000), acceleration)


@pytest.mark.parametrize("tail", [0.2, 0.05, 0.01, 1e-3, 1e-5, 1e-8])
def test_tails_thinner_than_the_resamples_are_continued_as_a_normals(tail) -> None:
    found = conclude(normal_draws(), 100, above=-1.0, tails=Tails(tail, tail))
    assert (found.low, found.high) == pytest.approx((norm.ppf(tail), norm.isf(tail)), abs=0.2, rel=0.05)


@pytest.mark.parametrize("above", [-6.0, -4.0, -2.5, -1.0, 0.0, 1.0, 2.5, 4.0])
def test_p_values_are_those_of_the_normal_far_into_the_tails(above) -> None:
    found = conclude(normal_draws(), 100, above=above, tails=Tails())
    assert norm.ppf(found.p) == pytest.approx(above, abs=0.25)


@LAW
@given(
    seed=st.integers(0, 50),
    acceleration=st.floats(-0.1, 0.1),
    above=st.floats(-5, 5),
    tail=st.sampled_from([1e-6, 0.002, 0.05, 0.3]),
)
def test_the_interval_holds_the_estimate_and_p_agrees_with_its_lower_end(
    seed, acceleration, above, tail
) -> None:
    found = conclude(normal_draws(seed, acceleration), 100, above=above, tails=Tails(tail, tail))
    assert found.low <= found.estimate <= found.high
    if abs(found.low - above) > 0.05:
        assert (found.p <= tail) == (found.low > above)


@LAW
@given(seed=st.integers(0, 20), above=st.lists(st.floats(-5, 5), min_size=2, max_size=6).map(sorted))
def test_a_higher_constant_never_has_a_smaller_p(seed, above) -> None:
    p_values = [conclude(normal_draws(seed), 100, above=a, tails=Tails()).p for a in above]
    assert p_values == sorted(p_values)


def test_resamples_without_a_value_are_left_out() -> None:
    draws = normal_draws()
    holes = Draws(0.0, np.concatenate([draws.values, np.full(500, math.nan)]), 0.0)
    assert conclude(holes, 100, above=-1.0, tails=Tails()) == conclude(draws, 100, above=-1.0, tails=Tails())
    nothing = Draws(0.3, np.full(2000, math.nan), 0.0)
    assert conclude(nothing, 10, above=0.2, tails=Tails()).p == pytest.approx(0.9**10)


def test_an_unknown_estimate_proves_nothing() -> None:
    found = conclude(Draws(math.nan, np.full(2000, math.nan), 0.0), 10, above=0.2, tails=Tails())
    assert not found.p <= 0.05


def test_counts_of_two_kinds_are_a_share_with_its_interval() -> None:
    found = prove_counts(np.array([180, 20]), share, above=0.8)
    exact = clopper_pearson(180, 200, error=0.1)
    assert (found.low, found.high) == pytest.approx(exact, abs=0.012)
    assert found == prove_counts(np.array([180, 20]), share, above=0.8)


def test_a_bca_interval_of_a_share_covers_as_promised() -> None:
    rng, runs = np.random.default_rng(72), 300
    missed = 0
    for hits in rng.binomial(150, 0.9, runs):
        found = prove_counts(np.array([hits, 150 - hits]), share, above=0.5)
        missed += not found.low <= 0.9 <= found.high
    assert clopper_pearson(missed, runs, error=0.01).low <= 0.1
    assert clopper_pearson(missed, runs, error=0.01).high >= 0.1


def test_too_many_kinds_are_resampled_without_acceleration_and_in_parts(monkeypatch) -> None:
    whole = prove_counts(np.array([180, 15, 5]), share, above=0.8)
    monkeypatch.setattr(bootstrap, "CHUNK", 300)
    parts = prove_counts(np.array([180, 15, 5]), share, above=0.8)
    assert parts == whole
    monkeypatch.setattr(bootstrap, "MOST_KINDS", 2)
    plain = prove_counts(np.array([180, 15, 5]), share, above=0.8)
    assert plain.p != whole.p
    assert plain.low == pytest.approx(whole.low, abs=0.005)


def test_a_mean_over_rows_is_the_same_by_its_values_its_weights_and_its_influence() -> None:
    values = np.random.default_rng(73).exponential(size=150)
    rows = prove_rows((values,), lambda w: float(np.average(values, weights=w)), above=0.8)
    mean = prove_mean_of(values, shift=0.0, above=0.8)
    influence = prove_mean_of(values - values.mean(), shift=float(values.mean()), above=0.8)
    for found in (rows, influence):
        assert found[:3] == pytest.approx(mean[:3], abs=0.03)
    assert rows.deviation == pytest.approx(mean.deviation, rel=0.07)


def test_average_precision_is_proven_from_weighted_rows() -> None:
    rng = np.random.default_rng(74)
    truth = rng.random(200) < 0.4
    scores = 2 * truth + rng.normal(size=200)
    hits = truth[np.argsort(-scores)]
    order = np.argsort(-scores)

    def precision(weights):
        found = weights[order] * hits
        return float(
            np.sum(found * np.cumsum(found) / np.maximum(np.cumsum(weights[order]), 1)) / found.sum()
        )

    found = prove_rows((truth, scores), precision, above=0.5)
    assert found.estimate == pytest.approx(average_precision_score(truth, scores))
    assert 0.5 < found.low < found.estimate < found.high < 1.0
    assert found.p < 0.01


def test_batches_of_very_many_rows_have_the_error_of_the_whole() -> None:
    values = np.random.default_rng(75).normal(size=(200, 500))
    found = prove_batches(float(values.mean()), values.mean(axis=1), values.size, above=-0.01)
    assert found.deviation == pytest.approx(1.0, rel=0.15)
    assert found.method == "batch means"
