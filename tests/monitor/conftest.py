"""A population of rows to draw references and windows from; a test bends one draw to make a drift."""

from collections.abc import Callable

import numpy as np
import pytest

from tidegate.data.tables import Table
from tidegate.monitor.drift import Drift, fold_window
from tidegate.monitor.reference import Reference, build_reference

NAMES = ("normal", "skewed", "count", "flag", "holes", "constant", "empty")
CLASSES = ("bird", "cat", "dog")


def draw_inputs(random: np.random.Generator, rows: int) -> np.ndarray:
    """Rows of the population: continuous, skewed, discrete, binary, partly missing, constant, all missing."""
    found = np.empty((rows, len(NAMES)))
    found[:, 0] = random.normal(size=rows)
    found[:, 1] = random.lognormal(size=rows)
    found[:, 2] = random.poisson(3, size=rows)
    found[:, 3] = random.random(rows) < 0.4
    found[:, 4] = np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows))
    found[:, 5] = 0.1
    found[:, 6] = np.nan
    return found


def draw_answers(random: np.random.Generator, rows: int) -> list[str]:
    """Answers of a model to rows of the population."""
    return random.choice(CLASSES, size=rows, p=(0.2, 0.3, 0.5)).tolist()


def table_of(inputs: np.ndarray) -> Table:
    """Rows as a table read from a file, where a missing value is None."""
    values = {
        name: [None if np.isnan(value) else float(value) for value in inputs[:, index]]
        for index, name in enumerate(NAMES)
    }
    return Table(NAMES, values)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20_250_117)


@pytest.fixture
def inputs() -> Callable[[np.random.Generator, int], np.ndarray]:
    return draw_inputs


@pytest.fixture
def answers() -> Callable[[np.random.Generator, int], list[str]]:
    return draw_answers


@pytest.fixture
def reference(random: np.random.Generator) -> Reference:
    """2000 rows, 1000 answers of which 100 were wrong."""
    return build_reference(table_of(draw_inputs(random, 2000)), draw_answers(random, 1000), 100)


@pytest.fixture
def fold(random: np.random.Generator) -> Callable[..., Drift]:
    """Fold windows of 1000 rows, of which `changes` replace columns and `answers` the answers."""

    def _fold(drift: Drift, windows: int, changes=(), answers=draw_answers) -> Drift:
        for _ in range(windows):
            rows = draw_inputs(random, 1000)
            for name, change in dict(changes).items():
                rows[:, NAMES.index(name)] = change(rows[:, NAMES.index(name)])
            drift = fold_window(drift, rows, answers(random, 1000))
        return drift

    return _fold
