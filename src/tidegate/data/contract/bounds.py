"""A matrix of numbers against the contract, as the endpoint has it: one comparison when all is fine."""

import math
import sys
from collections.abc import Callable, Sequence
from operator import ge, le
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tidegate.data.contract.judge import row_checks
from tidegate.data.contract.rows import RowCheck, compile_rows
from tidegate.data.contract.rules import Column, Contract, Items, Range, Violation, argument_of

if TYPE_CHECKING:
    import numpy as np

MAX_LISTED = 1000
MAX_SHORT = 256


class Slot(NamedTuple):
    """Where a feature stands in the matrix: its first column, how many it takes, and the shape they fold to.

    `native` makes a number of the matrix what it stands for.
    """

    column: Column
    start: int
    width: int
    shape: tuple[int, ...]
    native: Callable[[float], object]


class Ends(msgspec.Struct, frozen=True, gc=False):
    """The bounds of a row as plain numbers, for which Python is quicker than numpy; `are_whole` if all must be that."""

    low: list[float]
    high: list[float]
    are_whole: bool

    def hold(self, cells: list[float]) -> bool:
        """Whether all is fine; where not, or where NaN may stand, somebody else looks."""
        return (
            all(map(le, self.low, cells))
            and all(map(ge, self.high, cells))
            and (not self.are_whole or all(map(float.is_integer, cells)))
        )


class MatrixCheck(msgspec.Struct, frozen=True, gc=False):
    """The compiled check of a matrix [rows, width]; `low` and `high` are the smallest and largest that may be.

    `whole` are the columns of integers, `closer` says that some rows need more than bounds. `ends` are the
    bounds of a row once more where it is short and nothing else is looked at.
    """

    row: RowCheck
    slots: tuple[Slot, ...]
    low: "np.ndarray"
    high: "np.ndarray"
    nullable: "np.ndarray | None"
    whole: "np.ndarray | None"
    closer: bool
    ends: "Ends | None" = None

    def violations(self, rows: "np.ndarray", paths: Sequence[str]) -> tuple[Violation, ...]:
        """Everything wrong in rows of float64, NaN for null; `paths` names each row. At most MAX_LISTED are listed."""
        suspects = self.suspects(rows)
        return self._listed(rows, paths, suspects) if suspects else ()

    def suspects(self, rows: "np.ndarray") -> Sequence[int]:
        """The numbers of the rows that may break the contract: those out of bounds, or all that need more than that."""
        import numpy as np

        if self.closer:
            return range(len(rows))
        if len(rows) == 1 and self.ends is not None and self.ends.hold(rows[0].tolist()):
            return ()
        fine = (rows >= self.low) & (rows <= self.high)
        if self.nullable is not None and not fine.all():
            fine |= np.isnan(rows) & self.nullable
        if self.whole is not None:
            part = rows[:, self.whole]
            fine[:, self.whole] &= (part == np.floor(part)) | np.isnan(part)
        return (
            () if np.count_nonzero(fine) == fine.size else [int(i) for i in np.flatnonzero(~fine.all(axis=1))]
        )

    def _listed(
        self, rows: "np.ndarray", paths: Sequence[str], suspects: Sequence[int]
    ) -> tuple[Violation, ...]:
        found: list[Violation] = []
        look = self.row.violations if self.closer else self.row.judge.violations
        for i in suspects:
            row = unfold(self.slots, rows[i].tolist())
            found += look(row, paths[i])
            if len(found) >= MAX_LISTED:
                break
        return tuple(found[:MAX_LISTED])


def compile_matrix(contract: Contract) -> MatrixCheck:
    """The check of the features as one matrix of numbers, arrays flattened; text is none of its business."""
    import numpy as np

    check = compile_rows(contract)
    slots = make_slots(check.contract)
    width = sum(slot.width for slot in slots)
    low, high = np.full(width, -np.finfo(float).max), np.full(width, np.finfo(float).max)
    nullable, whole = np.zeros(width, dtype=bool), np.zeros(width, dtype=bool)
    for slot in slots:
        part = slice(slot.start, slot.start + slot.width)
        low[part], high[part] = _ends(slot.column)
        nullable[part] = not slot.column.is_required
        whole[part] = _kind(slot.column) in ("integer", "boolean")
    closer = bool(check.rules) or any(_needs_more(column) for column in contract.columns)
    return MatrixCheck(
        check, slots, low, high, nullable if nullable.any() else None, whole if whole.any() else None, closer
    )


def narrow(check: MatrixCheck, largest: float) -> MatrixCheck:
    """The check for a model that takes no number larger in size than `largest`."""
    import numpy as np

    low, high = np.maximum(check.low, -largest), np.minimum(check.high, largest)
    are_whole = check.whole is not None and bool(check.whole.all())
    is_short = not check.closer and len(low) <= MAX_SHORT and (check.whole is None or are_whole)
    ends = Ends(low.tolist(), high.tolist(), are_whole) if is_short else None
    return msgspec.structs.replace(check, low=low, high=high, ends=ends)


def make_slots(contract: Contract) -> tuple[Slot, ...]:
    """Where each feature stands; an array of unknown length counts as one column."""
    found, start = [], 0
    for column in contract.columns:
        items = argument_of(column, "items")
        shape = items.shape if items is not None and -1 not in items.shape else ()
        width = math.prod(shape)
        found.append(Slot(column, start, width, shape, _NATIVE.get(_kind(column), _number)))
        start += width
    return tuple(found)


def unfold(slots: Sequence[Slot], values: Sequence[float]) -> dict[str, object]:
    """A row of the matrix as the object that it stands for: NaN is null, 0 and 1 are booleans where so declared."""
    return {
        slot.column.name: _folded(slot, values) if slot.shape else slot.native(values[slot.start])
        for slot in slots
    }


def _folded(slot: Slot, values: Sequence[float]) -> object:
    cells: list[Any] = [slot.native(value) for value in values[slot.start : slot.start + slot.width]]
    for size in reversed(slot.shape[1:]):
        cells = [cells[i : i + size] for i in range(0, len(cells), size)]
    return cells


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _integer(value: float) -> float | None:
    return int(value) if math.isfinite(value) and value == math.floor(value) else _number(value)


def _boolean(value: float) -> float | None:
    return bool(value) if value in (0, 1) else _number(value)


_NATIVE: dict[str, Callable[[float], object]] = {"integer": _integer, "boolean": _boolean}


def _kind(column: Column) -> str:
    items: Items | None = argument_of(column, "items")
    return items.kind if items is not None else column.kind


def _ends(column: Column) -> tuple[float, float]:
    """The smallest and largest allowed float64."""
    if _kind(column) == "boolean":
        return 0.0, 1.0
    items: Items | None = argument_of(column, "items")
    checks = row_checks(column) if items is None else items.checks
    limits = next((check.argument for check in checks if check.rule == "range"), Range())
    if _kind(column) not in ("number", "integer"):
        limits = Range()
    low, high, largest = limits.low, limits.high, sys.float_info.max
    return (
        -largest if low is None else _allowed(float(low), low, is_open=limits.is_low_open, inside=math.inf),
        largest
        if high is None
        else _allowed(float(high), high, is_open=limits.is_high_open, inside=-math.inf),
    )


def _allowed(near: float, bound: Any, *, is_open: bool, inside: float) -> float:
    """The float64 next to a bound that is itself allowed; `inside` is the infinity on the side of what is."""
    is_beyond = near < bound if inside > 0 else near > bound
    return math.nextafter(near, inside) if is_beyond or (is_open and near == bound) else near


def _needs_more(column: Column) -> bool:
    """Whether a feature has checks beyond bounds and whole numbers."""
    items: Items | None = argument_of(column, "items")
    checks = row_checks(column) if items is None else items.checks
    return _kind(column) not in ("number", "integer", "boolean") or any(
        check.rule != "range" for check in checks
    )
