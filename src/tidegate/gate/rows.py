"""Evaluation rows in memory: one model's answers beside the truth, in an order that depends on content alone.

Memory is bounded: a class or a slice's value takes 1, 2 or 4 bytes a row, a number 8, its place in the file 4;
only columns that a rule asks for are held, and while a file is read up to 64 bytes a row beside them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tidegate.errors import UsageError
from tidegate.project import Task


class Coded(NamedTuple):
    """A column of text: `codes` are places in `levels`."""

    codes: np.ndarray
    levels: tuple[str, ...]


Cells = Coded | np.ndarray


class Rows(NamedTuple):
    """One model on one test set.

    With classes, `truth` and `prediction` are coded by the same `classes`; in a regression they are numbers.
    `scores` are [rows] (of the positive class, or a confidence), or [rows, classes]. `columns` are what slices
    are cut by, `place` is where in its file each row stands. `test_set` and `digest` stand for ids with truth,
    and for everything that the rows say.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    positive: int
    truth: np.ndarray
    prediction: np.ndarray
    scores: np.ndarray | None
    columns: Mapping[str, Cells]
    place: np.ndarray
    test_set: str
    digest: str


def count(rows: Rows) -> int:
    """How many rows there are."""
    return len(rows.truth)


def right(rows: Rows) -> np.ndarray:
    """Whether each answer is the truth."""
    found: np.ndarray = rows.truth == rows.prediction
    return found


def scores_of(rows: Rows) -> np.ndarray:
    """The scores. Raises UsageError where there are none."""
    if rows.scores is None:
        raise UsageError(rows.name, "no column of scores, a rule needs them", hint="write the column `score`")
    return rows.scores


def numbers_of(rows: Rows, name: str, *, mark: str = "#") -> np.ndarray:
    """A column of numbers that was read for a rule, or, marked `?`, which rows meet a condition."""
    found = rows.columns[f"{mark}{name}"]
    return found.codes if isinstance(found, Coded) else found


def coded_of(rows: Rows, name: str) -> Coded:
    """A column that was read by its values."""
    found = rows.columns[name]
    if not isinstance(found, Coded):
        raise TypeError(f"column `{name}` was read as numbers")
    return found


def said(rows: Rows) -> list[str]:
    """The answers as text."""
    if not rows.classes:
        return [str(value) for value in rows.prediction.tolist()]
    return [rows.classes[code] for code in rows.prediction.tolist()]


def take(rows: Rows, index: np.ndarray) -> Rows:
    """Some of the rows; digests are those of all."""
    scores = None if rows.scores is None else rows.scores[index]
    columns = {name: pick(cells, index) for name, cells in rows.columns.items()}
    return rows._replace(
        truth=rows.truth[index],
        prediction=rows.prediction[index],
        scores=scores,
        columns=columns,
        place=rows.place[index],
    )


def pick(cells: Cells, index: np.ndarray) -> Cells:
    """Some of a column's cells."""
    if isinstance(cells, Coded):
        return Coded(cells.codes[index], cells.levels)
    found: np.ndarray = cells[index]
    return found


def one_code(one: Rows, other: Rows) -> tuple[Rows, Rows]:
    """Two models' rows with the classes of both, in one order."""
    if one.classes == other.classes:
        return one, other
    classes = tuple(dict.fromkeys((*one.classes, *other.classes)))
    return recode(one, classes), recode(other, classes)


def recode(rows: Rows, classes: Sequence[str]) -> Rows:
    """The same rows with their classes in another order, which may hold more.

    Scores of a class that a model does not know are 0.
    """
    places = np.array([classes.index(name) for name in rows.classes], dtype=code_type(len(classes)))
    scores = rows.scores
    if scores is not None and scores.ndim > 1:
        scores = np.zeros((count(rows), len(classes)))
        scores[:, places] = rows.scores
    positive = classes.index(rows.classes[rows.positive]) if rows.classes else 0
    coded = rows._replace(truth=places[rows.truth], prediction=places[rows.prediction], scores=scores)
    return coded._replace(classes=tuple(classes), positive=positive)


def code_type(levels: int) -> type[np.unsignedinteger]:
    """The smallest type that numbers this many levels."""
    return np.uint8 if levels <= 2**8 else np.uint16 if levels <= 2**16 else np.uint32


def digest_of(parts: Iterable[np.ndarray | str]) -> str:
    """SHA-256 over texts and arrays, whose lengths and types keep them from running into each other."""
    found = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).data
        kind = "text" if isinstance(part, str) else f"{part.dtype.kind}{part.shape}"
        found.update(f"{kind} {len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def rows_digest(rows: Rows) -> str:
    """SHA-256 of all that is held of the rows: of what the rules can see."""
    parts: list[np.ndarray | str] = [rows.test_set, *plain_cells(rows.prediction, rows.classes)]
    if rows.scores is not None:
        parts += ["scores", *rows.classes, rows.scores]
    for name, cells in sorted(rows.columns.items()):
        parts += [name, *(plain_cells(cells.codes, cells.levels) if isinstance(cells, Coded) else [cells])]
    return digest_of(parts)


def plain_cells(values: np.ndarray, levels: Sequence[str]) -> list[np.ndarray | str]:
    """Coded values with the levels that they have, whatever other levels there are; numbers as they are."""
    if not levels:
        return [values]
    seen = np.flatnonzero(np.bincount(values, minlength=len(levels)))
    named = sorted(seen.tolist(), key=lambda code: levels[code])
    rank = np.zeros(len(levels), dtype=np.uint32)
    rank[named] = np.arange(len(named))
    return [*(levels[code] for code in named), rank[values]]
