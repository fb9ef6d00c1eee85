"""Precision, recall, F1 and accuracy as functions of counts, for one model or two on the same rows."""

from typing import Literal, NamedTuple

import numpy as np

from tidegate.stats.bootstrap import NO_TAILS, prove_counts
from tidegate.stats.result import Result, Tails

Metric = Literal["accuracy", "balanced_accuracy", "precision", "recall", "f1"]
Average = Literal["macro", "micro", "weighted", "binary"]


class Score(NamedTuple):
    """A metric of answers; `average` over classes and the `positive` class are scikit-learn's."""

    metric: Metric
    average: Average = "macro"
    positive: int = 1


class Kinds(NamedTuple):
    """How many rows have the same truth and answers: `classes` [kinds, 1 + models] and `counts` [kinds].

    The first column is the truth, then the model's answer, then the other model's if there is one.
    """

    classes: np.ndarray
    counts: np.ndarray

    @property
    def size(self) -> int:
        """How many classes there are."""
        return int(self.classes.max()) + 1


class Margins(NamedTuple):
    """Per class how often the model was right, said it, and it was true: each [..., classes]."""

    hits: np.ndarray
    said: np.ndarray
    true: np.ndarray


def count_kinds(truth: np.ndarray, *answers: np.ndarray) -> Kinds:
    """The kinds of some rows, given as class numbers from 0."""
    columns = [np.asarray(column, dtype=np.int64) for column in (truth, *answers)]
    size = max(int(column.max()) for column in columns) + 1
    shape = (size,) * len(columns)
    codes, counts = np.unique(np.ravel_multi_index(columns, shape), return_counts=True)
    return Kinds(np.stack(np.unravel_index(codes, shape), axis=1), counts)


def prove_score(kinds: Kinds, score: Score, *, above: float, tails: Tails = NO_TAILS) -> Result:
    """Whether a score lies above a constant; with two models, whether new - old does (`above` = -margin)."""
    parts = [_indicators(kinds, model) for model in range(1, kinds.classes.shape[1])]

    def statistic(counts: np.ndarray) -> np.ndarray:
        found = [compute_score(Margins(*(counts @ part for part in model)), score) for model in parts]
        return found[0] - found[1] if len(found) > 1 else found[0]

    return prove_counts(kinds.counts, statistic, above=above, tails=tails)


def margins_of(kinds: Kinds, model: int = 1) -> Margins:
    """The margins of one model, the first unless said otherwise."""
    return Margins(*(kinds.counts @ part for part in _indicators(kinds, model)))


def compute_score(margins: Margins, score: Score) -> np.ndarray:
    """The score of each set of margins; a class that is neither true nor said takes no part."""
    hits, said, true = (np.asarray(part, dtype=float) for part in margins)
    if score.metric == "accuracy":
        return _ratio(hits.sum(axis=-1), true.sum(axis=-1))
    if score.metric == "balanced_accuracy":
        return _average(_ratio(hits, true), true > 0)
    if score.average == "micro":
        hits, said, true = (part.sum(axis=-1, keepdims=True) for part in (hits, said, true))
    each = _ratio(*_fraction(score.metric, Margins(hits, said, true)))
    if score.average == "binary":
        is_seen = score.positive < each.shape[-1]
        found: np.ndarray = each[..., score.positive] if is_seen else np.zeros(each.shape[:-1])
        return found
    return _average(each, true if score.average == "weighted" else said + true > 0)


def _fraction(metric: Metric, margins: Margins) -> tuple[np.ndarray, np.ndarray]:
    hits, said, true = margins
    if metric == "f1":
        return 2 * hits, said + true
    return hits, said if metric == "precision" else true


def _indicators(kinds: Kinds, model: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which kinds are a hit, an answer, a truth of each class: what turns counts into margins."""
    every = np.arange(kinds.size)
    true = (kinds.classes[:, :1] == every).astype(float)
    said = (kinds.classes[:, [model]] == every).astype(float)
    return true * said, said, true


def _average(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return _ratio((values * weights).sum(axis=-1), weights.sum(axis=-1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient; 0 where nothing is divided by nothing."""
    found: np.ndarray = np.divide(above, below, out=np.zeros_like(above, dtype=float), where=below > 0)
    return found
