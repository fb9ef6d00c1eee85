"""The area under the ROC curve: DeLong's test in the midrank form of Sun & Xu (2014), O(n log n)."""

import math

import numpy as np

from tidegate.stats.asymptotic import Estimate, conclude_normal
from tidegate.stats.bootstrap import NO_TAILS, prove_mean_of
from tidegate.stats.result import Result, Tails


def auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive row scores above a negative one, ties half; nan when a class is missing."""
    return float(np.mean(_placements(np.asarray(truth, dtype=bool), scores)[0]))


def macro_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """The mean over classes of one against the rest; `scores` are [rows, classes], `truth` class numbers.

    Raises ValueError when a class has no row: its area is unknown.
    """
    return _macro(np.asarray(truth), np.asarray(scores))[0]


def prove_auc(truth: np.ndarray, scores: np.ndarray, *, above: float, tails: Tails = NO_TAILS) -> Result:
    """Whether the area lies above a constant. Raises ValueError when a class has fewer than two rows."""
    return _delong(truth, [scores], above=above, tails=tails)


def prove_auc_difference(
    truth: np.ndarray, new: np.ndarray, old: np.ndarray, *, margin: float, tails: Tails = NO_TAILS
) -> Result:
    """Whether new - old area on the same rows lies above `-margin` (paired DeLong, one-sided at the margin)."""
    return _delong(truth, [new, old], above=-margin, tails=tails)


def prove_macro_auc(
    truth: np.ndarray, scores: np.ndarray, *, above: float, tails: Tails = NO_TAILS
) -> Result:
    """Whether the macro area lies above a constant, by the bootstrap of each row's influence on it."""
    area, influence = _macro(np.asarray(truth), np.asarray(scores))
    return prove_mean_of(influence, shift=area, above=above, tails=tails)


def prove_macro_auc_difference(
    truth: np.ndarray, new: np.ndarray, old: np.ndarray, *, margin: float, tails: Tails = NO_TAILS
) -> Result:
    """Whether new - old macro area on the same rows lies above `-margin`, by the same bootstrap, paired."""
    (area, influence), (before, on_old) = (_macro(np.asarray(truth), np.asarray(part)) for part in (new, old))
    return prove_mean_of(influence - on_old, shift=area - before, above=-margin, tails=tails)


def _delong(truth: np.ndarray, models: list[np.ndarray], *, above: float, tails: Tails) -> Result:
    is_positive = np.asarray(truth, dtype=bool)
    if min(is_positive.sum(), (~is_positive).sum()) < 2:
        raise ValueError("an AUC with an interval needs two rows of each class")
    found = [_placements(is_positive, scores) for scores in models]
    positive, negative = (
        side[0] - side[1] if len(side) > 1 else side[0] for side in zip(*found, strict=True)
    )
    variance = float(np.var(positive, ddof=1) / len(positive) + np.var(negative, ddof=1) / len(negative))
    estimate = Estimate(float(positive.mean()), math.sqrt(variance), len(is_positive), "DeLong")
    return conclude_normal(estimate, above=above, tails=tails)


def _placements(is_positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per positive row the share of negatives it beats, per negative row the share of positives above it."""
    scores = np.asarray(scores, dtype=float)
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers, nan found")
    positives, negatives = scores[is_positive], scores[~is_positive]
    if not (len(positives) and len(negatives)):
        return np.array([math.nan]), np.array([math.nan])
    ranks = _midranks(scores)
    won = (ranks[is_positive] - _midranks(positives)) / len(negatives)
    lost = 1 - (ranks[~is_positive] - _midranks(negatives)) / len(positives)
    return won, lost


def _midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing the middle one."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: np.ndarray = (ends - (counts - 1) / 2)[place]
    return found


def _macro(truth: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The macro area, and per row how far it pulls the area: values with mean 0."""
    areas, influence = [], np.zeros(len(truth))
    for number in range(scores.shape[1]):
        is_positive = truth == number
        won, lost = _placements(is_positive, scores[:, number])
        if math.isnan(won[0]):
            raise ValueError(f"class {number} has no row, or every row")
        area, share = float(won.mean()), float(is_positive.mean())
        influence[is_positive] += (won - area) / share
        influence[~is_positive] += (lost - area) / (1 - share)
        areas.append(area)
    return float(np.mean(areas)), influence / scores.shape[1]
