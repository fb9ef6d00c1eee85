"""Where two models differ on the same rows: rows fixed and newly wrong, cells of the confusion, suspects."""

from typing import NamedTuple

import numpy as np

from tidegate.gate.report.record import Confusion
from tidegate.gate.rows import Rows, right


class Picked(NamedTuple):
    """How many rows there are of a sort, and the places of the first of them."""

    total: int
    first: np.ndarray


def pick_changed(new: Rows, old: Rows, most: int) -> tuple[Picked, Picked]:
    """Rows that only the new model answers right, and only the old: the first in the file.

    In a regression those whose error shrank, and grew: the largest change first.
    """
    if not new.classes:
        gain = np.abs(old.prediction - old.truth) - np.abs(new.prediction - new.truth)
        return _largest(gain, most), _largest(-gain, most)
    now, then = right(new), right(old)
    return _first(now & ~then, new.place, most), _first(then & ~now, new.place, most)


def confuse(new: Rows, old: Rows | None, most: int) -> tuple[Confusion, ...]:
    """The cells of the confusion that changed, largest change first; with nothing to compare the worst mistakes."""
    if not new.classes:
        return ()
    (cells, now), size = _cells(new), len(new.classes)
    if old is None:
        then, weight = None, np.where(cells // size == cells % size, 0, now)
    else:
        cells, now, then = _side_by_side((cells, now), _cells(old))
        weight = np.abs(now - then)
    order = np.argsort(-weight, kind="stable")[:most]
    return tuple(
        Confusion(
            new.classes[int(cells[at]) // size],
            new.classes[int(cells[at]) % size],
            int(now[at]),
            None if then is None else int(then[at]),
        )
        for at in order
        if weight[at]
    )


def _first(chosen: np.ndarray, place: np.ndarray, most: int) -> Picked:
    index = np.flatnonzero(chosen)
    return Picked(len(index), index[np.argsort(place[index])[:most]])


def _largest(gain: np.ndarray, most: int) -> Picked:
    index = np.flatnonzero(gain > 0)
    return Picked(len(index), index[np.argsort(-gain[index], kind="stable")[:most]])


def _cells(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs of truth and answer occur, numbered, and how often."""
    cells, counts = np.unique(
        rows.truth.astype(np.int64) * len(rows.classes) + rows.prediction, return_counts=True
    )
    return cells, counts


def _side_by_side(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cells = np.union1d(one[0], other[0])
    now, then = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=np.int64)
    for (known, counts), into in ((one, now), (other, then)):
        into[np.searchsorted(cells, known)] = counts
    return cells, now, then
