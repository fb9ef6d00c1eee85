"""Whether a column of scores or answers is still distributed as it was."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import kolmogorov

from tidegate.stats.detect import Sensitivity, drift_limits, drift_score, drift_start, drift_step

CUTS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Difference(NamedTuple):
    """How far two samples differ, and the evidence that their distributions differ by more than tolerated.

    `at` is the value where they differ most; `log_e` is set where the test is an e-value.
    """

    distance: float
    at: float
    p: float
    log_e: float | None = None


def kolmogorov_smirnov(reference: np.ndarray, current: np.ndarray, *, tolerance: float = 0.0) -> Difference:
    """The two-sample test of "nowhere do the shares below a value differ by more than `tolerance`".

    Asymptotic (Smirnov 1948); a tolerance is taken off the distance, which keeps the error as the distance
    of the samples exceeds that of the distributions by noise alone.
    """
    distance, at = _distance(np.sort(reference), np.sort(current))
    size = len(reference) * len(current) / (len(reference) + len(current))
    p = float(kolmogorov(math.sqrt(size) * max(distance - tolerance, 0.0)))
    return Difference(distance, at, p)


def drifted_window(
    reference: np.ndarray, current: np.ndarray, *, sensitivity: Sensitivity = "normal"
) -> Difference:
    """One window of the drift detector: the e-value of "no share below a cut moved by more than tolerated".

    Cuts are 13 quantiles of the reference; exact relative to it, as to a frozen one.
    """
    ordered, n = np.sort(reference), len(current)
    cuts = np.unique(ordered[np.minimum((np.array(CUTS) * len(ordered)).astype(int), len(ordered) - 1)])
    shares = np.searchsorted(ordered, cuts, side="right") / len(ordered)
    hits = np.searchsorted(np.sort(current), cuts, side="right")
    limits = drift_limits(shares, len(ordered), sensitivity=sensitivity)
    log_e = drift_score(drift_step(drift_start(len(cuts)), hits, n, limits=limits))
    moved = np.abs(hits / n - shares)
    worst = int(np.argmax(moved))
    return Difference(float(moved[worst]), float(cuts[worst]), math.exp(-max(log_e, 0.0)), log_e)


def drifted_levels(
    reference: np.ndarray, current: np.ndarray, *, sensitivity: Sensitivity = "normal"
) -> Difference:
    """The same for a column of categories, from how often each level was seen; `at` is the level's number."""
    shares, n = np.asarray(reference) / np.sum(reference), int(np.sum(current))
    limits = drift_limits(shares, int(np.sum(reference)), sensitivity=sensitivity)
    log_e = drift_score(drift_step(drift_start(len(shares)), np.asarray(current), n, limits=limits))
    moved = np.abs(np.asarray(current) / n - shares)
    worst = int(np.argmax(moved))
    return Difference(float(moved[worst]), float(worst), math.exp(-max(log_e, 0.0)), log_e)


def _distance(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """The largest gap between two empirical distributions, and a value where it is."""
    values = np.concatenate([reference, current])
    below = np.searchsorted(reference, values, side="right") / len(reference)
    gaps = np.abs(below - np.searchsorted(current, values, side="right") / len(current))
    worst = int(np.argmax(gaps))
    return float(gaps[worst]), float(values[worst])
