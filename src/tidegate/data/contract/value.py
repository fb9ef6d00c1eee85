"""One value against one check, both compiled: what it is as its column's kind, and whether it breaks the rule."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Any

from tidegate.data.contract.rules import Check, Column, Items, Range, read_timestamp

WRONG = object()
Breach = Callable[[Any], bool]
Read = Callable[[Any], Any]


def reader_of(column: Column) -> Read:
    """What reads a value as its column's kind: None for a missing one, WRONG for what is of another kind.

    Null stands for a missing one, and so does NaN where the column says so.
    """
    read = _READ[column.kind]
    if column.is_nan_missing:
        return lambda value: None if value is None or _is_nan(value) else read(value)
    return lambda value: None if value is None else read(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _read_number(value: Any) -> Any:
    if type(value) is float:  # most are
        return value
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


_READ: dict[str, Read] = {
    "number": _read_number,
    "integer": _read_integer,
    "string": partial(_of_type, str),
    "boolean": partial(_of_type, bool),
    "array": partial(_of_type, list),
    "date": partial(_read_text_as, date.fromisoformat),
    "timestamp": partial(_read_text_as, read_timestamp),
}


def breach_of(check: Check) -> Breach:
    """Whether a value breaks the check, compiled; the value is read as its column's kind and not missing.

    A number is finite: one that is not breaks nothing but `finite`.
    """
    return _BREACHES[check.rule](check.argument)


def is_finite(value: Any) -> bool:
    """Whether a value is anything but NaN and the infinities."""
    return not isinstance(value, float) or math.isfinite(value)


def _keeps(_argument: Any) -> Breach:
    return lambda _value: False


def _outside(limits: Range) -> Breach:
    low, high = read_bound(limits.low), read_bound(limits.high)
    is_low_open, is_high_open = limits.is_low_open, limits.is_high_open

    def is_outside(value: Any) -> bool:
        if low is not None and (value <= low if is_low_open else value < low):
            return True
        return high is not None and bool(value >= high if is_high_open else value > high)

    return is_outside


def read_bound(bound: float | str | None) -> Any:
    """A bound as the kind of value that it bounds."""
    if not isinstance(bound, str):
        return bound
    return read_timestamp(bound) if "T" in bound else date.fromisoformat(bound)


def is_off_step(step: float, value: float) -> bool:
    """Whether a number is no multiple of the step, but for rounding."""
    steps = value / step
    return math.isfinite(steps) and abs(steps - round(steps)) > 1e-9 * max(1.0, abs(steps))


def _off_step(step: float) -> Breach:
    return partial(is_off_step, step)


def _foreign(values: Sequence[Any]) -> Breach:
    known = frozenset(values)
    return lambda value: value not in known


def _among(values: Sequence[Any]) -> Breach:
    return frozenset(values).__contains__


def _mismatch(pattern: str) -> Breach:
    search = re.compile(python_pattern(pattern)).search
    return lambda value: search(value) is None


def python_pattern(pattern: str) -> str:
    """A pattern for Python that means what it means to DuckDB: ASCII classes, and `$` is the very end."""
    ends = pattern.endswith("$") and (len(pattern) - len(pattern[:-1].rstrip("\\"))) % 2 == 1
    return "(?a)" + (pattern[:-1] + r"\Z" if ends else pattern)


def _wrong_length(size: Range) -> Breach:
    is_outside = _outside(size)
    return lambda value: is_outside(len(value))


def _wrong_items(items: Items) -> Breach:
    read, depth = reader_of(Column("", items.kind)), len(items.shape)
    has_shape, tests = _shape_of(items.shape, items.size), [breach_of(check) for check in items.checks]

    def is_wrong(item: Any) -> bool:
        value = read(item)
        return value is None or value is WRONG or not is_finite(value) or any(test(value) for test in tests)

    return lambda value: not has_shape(value) or any(map(is_wrong, _flat(value, depth)))


def _shape_of(shape: Sequence[int], size: Range) -> Breach:
    """Whether a list has these dimensions; `size` bounds the first when it may be any."""
    length, is_outside = shape[0], _outside(size)
    inner = _shape_of(shape[1:], Range()) if len(shape) > 1 else None

    def has_shape(value: Any) -> bool:
        if not isinstance(value, list):
            return False
        fits = len(value) == length if length >= 0 else not is_outside(len(value))
        return fits and (inner is None or all(map(inner, value)))

    return has_shape


def _flat(value: list[Any], depth: int) -> list[Any]:
    return value if depth == 1 else [item for inner in value for item in _flat(inner, depth - 1)]


_BREACHES: dict[str, Callable[[Any], Breach]] = {
    "type": _keeps,
    "range": _outside,
    "step": _off_step,
    "values": _foreign,
    "missing": _among,
    "pattern": _mismatch,
    "length": _wrong_length,
    "items": _wrong_items,
}
