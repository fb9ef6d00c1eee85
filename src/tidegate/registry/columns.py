"""The columns of a row as a model takes it: the contract's features, arrays flattened."""

from collections.abc import Iterator
from itertools import product

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Items, argument_of
from tidegate.data.contract.say import NAMES
from tidegate.errors import UsageError
from tidegate.registry.load import CONTRACT

NUMERIC = ("number", "integer", "boolean")


def row_columns(contract: Contract, where: str = CONTRACT) -> tuple[str, ...]:
    """The columns of a row, the items of an array numbered as in `pixels[3][0]`; text takes one column.

    Raises UsageError for an array of unknown length or of text.
    """
    return tuple(name for column in contract.columns for name in _names_of(column, where))


def text_columns(contract: Contract) -> frozenset[str]:
    """The features whose values are text, dates and times included."""
    return frozenset(
        column.name for column in contract.columns if column.kind not in (*NUMERIC, "array")
    )


def require_numbers(contract: Contract, where: str) -> None:
    """Raise UsageError for a feature that is text: the model takes a matrix of numbers."""
    kinds = {column.name: column.kind for column in contract.columns}
    text = next((name for name in kinds if name in text_columns(contract)), None)
    if text is not None:
        hint = "encode it in the pipeline, or set `tidegate.role: other`"
        raise UsageError(where, f"feature `{text}` is {NAMES[kinds[text]]}, the model takes numbers", hint=hint)


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
