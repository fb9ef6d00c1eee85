"""Metrics of answers, from counts: accuracy exactly, precision, recall and F1 by resampled counts."""

import numpy as np

from tidegate.gate.metric import Bar, Metric, p_by
from tidegate.gate.rows import Rows, count, right
from tidegate.project import MetricName, read_metric
from tidegate.stats.confusion import (
    Average,
    Kinds,
    Score,
    compute_score,
    count_kinds,
    margins_of,
    prove_score,
)
from tidegate.stats.confusion import Metric as StatMetric
from tidegate.stats.exact import paired_p
from tidegate.stats.result import Result
from tidegate.stats.shares import prove_paired, prove_share

FEW_KINDS = 1_000_000
WORDS: dict[str, StatMetric] = {"f1": "f1", "precision": "precision", "recall": "recall"}
AVERAGES: dict[str, Average] = {
    "macro": "macro", "micro": "micro", "weighted": "weighted", "binary": "binary",
}  # fmt: skip


def _accuracy(rows: Rows) -> float:
    return float(right(rows).mean())


def _prove_accuracy(rows: Rows, bar: Bar) -> Result:
    return prove_share(int(right(rows).sum()), count(rows), above=bar.above, tails=bar.tails)


def changes(new: Rows, old: Rows) -> tuple[int, int, int]:
    """How many rows only the new model gets right, how many only the old, and how many there are."""
    now, then = right(new), right(old)
    return int((now & ~then).sum()), int((then & ~now).sum()), len(now)


def _compare_accuracy(new: Rows, old: Rows, bar: Bar) -> Result:
    return prove_paired(*changes(new, old), margin=-bar.above, tails=bar.tails)


def _accuracy_p(new: Rows, old: Rows, bar: Bar) -> float:
    return paired_p(*changes(new, old), margin=-bar.above, gamma=min(1e-4, bar.tails.proof / 100))


def kinds_of(rows: Rows, other: Rows | None = None) -> Kinds:
    """How often each truth goes with each answer, and with the other model's."""
    columns = [rows.truth, rows.prediction, *([] if other is None else [other.prediction])]
    shape = (len(rows.classes),) * len(columns)
    if len(rows.classes) ** len(columns) > FEW_KINDS:
        return count_kinds(*columns)
    codes = np.ravel_multi_index([column.astype(np.intp) for column in columns], shape)
    found = np.bincount(codes, minlength=int(np.prod(shape)))
    kinds = np.flatnonzero(found)
    return Kinds(np.stack(np.unravel_index(kinds, shape), axis=1), found[kinds])


ACCURACY = Metric(read_metric("accuracy"), _accuracy, _prove_accuracy, _compare_accuracy, _accuracy_p)


def counted(name: MetricName) -> Metric:
    """A metric that is a function of counts of truths and answers."""
    word, _, average = name.text.partition("_")
    is_balanced = name.text == "balanced_accuracy"

    def score(rows: Rows) -> Score:
        default: Average = "binary" if rows.task == "binary" else "macro"
        if is_balanced:
            return Score("balanced_accuracy")
        return Score(WORDS[word], AVERAGES.get(average, default), rows.positive)

    def measure(rows: Rows) -> float:
        return float(compute_score(margins_of(kinds_of(rows)), score(rows)))

    def prove(rows: Rows, bar: Bar) -> Result:
        return prove_score(kinds_of(rows), score(rows), above=bar.above, tails=bar.tails)

    def compare(new: Rows, old: Rows, bar: Bar) -> Result:
        return prove_score(kinds_of(new, old), score(new), above=bar.above, tails=bar.tails)

    return Metric(name, measure, prove, compare, p_by(compare))
