"""The calibration error: its value, and both ends of its interval at every size of the truth."""

import numpy as np
import pytest

from tidegate.stats.calibration import calibration_error, prove_calibration_below
from tidegate.stats.exact import clopper_pearson
from tidegate.stats.result import Tails


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    truth = np.array([1, 1, 0, 0, 1, 1])
    scores = np.array([0.9, 0.95, 0.92, 0.1, 0.15, 1.0])
    upper = abs((1 - 0.9) + (1 - 0.95) + (0 - 0.92) + (1 - 1.0))
    lower = abs((0 - 0.1) + (1 - 0.15))
    assert calibration_error(truth, scores, bins=2) == pytest.approx((upper + lower) / 6)
    assert calibration_error(truth, scores, bins=1) == pytest.approx(abs(truth.sum() - scores.sum()) / 6)


@pytest.mark.parametrize("scores", [[], [0.5, 1.1], [-0.1], [np.nan]])
def test_scores_that_are_no_probabilities_are_refused(scores) -> None:
    with pytest.raises(ValueError, match="within"):
        calibration_error(np.zeros(len(scores)), np.array(scores))


@pytest.mark.parametrize(("shift", "n"), [(0.0, 400), (0.01, 2000), (0.03, 400), (0.1, 400), (0.1, 3000)])
def test_neither_end_misses_the_true_error_more_often_than_promised(shift, n) -> None:
    """Truth is drawn at score + shift, so that the error is exactly the shift."""
    rng, runs = np.random.default_rng(81), 400
    above = below = 0
    for scores in rng.uniform(0.05, 0.85, (runs, n)):
        truth = rng.random(n) < scores + shift
        found = prove_calibration_below(truth, scores, limit=0.05)
        below += found.high < shift
        above += found.low > shift
    assert clopper_pearson(below, runs, error=0.01, side="lower").low <= 0.05
    assert clopper_pearson(above, runs, error=0.01, side="lower").low <= 0.05


def test_a_resampled_plug_in_error_would_refute_perfect_scores_nearly_always() -> None:
    rng = np.random.default_rng(82)
    errors = [calibration_error(rng.random(400) < s, s) for s in rng.uniform(0.05, 0.95, (100, 400))]
    assert np.quantile(errors, 0.05) > 0.03


def test_many_rows_of_honest_scores_prove_a_small_error() -> None:
    rng = np.random.default_rng(83)
    scores = rng.random(50_000)
    found = prove_calibration_below(rng.random(50_000) < scores, scores, limit=0.02, tails=Tails(0.01, 0.01))
    assert found.p <= 0.01
    assert 0 <= found.low <= found.estimate <= found.high <= 0.02
    assert not prove_calibration_below(rng.random(50_000) < scores**1.5, scores, limit=0.02).p <= 0.5


def test_certain_scores_that_are_right_are_not_proven_by_few_rows() -> None:
    truth = np.array([0, 1, 1, 0])
    found = prove_calibration_below(truth, truth.astype(float), limit=0.05)
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert found.p == pytest.approx(0.95**4)
