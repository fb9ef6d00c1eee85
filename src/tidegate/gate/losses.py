"""Losses of single rows, which a metric is the mean of."""

import numpy as np

from tidegate.gate.rows import Rows, scores_of
from tidegate.project import MetricName

CLASSES = frozenset({"auc", "average_precision", "log_loss", "brier"})


def losses_of(name: MetricName, rows: Rows) -> tuple[np.ndarray, float | None]:
    """The loss of each row, and the largest that it can be; None where there is no largest."""
    if name.text == "brier":
        return _squares(rows), 1.0 if rows.scores is not None and rows.scores.ndim == 1 else 2.0
    if name.text == "log_loss":
        scores = said_of_truth(rows)
        return -np.log(np.clip(scores, np.finfo(float).eps, 1 - np.finfo(float).eps)), None
    if name.q:
        off = rows.truth - quantile_of(rows, name.q)
        return np.maximum(name.q * off, (name.q - 1) * off), None
    return np.abs(rows.truth - rows.prediction), None


def said_of_truth(rows: Rows) -> np.ndarray:
    """The score that each row's true class got."""
    scores = scores_of(rows)
    if scores.ndim == 1:
        return np.where(rows.truth == rows.positive, scores, 1 - scores)
    found: np.ndarray = scores[np.arange(len(scores)), rows.truth]
    return found


def quantile_of(rows: Rows, q: float) -> np.ndarray:
    """The answers for a quantile: their own column `prediction_0.9`, or the one answer there is."""
    found = rows.columns.get(f"#prediction_{q:g}")
    return found if isinstance(found, np.ndarray) else rows.prediction


def _squares(rows: Rows) -> np.ndarray:
    scores = scores_of(rows)
    if scores.ndim == 1:
        found: np.ndarray = (scores - (rows.truth == rows.positive)) ** 2
        return found
    true = said_of_truth(rows)
    summed: np.ndarray = np.maximum((scores**2).sum(axis=1) - true**2 + (1 - true) ** 2, 0.0)
    return summed
