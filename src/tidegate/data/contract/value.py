"""One value against one check: what it is as its column's kind, and whether it breaks the rule."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Any

from tidegate.data.contract.rules import Check, Column, Items, Range, read_timestamp

WRONG = object()


def is_missing(column: Column, value: Any) -> bool:
    """Whether a value stands for none: null, and NaN where the column says so."""
    return value is None or (column.is_nan_missing and isinstance(value, float) and math.isnan(value))


def read_value(column: Column, value: Any) -> Any:
    """The value as its column's kind, None for a missing one, WRONG for what is of another kind."""
    if is_missing(column, value):
        return None
    return _READ[column.kind](value)


def _read_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return WRONG
    try:
        float(value)
    except OverflowError:
        return WRONG
    return value


def _read_integer(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else WRONG


def _of_type(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) else WRONG


def _read_text_as(read: Callable[[str], Any], value: Any) -> Any:
    try:
        return read(value) if isinstance(value, str) else WRONG
    except ValueError:
        return WRONG


_READ: dict[str, Callable[[Any], Any]] = {
    "number": _read_number,
    "integer": _read_integer,
    "string": partial(_of_type, str),
    "boolean": partial(_of_type, bool),
    "array": partial(_of_type, list),
    "date": partial(_read_text_as, date.fromisoformat),
    "timestamp": partial(_read_text_as, read_timestamp),
}


def breaks(check: Check, value: Any) -> bool:
    """Whether a value that was read as its column's kind breaks the check."""
    if isinstance(value, float) and not math.isfinite(value):
        return check.rule == "finite"
    return _BREAKS[check.rule](check.argument, value)


def _outside(limits: Range, value: Any) -> bool:
    low, high = (read_bound(bound) for bound in (limits.low, limits.high))
    below = low is not None and (value <= low if limits.is_low_open else value < low)
    above = high is not None and (value >= high if limits.is_high_open else value > high)
    return bool(below or above)


def read_bound(bound: float | str | None) -> Any:
    """A bound as the kind of value that it bounds."""
    if not isinstance(bound, str):
        return bound
    return read_timestamp(bound) if "T" in bound else date.fromisoformat(bound)


def is_off_step(step: float, value: float) -> bool:
    """Whether a number is no multiple of the step, but for rounding."""
    steps = value / step
    return math.isfinite(steps) and abs(steps - round(steps)) > 1e-9 * max(1.0, abs(steps))


def _mismatches(pattern: str, value: str) -> bool:
    return re.search(python_pattern(pattern), value) is None


def python_pattern(pattern: str) -> str:
    """A pattern for Python that means what it means to DuckDB: ASCII classes, and `$` is the very end."""
    ends = pattern.endswith("$") and (len(pattern) - len(pattern[:-1].rstrip("\\"))) % 2 == 1
    return "(?a)" + (pattern[:-1] + r"\Z" if ends else pattern)


def _wrong_items(items: Items, value: Any) -> bool:
    column = Column("", items.kind, checks=items.checks)
    return not _has_shape(value, items.shape, items.size) or any(
        (read := read_value(column, item)) in (None, WRONG)
        or any(breaks(check, read) for check in [Check("finite"), *items.checks])
        for item in _flat(value, len(items.shape))
    )


def _has_shape(value: Any, shape: Sequence[int], size: Range) -> bool:
    if not isinstance(value, list):
        return False
    fits = len(value) == shape[0] if shape[0] >= 0 else not _outside(size, len(value))
    return fits and (len(shape) == 1 or all(_has_shape(item, shape[1:], Range()) for item in value))


def _flat(value: list[Any], depth: int) -> list[Any]:
    return value if depth == 1 else [item for inner in value for item in _flat(inner, depth - 1)]


_BREAKS: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda _argument, _value: False,
    "finite": lambda _argument, _value: False,
    "range": _outside,
    "step": is_off_step,
    "values": lambda values, value: value not in values,
    "missing": lambda values, value: value in values,
    "pattern": _mismatches,
    "length": lambda size, value: _outside(size, len(value)),
    "items": _wrong_items,
}
