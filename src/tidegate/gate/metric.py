"""Metrics: what is tested of evaluation rows, and whether these rows allow it.

A Metric speaks of goodness: a loss is tested with its sign changed, so that more is better everywhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tidegate.domain import Unit
from tidegate.errors import UsageError
from tidegate.gate.losses import CLASSES
from tidegate.gate.rows import Rows, scores_of
from tidegate.project import MetricName
from tidegate.stats.result import Result, Tails, negate

PROBABILITIES = frozenset({"log_loss", "brier", "calibration_error"})

# of two classes they are those of the positive one
OF_POSITIVE = frozenset({"f1", "precision", "recall"})


class Bar(NamedTuple):
    """What goodness, or its difference, must exceed, and the errors of the test."""

    above: float
    tails: Tails


class Metric(NamedTuple):
    """A metric by name: its value, the proof for one model and for two on the same rows, in goodness.

    `p_of` is the p-value alone, where that costs less than the interval.
    """

    name: MetricName
    measure: Callable[[Rows], float]
    prove: Callable[[Rows, Bar], Result]
    compare: Callable[[Rows, Rows, Bar], Result]
    p_of: Callable[[Rows, Rows, Bar], float]

    @property
    def sign(self) -> int:
        """-1 for a loss."""
        return -1 if self.name.is_loss else 1

    @property
    def unit(self) -> Unit:
        """How its values are read: as shares of rows or as numbers."""
        return "share" if self.name.needs == "answers" else "number"


def lacks(name: MetricName, rows: Rows) -> str:
    """Why a metric cannot be computed on these rows; empty when it can."""
    if name.needs == "scores":
        return _no_scores(name, rows) or _thin(name, rows) or _no_probabilities(name, rows)
    if name.text == "r2" and np.ptp(rows.truth) == 0:
        return "every truth is the same, `r2` needs some spread"
    if name.text in OF_POSITIVE and rows.task == "binary" and not (rows.truth == rows.positive).any():
        return f"no row is of class `{rows.classes[rows.positive]}`, `{name.text}` is about those"
    return ""


def require(name: MetricName, rows: Rows) -> None:
    """UsageError when the metric cannot be computed on these rows."""
    reason = lacks(name, rows)
    if reason:
        raise UsageError(rows.name, reason, hint="write the column, or change the rule's metric")


def goodness(metric: Metric, found: Result) -> Result:
    """A result of goodness as one of the metric's own values, or the other way round."""
    return negate(found) if metric.sign < 0 else found


def _no_scores(name: MetricName, rows: Rows) -> str:
    if rows.scores is None:
        return f"no column of scores, `{name.text}` needs them"
    if name.text in CLASSES and rows.scores.ndim == 1 and rows.task == "multiclass":
        return f"one score a row, `{name.text}` of {len(rows.classes)} classes needs one for each"
    return ""


def _thin(name: MetricName, rows: Rows) -> str:
    """Ranks compare rows of different classes."""
    if name.text not in ("auc", "average_precision"):
        return ""
    if len(rows.classes) < 2:
        return f"one class, `{name.text}` needs two rows of each class"
    seen = np.bincount(rows.truth, minlength=len(rows.classes))
    fewest = int(seen.argmin())
    if seen[fewest] >= 2:
        return ""
    return (
        f"class `{rows.classes[fewest]}` has {seen[fewest]} rows, `{name.text}` needs two rows of each class"
    )


def _no_probabilities(name: MetricName, rows: Rows) -> str:
    if name.text not in PROBABILITIES:
        return ""
    scores = scores_of(rows)
    wrong = (scores < 0) | (scores > 1)
    if not wrong.any():
        return ""
    bad, many = float(scores[wrong].flat[0]), int(wrong.sum())
    return f"{many:,} scores outside [0, 1], such as {bad:g}, `{name.text}` needs probabilities"


def p_by(compare: Callable[[Rows, Rows, Bar], Result]) -> Callable[[Rows, Rows, Bar], float]:
    """The p-value of a comparison, for tests that have no cheaper way to it."""
    return lambda new, old, bar: compare(new, old, bar).p
