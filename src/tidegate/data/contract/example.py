"""A valid row of a contract, for a person to copy: the examples that it gives, or values inside its limits."""

from typing import Any

from tidegate.data.contract.rules import Column, Contract, Items, Range, argument_of

WORDS = {"date": "2026-01-31", "timestamp": "2026-01-31T12:00:00", "boolean": True}


def example_row(contract: Contract) -> dict[str, Any]:
    """One value for each feature. A pattern or a rule between columns needs `examples` in the contract."""
    return {column.name: _value(column) for column in contract.columns}


def _value(column: Column) -> Any:
    if column.examples:
        return column.examples[0]
    values = argument_of(column, "values")
    if values:
        return values[0]
    if column.kind == "array":
        return _array(argument_of(column, "items") or Items("number"))
    limits = argument_of(column, "range") or Range()
    if column.kind in ("number", "integer"):
        return _inside(column.kind, limits, argument_of(column, "step"))
    if column.kind == "string":
        return _text(argument_of(column, "length") or Range())
    end = limits.high if limits.low is None else limits.low
    return WORDS[column.kind] if end is None else end


def _array(items: Items) -> Any:
    least = int(items.size.low) if isinstance(items.size.low, int | float) else 1
    item = _value(Column("", items.kind, checks=items.checks))
    return _filled(item, [least if dim < 0 else dim for dim in items.shape])


def _filled(value: Any, shape: list[int]) -> Any:
    return value if not shape else [_filled(value, shape[1:]) for _ in range(shape[0])]


def _inside(kind: str, limits: Range, step: float | None) -> float:
    """A number in the middle of the limits, or near the one that there is."""
    low, high = (None if end is None else float(end) for end in (limits.low, limits.high))
    if low is not None and high is not None:
        middle = (low + high) / 2
    else:
        middle = low + 1 if low is not None else high - 1 if high is not None else 0.0
    if step is not None:
        middle = round(middle / step) * step
    return int(middle) if kind == "integer" else middle


def _text(size: Range) -> str:
    least = int(size.low) if isinstance(size.low, int | float) else 0
    most = int(size.high) if isinstance(size.high, int | float) else max(least, 4)
    return "text".ljust(least, "x")[:most]
