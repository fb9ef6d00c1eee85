"""What a rule expects, and how values break it, in words."""

from typing import Any

from tidegate.data.contract.rules import NONE_ALLOWED, Check, Column, Items, Range

FOUND = {
    "required": "are null",
    "finite": "are NaN or infinite",
    "missing": "stand for a missing one",
    "range": "are out of range",
    "step": "are off the step",
    "values": "are not allowed ones",
    "pattern": "do not match",
    "length": "have another length",
    "items": "have another shape or wrong items",
    "unique": "repeat an earlier one",
}
NAMES = {
    "number": "a number", "integer": "an integer", "string": "text", "boolean": "a boolean", "date": "a date",
    "timestamp": "a timestamp", "array": "an array",
}  # fmt: skip
SHOWN = 8


def found(check: Check, physical: str = "") -> str:
    """How values break the check, as in `3 of 9 values are null`."""
    if check.rule == "type":
        return f"are of another type (stored as {physical})" if physical else "are of another type"
    return FOUND[check.rule]


def expected(column: Column, check: Check) -> str:
    """What the check wants of a value, and how many exceptions it allows."""
    wanted = _wanted(column, check)
    return wanted if check.allowed == NONE_ALLOWED else f"{wanted} (exceptions: {check.allowed})"


def _wanted(column: Column, check: Check) -> str:
    if check.rule == "type":
        return NAMES[column.kind]
    if check.rule in ("required", "missing"):
        return "a value"
    if check.rule == "finite":
        return "a finite number, or null for a missing one" if not column.is_required else "a finite number"
    if check.rule == "unique":
        return "distinct values"
    return say_argument(check)


def say_argument(check: Check) -> str:
    """The argument of a check in words, such as `0 to 16`."""
    if check.rule == "values":
        return say_values(check.argument)
    if check.rule == "pattern":
        return f"a match of `{check.argument}`"
    if check.rule == "step":
        return f"a multiple of {check.argument:g}"
    if check.rule == "length":
        return f"{check.argument} characters"
    if check.rule == "items":
        return say_items(check.argument)
    return str(check.argument)


def say_values(values: tuple[Any, ...]) -> str:
    """The first allowed values, and how many more there are."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return f"one of {', '.join(repr(value) for value in values[:SHOWN])}{more}"


def say_items(items: Items) -> str:
    """The shape and the items of an array."""
    shape = " x ".join("any" if dim < 0 else str(dim) for dim in items.shape)
    size = f", {items.size} of them" if items.size != Range() else ""
    inner = "".join(f", {say_argument(check)}" for check in items.checks)
    return f"an array [{shape}] of {items.kind}s{size}{inner}"


def short(value: object) -> str:
    """A value as a person sees it in a sentence, at most 40 characters of it."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
