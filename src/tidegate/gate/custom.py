"""Metrics of the user's own, `module:function`: called with the rows as arrays by column name."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tidegate.errors import UsageError
from tidegate.gate.rows import Cells, Coded, Rows, count, pick
from tidegate.project import CONFIG, MetricName
from tidegate.stats.bootstrap import RESAMPLES, Draws, conclude, generator, prove_batches
from tidegate.stats.result import Result, Tails

MANY = 100_000
BATCHES = 200
GROUPS = 100


def view_of(name: MetricName, rows: Rows, index: np.ndarray | None = None) -> np.ndarray:
    """What the function says: a value for each row, or one number.

    It gets a mapping with `truth`, `prediction`, `scores` (None where there are none) and the columns that rules
    name. Raises UsageError for a function that is not there, fails, or returns anything else.
    """
    shown = _columns(rows, index)
    n = count(rows) if index is None else len(index)
    try:
        found = np.asarray(_function(name.text)(shown), dtype=float)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise _wrong(name, f"failed with {type(error).__name__}: {error}") from error
    if found.shape not in ((), (n,)):
        raise _wrong(name, f"returned shape {found.shape}, expected one number or {n:,}")
    if not np.isfinite(found).all():
        raise _wrong(name, "returned what is no finite number")
    return found


def resample(statistic: Callable[[np.ndarray], Any], rows: Rows, *, above: float, tails: Tails) -> Result:
    """Whether one number about rows lies above a constant, by calling for it again on resampled rows.

    Up to 100,000 rows by the bootstrap, beyond by its values on 200 disjoint batches.
    """
    n = count(rows)
    rng, every = generator(rows.truth, rows.prediction), np.arange(n)
    estimate = float(statistic(every))
    if n > MANY:
        parts = np.array_split(rng.permutation(n), BATCHES)
        batches = np.array([float(statistic(part)) for part in parts])
        return prove_batches(estimate, batches, n, above=above, tails=tails)
    values = np.array([float(statistic(rng.integers(0, n, n))) for _ in range(RESAMPLES)])
    groups = min(n, GROUPS)
    left_out = np.array([float(statistic(every[every % groups != group])) for group in range(groups)])
    off = left_out.mean() - left_out
    squares = float((off**2).sum())
    acceleration = float((off**3).sum()) / (6 * squares**1.5) if squares else 0.0
    return conclude(Draws(estimate, values, acceleration), n, above=above, tails=tails)


def _columns(rows: Rows, index: np.ndarray | None) -> Mapping[str, Any]:
    def shown(cells: Cells) -> np.ndarray:
        part = cells if index is None else pick(cells, index)
        return np.array(part.levels)[part.codes] if isinstance(part, Coded) else part

    scores = rows.scores if rows.scores is None or index is None else rows.scores[index]
    answers = {
        name: shown(Coded(values, rows.classes) if rows.classes else values)
        for name, values in (("truth", rows.truth), ("prediction", rows.prediction))
    }
    return {
        **{name.lstrip("#"): shown(cells) for name, cells in rows.columns.items()},
        **answers,
        "scores": scores,
    }


def _function(text: str) -> Callable[[Mapping[str, Any]], Any]:
    module, _, function = text.partition(":")
    try:
        found: Callable[[Mapping[str, Any]], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{CONFIG}: gate.rule.metric", f"`{text}`: {error}, expected a function") from None
    return found


def _wrong(name: MetricName, found: str) -> UsageError:
    return UsageError(f"metric {name.text}", found)
