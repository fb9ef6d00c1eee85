"""Change detectors with a stated mean time to a false alarm: Shiryaev-Roberts e-detectors.

M <- e (1 + M) sums e-processes started at every window (Shin, Ramdas & Rinaldo 2024); an alarm at M >= c
comes falsely at most once in c windows on average. Scores are kept as log M, which starts at -inf.
"""

import math
from typing import Literal

import numpy as np

from tidegate.stats.exact import clopper_pearson

Sensitivity = Literal["low", "normal", "high"]
TOLERATED = {"low": 0.2, "normal": 0.1, "high": 0.05}
DRIFT_BETS = np.geomspace(0.02, 0.9, 8)
LOSS_BETS = np.geomspace(0.02, 0.9, 12)


def drift_limits(
    frequencies: np.ndarray, n_reference: int, *, sensitivity: Sensitivity = "normal"
) -> np.ndarray:
    """Per indicator the largest share of hits, and of misses, that is no drift: shape [indicators, 2].

    An indicator may move by h/2 on the arcsine scale, h = h0 + 1/sqrt(n_reference).
    """
    half = (TOLERATED[sensitivity] + 1 / math.sqrt(n_reference)) / 2
    angle = np.arcsin(np.sqrt(np.asarray(frequencies, dtype=float)))
    most = np.sin(np.minimum(angle + half, np.pi / 2)) ** 2
    least = np.sin(np.maximum(angle - half, 0)) ** 2
    return np.stack([most, 1 - least], axis=1)


def drift_start(indicators: int) -> np.ndarray:
    """The scores before the first window: log M of shape [indicators, 2 sides, 8 bets]."""
    return np.full((indicators, 2, len(DRIFT_BETS)), -np.inf)


def drift_step(scores: np.ndarray, hits: np.ndarray, n: int, *, limits: np.ndarray) -> np.ndarray:
    """The scores after a window of `n` rows of which `hits` [indicators] met each indicator.

    Windows follow each other in time; within one, rows may come from any number of shards.
    """
    counts = np.stack([hits, n - np.asarray(hits)], axis=1)[:, :, None]
    limit = np.maximum(limits, 1e-12)[:, :, None]
    bets = DRIFT_BETS / limit
    # at limit 1 nothing can exceed it, and rounding must not take log1p below -1
    wealth = counts * np.log1p(bets * (1 - limit)) + (n - counts) * np.log1p(-bets * limit)
    # a share cannot exceed 1: such a bet would only count windows, up to an alarm in the end
    wealth = np.where(limit < 1, wealth, -np.inf)
    moved: np.ndarray = wealth + np.logaddexp(0.0, scores)
    return moved


def drift_score(scores: np.ndarray) -> float:
    """log of the mean of M over indicators, sides and bets: the score of one feature."""
    return _log_mean(scores)


def performance_limit(errors: int, n: int, *, tolerance: float) -> float:
    """The error rate that is still as promised: the 90 % upper bound of the gate set's, plus `tolerance`."""
    return min(1.0, clopper_pearson(errors, n, error=0.1, side="upper").high + tolerance)


def performance_start() -> np.ndarray:
    """The scores before the first label: log M of 12 bets."""
    return np.full(len(LOSS_BETS), -np.inf)


def performance_step(scores: np.ndarray, errors: int, labels: int, *, limit: float) -> np.ndarray:
    """The scores after a batch of `labels` labels with `errors` wrong answers; time is counted in labels."""
    if labels == 0:
        return scores
    bets = LOSS_BETS / limit
    wealth = errors * np.log1p(bets * (1 - limit)) + (labels - errors) * np.log1p(-bets * limit)
    moved: np.ndarray = wealth + np.logaddexp(math.log(labels), scores)
    return moved


def performance_score(scores: np.ndarray) -> float:
    """log of the mean of M over bets; an alarm at log(c) is false at most once in c labels on average."""
    return _log_mean(scores)


def _log_mean(scores: np.ndarray) -> float:
    top = float(np.max(scores))
    if math.isinf(top):
        return top
    return top + math.log(float(np.mean(np.exp(scores - top))))
