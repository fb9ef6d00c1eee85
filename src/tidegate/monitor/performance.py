"""Late labels against the gate's promise: the alarm that pages."""

import math
from typing import NamedTuple

import numpy as np

from tidegate.monitor.reference import Reference
from tidegate.project import Monitor
from tidegate.stats.detect import performance_limit, performance_score, performance_start, performance_step

# labels are folded in batches of this size, so that the same labels always give the same score
BATCH = 10


class Performance(NamedTuple):
    """`errors` wrong answers among `labels` labels; `limit` is the error rate that is still as promised.

    `climb` is each bet's log wealth over its most suspicious stretch of labels up to now, `recent`
    [bets, 2] that stretch's labels and errors.
    """

    labels: int
    errors: int
    scores: np.ndarray
    limit: float
    climb: np.ndarray
    recent: np.ndarray


def start_performance(reference: Reference, settings: Monitor) -> Performance:
    """Before the first label."""
    limit = performance_limit(reference.errors, reference.n_answers, tolerance=settings.tolerance)
    scores = performance_start()
    return Performance(0, 0, scores, limit, np.zeros(len(scores)), np.zeros((len(scores), 2), dtype=int))


def fold_labels(performance: Performance, errors: int, labels: int) -> Performance:
    """After a batch of `labels` new labels that prove `errors` answers wrong; nothing without labels."""
    if not labels:
        return performance
    scores = performance_step(performance.scores, errors, labels, limit=performance.limit)
    wealth = scores - np.logaddexp(math.log(labels), performance.scores)
    over = performance.climb <= 0
    return Performance(
        performance.labels + labels,
        performance.errors + errors,
        scores,
        performance.limit,
        climb=np.where(over, 0.0, performance.climb) + wealth,
        recent=np.where(over[:, None], 0, performance.recent) + np.array((labels, errors)),
    )


def recent_labels(performance: Performance) -> tuple[int, int]:
    """Labels and errors of the stretch that the worst bet grew on: where the loss shows."""
    labels, errors = performance.recent[int(performance.scores.argmax())].tolist()
    return labels, errors


def performance_level(performance: Performance) -> float:
    """The log score of lost quality; at log(c) an alarm is false at most once in c labels on average."""
    return performance_score(performance.scores)
