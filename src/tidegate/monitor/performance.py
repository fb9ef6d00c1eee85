"""Late labels against the gate's promise: the alarm that pages."""

from typing import NamedTuple

import numpy as np

from tidegate.monitor.reference import Reference
from tidegate.project import Monitor
from tidegate.stats.detect import performance_limit, performance_score, performance_start, performance_step


class Performance(NamedTuple):
    """`errors` wrong answers among `labels` labels; `limit` is the error rate that is still as promised."""

    labels: int
    errors: int
    scores: np.ndarray
    limit: float


def start_performance(reference: Reference, settings: Monitor) -> Performance:
    """Before the first label."""
    limit = performance_limit(reference.errors, reference.n_answers, tolerance=settings.tolerance)
    return Performance(0, 0, performance_start(), limit)


def fold_labels(performance: Performance, errors: int, labels: int) -> Performance:
    """After a batch of `labels` new labels that prove `errors` answers wrong."""
    return Performance(
        performance.labels + labels,
        performance.errors + errors,
        performance_step(performance.scores, errors, labels, limit=performance.limit),
        performance.limit,
    )


def performance_level(performance: Performance) -> float:
    """The log score of lost quality; at log(c) an alarm is false at most once in c labels on average."""
    return performance_score(performance.scores)
