"""An answered request as it is written: its rows together, their numbers as bytes.

A row of many numbers costs as much to write as a copy of them, and a request of many rows little more than a
single one. Readers get rows (`rows_of`).
"""

import struct
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tidegate.domain import Prediction, Role

if TYPE_CHECKING:
    import numpy as np

Cells: TypeAlias = "bytes | Sequence[Sequence[float | str | None]]"
CELL_BYTES = 8
IS_LITTLE = sys.byteorder == "little"


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The `n` rows of one request; what a field means for a row is said at `Prediction`.

    `inputs` are float64 [n, columns] row by row, or a list of cells for each row where some are texts. `outputs`
    and `scores` have one item a row and are empty where there is no answer, `flags` where no row has any. Inputs at
    the positions `hidden` are not kept. Bytes are little-endian.
    """

    request: str
    n: int
    at: float
    unit: str
    endpoint: str
    bundle: str
    role: Role
    inputs: Cells
    outputs: Sequence[str | int | float]
    scores: Sequence[Sequence[float]]
    latency_ms: float
    status: int
    flags: tuple[tuple[str, ...], ...] = ()
    hidden: tuple[int, ...] = ()


def row_ids(request: str, n: int) -> tuple[str, ...]:
    """The ids of a request's rows: its own for a single one, else numbered from `.0`."""
    return (request,) if n == 1 else tuple(f"{request}.{i}" for i in range(n))


def pack_cells(rows: "np.ndarray") -> Cells:
    """Rows [n, columns] as `inputs` has them."""
    if rows.dtype.kind == "O":
        cells: Cells = rows.tolist()
        return cells
    return (rows if IS_LITTLE else rows.byteswap()).tobytes()


def rows_of(entry: Entry) -> list[Prediction]:
    """The rows of a request."""
    inputs = _rows(entry)
    if entry.hidden:
        inputs = [tuple(None if i in entry.hidden else cell for i, cell in enumerate(row)) for row in inputs]
    return [
        Prediction(
            name,
            entry.at,
            entry.unit,
            entry.endpoint,
            entry.bundle,
            entry.role,
            inputs[i],
            entry.outputs[i] if entry.outputs else None,
            tuple(entry.scores[i]) if entry.scores else (),
            entry.latency_ms,
            entry.status,
            entry.flags[i] if entry.flags else (),
        )
        for i, name in enumerate(row_ids(entry.request, entry.n))
    ]


def entry_of(row: Prediction) -> Entry:
    """A row that is a request of its own."""
    is_plain = all(isinstance(cell, int | float) for cell in row.inputs)
    return Entry(
        row.request,
        1,
        row.at,
        row.unit,
        row.endpoint,
        row.bundle,
        row.role,
        _packed(row.inputs) if is_plain else [row.inputs],
        [] if row.output is None else [row.output],
        [row.scores] if row.scores else [],
        row.latency_ms,
        row.status,
        (row.flags,) if row.flags else (),
    )


def without(entry: Entry, positions: Collection[int]) -> Entry:
    """The entry without its inputs at these positions."""
    rows = _rows(entry)
    is_plain = isinstance(entry.inputs, bytes)
    blank = [[0.0 if i in positions else cell for i, cell in enumerate(row)] for row in rows]
    inputs: Cells = _packed([cell for row in blank for cell in row]) if is_plain else blank
    return msgspec.structs.replace(entry, inputs=inputs, hidden=tuple(sorted(positions)))


def _packed(numbers: Sequence[Any]) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def _rows(entry: Entry) -> list[tuple[Any, ...]]:
    """The cells of each row."""
    if not isinstance(entry.inputs, bytes):
        return [tuple(row) for row in entry.inputs]
    width = len(entry.inputs) // CELL_BYTES // entry.n
    cells = struct.unpack(f"<{entry.n * width}d", entry.inputs)
    return [cells[i * width : (i + 1) * width] for i in range(entry.n)]
