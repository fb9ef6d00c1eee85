"""The columns of a row as a model takes it: the contract's features, arrays flattened."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.bounds import Slot, make_slots
from tidegate.data.contract.rules import Items, argument_of
from tidegate.data.contract.say import NAMES
from tidegate.data.tables import Table
from tidegate.errors import UsageError, did_you_mean
from tidegate.registry.load import CONTRACT

if TYPE_CHECKING:
    import numpy as np

NUMERIC = ("number", "integer", "boolean")


def row_columns(contract: Contract, where: str = CONTRACT) -> tuple[str, ...]:
    """The columns of a row, the items of an array numbered as in `pixels[3][0]`; text takes one column.

    Raises UsageError for an array of unknown length or of text.
    """
    return tuple(name for column in contract.columns for name in _names_of(column, where))


def text_columns(contract: Contract) -> frozenset[str]:
    """The features whose values are text, dates and times included."""
    return frozenset(column.name for column in contract.columns if column.kind not in (*NUMERIC, "array"))


def require_numbers(contract: Contract, where: str) -> None:
    """Raise UsageError for a feature that is text: the model takes a matrix of numbers."""
    kinds = {column.name: column.kind for column in contract.columns}
    text = next((name for name in kinds if name in text_columns(contract)), None)
    if text is not None:
        hint = "encode it in the pipeline, or set `tidegate.role: other`"
        raise UsageError(
            where, f"feature `{text}` is {NAMES[kinds[text]]}, the model takes numbers", hint=hint
        )


def table_rows(contract: Contract, table: Table, *, where: str) -> "np.ndarray":
    """The rows of a table as a model takes them: float64 with NaN for null, or objects where a feature is text.

    Raises UsageError for a feature that has no column, or one of other values.
    """
    import numpy as np

    slots, text = make_slots(contract), text_columns(contract)
    rows = np.empty((len(table), sum(slot.width for slot in slots)), dtype=object if text else float)
    for slot in slots:
        is_text = slot.column.name in text
        part = _text_of(slot, table, where) if is_text else _numbers_of(slot, table, where)
        rows[:, slot.start : slot.start + slot.width] = part
    return rows


def _text_of(slot: Slot, table: Table, where: str) -> "np.ndarray":
    import numpy as np

    cells = _cells_of(slot.column.name, table, where)
    found = np.empty((len(table), 1), dtype=object)
    found[:, 0] = [None if cell is None else str(cell) for cell in cells]
    return found


def _numbers_of(slot: Slot, table: Table, where: str) -> "np.ndarray":
    """A column of numbers; an array is a column of lists, or a column for each of its items."""
    import numpy as np

    name = slot.column.name
    if not slot.shape:
        _cells_of(name, table, where)
        return table.numbers((name,))
    if name not in table.columns:
        names = [name + "".join(f"[{i}]" for i in index) for index in product(*map(range, slot.shape))]
        _cells_of(names[0], table, where)
        return table.numbers(names)
    try:
        return np.array(table.values[name], dtype=float).reshape(len(table), slot.width)
    except (TypeError, ValueError):
        shape = "x".join(map(str, slot.shape))
        raise UsageError(where, f"column `{name}` holds other than arrays of {shape} numbers") from None


def _cells_of(name: str, table: Table, where: str) -> list[Any]:
    if name not in table.values:
        found = f"no column `{name}`{did_you_mean(name, table.columns)}, the model is tried on these rows"
        raise UsageError(where, found, hint="set data.heldout to the table behind the evaluation")
    return table.values[name]


def _names_of(column: Column, where: str) -> Iterator[str]:
    items: Items | None = argument_of(column, "items")
    shape = items.shape if items else ()
    if column.kind == "array" and (items is None or items.kind not in NUMERIC or -1 in shape):
        found = f"feature `{column.name}` is an array"
        found += " of any length" if items is None or -1 in shape else f" of {items.kind}s"
        hint = "encode it in the pipeline, or set `tidegate.role: other`"
        raise UsageError(where, f"{found}, the model takes numbers", hint=hint)
    for index in product(*map(range, shape)):
        yield column.name + "".join(f"[{i}]" for i in index)
