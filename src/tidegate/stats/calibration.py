"""Whether scores are the probabilities that they say they are."""

import math

import numpy as np
from scipy.special import ndtri

from tidegate.stats.asymptotic import Estimate, conclude_normal
from tidegate.stats.bootstrap import NO_TAILS, generator
from tidegate.stats.result import Result, Tails, negate

BINS = 15


def calibration_error(truth: np.ndarray, scores: np.ndarray, *, bins: int = BINS) -> float:
    """The expected calibration error: |share of positives - mean score| over bins of equal width, by rows.

    `truth` is 0/1 for `scores` of a positive; for the top class of several, whether it was right.
    """
    place, gaps = _bin(truth, scores, bins)
    return float(np.abs(np.bincount(place, gaps, bins)).sum()) / len(gaps)


def prove_calibration_below(
    truth: np.ndarray, scores: np.ndarray, *, limit: float, tails: Tails = NO_TAILS
) -> Result:
    """Whether the calibration error is at most `limit`.

    |d| is convex: noise only adds to the error beyond what it does to the sum of the gaps with their true
    signs, so the upper end may take that sum's normal error. Any fixed signs give at most the error: the lower
    end takes each half's signs to the other half's gaps, two sums whose correlation without gaps is 2/pi.
    Uniformly valid, also where bins have no gap.
    """
    place, gaps = _bin(truth, scores, BINS)
    n = len(gaps)
    half = generator(place, gaps).integers(0, 2, n) == 1
    sums = [np.bincount(place[part], gaps[part], BINS) for part in (half, ~half)]
    total = sums[0] + sums[1]
    error = float(np.std(np.sign(total)[place] * gaps)) / math.sqrt(n)
    estimate = Estimate(-float(np.abs(total).sum()) / n, error, n, "signed gaps")
    found = negate(conclude_normal(estimate, above=-limit, tails=tails))
    crossed = float(np.sign(sums[0]) @ sums[1] + np.sign(sums[1]) @ sums[0]) / n
    least = crossed + float(ndtri(tails.refute)) * error * math.sqrt(1 + 2 / math.pi)
    return found._replace(low=max(0.0, least))


def _bin(truth: np.ndarray, scores: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row's bin, and truth minus score. Raises ValueError for a score that is no probability."""
    scores = np.asarray(scores, dtype=float)
    if not (len(scores) and np.all((scores >= 0) & (scores <= 1))):
        raise ValueError("scores must be some probabilities, each within [0, 1]")
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    return place, np.asarray(truth, dtype=float) - scores
