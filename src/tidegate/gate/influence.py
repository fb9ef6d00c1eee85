"""Metrics that are no means: their value, and how far each row pulls it (the infinitesimal jackknife)."""

from typing import NamedTuple

import numpy as np

from tidegate.gate.rows import Rows, right, scores_of
from tidegate.project import MetricName
from tidegate.stats.calibration import BINS, calibration_error

NOTHING = np.empty(0)


class Influence(NamedTuple):
    """A value with the influence of each row, of mean 0; of a calibration also the outcomes and scores."""

    value: float
    each: np.ndarray
    truth: np.ndarray = NOTHING
    scores: np.ndarray = NOTHING


def influence_of(name: MetricName, rows: Rows) -> Influence:
    """The metric on these rows."""
    if name.text == "average_precision":
        return _precision(rows)
    if name.text == "calibration_error":
        return _calibration(rows)
    return _rmse(rows) if name.text == "rmse" else _r2(rows)


def average_precision(truth: np.ndarray, scores: np.ndarray) -> Influence:
    """The mean precision at the score of each positive row, rows of equal scores counted together.

    The influence of a row is its own precision against the mean, where it is positive, and what it does to the
    precision at every score up to its own.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], truth[order].astype(float)
    n, share = len(ordered), float(hits.mean())
    last = np.searchsorted(-ordered, -ordered, side="right") - 1
    first = np.searchsorted(-ordered, -ordered, side="left")
    reached = (last + 1).astype(float)
    precision = np.cumsum(hits)[last] / reached
    value = float((hits * precision).sum()) / (n * share)
    # what a row does at scores up to its own: sums over the positive rows from its tie group down
    ones, precisions = (
        _from_below(hits * part / (reached / n), first) / n for part in (np.ones(n), precision)
    )
    each = np.empty(n)
    each[order] = (hits * (precision - value) + hits * ones - precisions) / share
    return Influence(value, each)


def _from_below(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    total = np.cumsum(values[::-1])[::-1]
    found: np.ndarray = total[first]
    return found


def _precision(rows: Rows) -> Influence:
    """Of the positive class, or the mean over classes of one against the rest."""
    scores = scores_of(rows)
    if scores.ndim == 1:
        return average_precision(rows.truth == rows.positive, scores)
    each = [average_precision(rows.truth == number, scores[:, number]) for number in range(scores.shape[1])]
    return Influence(float(np.mean([one.value for one in each])), np.mean([one.each for one in each], axis=0))


def _calibration(rows: Rows) -> Influence:
    """Of two classes the positive one's scores, of more the highest score of each row."""
    scores = scores_of(rows)
    if scores.ndim > 1:
        truth, scores = scores.argmax(axis=1) == rows.truth, scores.max(axis=1)
    else:
        truth = rows.truth == rows.positive if len(rows.classes) == 2 else right(rows)
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    gaps = truth - scores
    value = calibration_error(truth, scores)
    each = np.sign(np.bincount(place, gaps, BINS))[place] * gaps - value
    return Influence(value, each, truth, scores)


def _rmse(rows: Rows) -> Influence:
    squares = (rows.truth - rows.prediction) ** 2
    root = float(np.sqrt(squares.mean()))
    return Influence(root, (squares - root**2) / (2 * root) if root else np.zeros(len(squares)))


def _r2(rows: Rows) -> Influence:
    squares = (rows.truth - rows.prediction) ** 2
    spread = (rows.truth - rows.truth.mean()) ** 2
    error, variance = float(squares.mean()), float(spread.mean())
    each = -(squares - error) / variance + error * (spread - variance) / variance**2
    return Influence(1 - error / variance, each)
