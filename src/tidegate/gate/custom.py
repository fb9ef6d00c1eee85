"""Metrics of the user's own, `module:function`: called with the rows as arrays by column name."""

import hashlib
import importlib
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
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


def sources_digest(metrics: Iterable[MetricName]) -> str:
    """SHA-256 of the modules that these metrics are functions of; "" when none is the user's own.

    A module is its file, not what it imports. Raises UsageError for one that is not there.
    """
    own = sorted({name.text for name in metrics if name.needs == "rows"})
    if not own:
        return ""
    found = hashlib.sha256()
    for text in own:
        found.update(f"{text} {hashlib.sha256(_source(text)).hexdigest()}\n".encode())
    return found.hexdigest()


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
        raise _no_function(text, str(error)) from None
    return found


def _source(text: str) -> bytes:
    """The file that a function's module is read from; empty for one that is built in."""
    module = text.partition(":")[0]
    try:
        spec = find_spec(module)
    except (ImportError, ValueError) as error:
        raise _no_function(text, str(error)) from None
    if spec is None:
        raise _no_function(text, f"No module named '{module}'")
    path = Path(spec.origin or "")
    return path.read_bytes() if path.is_file() else b""


def _no_function(text: str, why: str) -> UsageError:
    return UsageError(f"{CONFIG}: gate.rule.metric", f"`{text}`: {why}, expected a function")


def _wrong(name: MetricName, found: str) -> UsageError:
    return UsageError(f"metric {name.text}", found)
