"""One column of a contract: its type, what its values must keep, and its part in the model's work."""

import math
from typing import Any

from tidegate.data.contract.odcs import PROPERTY, TYPE_OPTIONS
from tidegate.data.contract.place import Place
from tidegate.data.contract.quality import parse_checks, parse_pattern, parse_policy, read_custom
from tidegate.data.contract.rules import (
    COLUMN_RULES,
    KINDS,
    ROLES,
    Check,
    Column,
    Items,
    Range,
    read_timestamp,
)
from tidegate.errors import did_you_mean

FITTING = {
    "range": ("number", "integer", "date", "timestamp"),
    "step": ("number", "integer"),
    "pattern": ("string",),
    "length": ("string",),
    "values": ("number", "integer", "string", "boolean"),
    "missing": ("number", "integer", "string"),
    "unique": ("number", "integer", "string", "boolean", "date", "timestamp"),
}


def parse_column(place: Place) -> Column:
    """The column in one entry of `properties`; UsageError at its line and column for what is wrong in it."""
    if not isinstance(place.value, dict) or not isinstance(place.value.get("name"), str):
        raise place.wrong("a column needs a `name`, found none")
    place.mapping(PROPERTY, what="a column")
    kind = _kind(place)
    custom = read_custom(place, "column")
    quality, flags = parse_checks(place.at("quality"))
    checks = [*_options(place, kind), *_unique(place), *quality]
    if kind == "array" and (
        place.has("items") or place.has("logicalTypeOptions") or "tidegate.tensor" in custom
    ):
        checks.append(Check("items", _items(place, custom.get("tidegate.tensor"))))
    if kind != "array" and "tidegate.tensor" in custom:
        raise custom["tidegate.tensor"].wrong(f"a tensor is an array, the column is a {kind}")
    role, personal, nan = (custom.get(f"tidegate.{name}") for name in ("role", "personal", "nan"))
    return Column(
        place.at("name").string(what="name"),
        kind,
        place.at("required", False).boolean(what="required"),
        role.choice(ROLES, what="role") if role else "feature",
        _fitting(place, kind, checks),
        flags | parse_policy(custom.get("tidegate.policy"), COLUMN_RULES),
        nan is not None and nan.choice(("missing", "wrong"), what="tidegate.nan") == "missing",
        personal is not None and personal.boolean(what="tidegate.personal"),
        tuple(item.scalar(what="an example") for item in place.at("examples").items(what="examples")),
        place.at("classification", "").string(what="classification"),
    )


def _kind(place: Place) -> str:
    kind = place.value.get("logicalType", "number")
    if kind not in KINDS:
        found = f"unknown logicalType `{kind}`{did_you_mean(str(kind), KINDS)}"
        raise place.at("logicalType").wrong(found, hint=f"one of {', '.join(KINDS)}")
    return str(kind)


def _fitting(place: Place, kind: str, checks: list[Check]) -> tuple[Check, ...]:
    """The checks in the order of the rules; UsageError for one that this kind of column cannot have, or twice."""
    seen = set()
    for check in checks:
        if kind not in FITTING.get(check.rule, (kind,)):
            raise place.wrong(f"a {kind} column cannot have the rule `{check.rule}`")
        if check.rule in seen:
            raise place.wrong(f"the rule `{check.rule}` is given twice, expected once")
        seen.add(check.rule)
        if check.rule in ("values", "missing"):
            _require_kind(place, kind, check.argument)
    return tuple(sorted(checks, key=lambda check: COLUMN_RULES.index(check.rule)))


def _require_kind(place: Place, kind: str, values: tuple[Any, ...]) -> None:
    types = {"string": (str,), "boolean": (bool,)}.get(kind, (int, float))
    for value in values:
        if not isinstance(value, types) or (kind != "boolean" and isinstance(value, bool)):
            raise place.at("quality").wrong(f"the value {value!r} is no {kind}, its column is")


def _unique(place: Place) -> list[Check]:
    keys = ("unique", "primaryKey")
    return [Check("unique")] if sum(place.at(key, False).boolean(what=key) for key in keys) else []


def _options(place: Place, kind: str) -> list[Check]:
    """The checks that `logicalTypeOptions` stand for."""
    if not place.has("logicalTypeOptions"):
        return []
    options = place.at("logicalTypeOptions").mapping(
        TYPE_OPTIONS[kind], what=f"a {kind}'s logicalTypeOptions"
    )
    found = []
    if kind in FITTING["range"] and (bounds := _bounds(options, kind)) != Range():
        found.append(Check("range", bounds))
    if options.has("multipleOf"):
        found.append(Check("step", _positive(options.at("multipleOf"))))
    if options.has("pattern"):
        found.append(Check("pattern", parse_pattern(options.at("pattern"))))
    if (size := _size(options, "minLength", "maxLength")) != Range():
        found.append(Check("length", size))
    return found


def _positive(place: Place) -> float:
    value = place.number(what="multipleOf")
    if value <= 0:
        raise place.wrong(f"multipleOf is {value!r}, expected a number above 0")
    return value


def _bounds(options: Place, kind: str) -> Range:
    ends = {}
    for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        if options.has(name):
            ends[name] = _end(options.at(name), kind, name)
    for end in ("Minimum", "Maximum"):
        if f"exclusive{end}" in ends and end.lower() in ends:
            raise options.at(f"exclusive{end}").wrong(f"both {end.lower()} and exclusive{end}, expected one")
    low, high = (
        ends.get("minimum", ends.get("exclusiveMinimum")),
        ends.get("maximum", ends.get("exclusiveMaximum")),
    )
    if low is not None and high is not None and low > high:
        raise options.wrong(f"minimum {low} is above maximum {high}")
    return Range(low, high, "exclusiveMinimum" in ends, "exclusiveMaximum" in ends)


def _end(place: Place, kind: str, name: str) -> Any:
    if kind in ("number", "integer"):
        return place.number(what=name)
    from datetime import date

    text = str(place.value)
    read = date.fromisoformat if kind == "date" else read_timestamp
    try:
        return read(text).isoformat()
    except ValueError:
        raise place.wrong(f"{name} is {text!r}, expected a {kind} such as 2026-01-31") from None


def _size(options: Place, least: str, most: str) -> Range:
    low, high = (_count(options.at(name)) if options.has(name) else None for name in (least, most))
    if low is not None and high is not None and low > high:
        raise options.at(least).wrong(f"{least} {low} is above {most} {high}")
    return Range(low, high)


def _count(place: Place) -> int:
    if isinstance(place.value, bool) or not isinstance(place.value, int) or place.value < 0:
        raise place.wrong(f"{place.path[-1]} is {place.value!r}, expected a whole number from 0")
    return place.value


def _items(place: Place, tensor: Place | None) -> Items:
    """What an array holds; nested arrays are the dimensions of a tensor."""
    shape, entry = [], place
    while entry.value.get("logicalType") == "array":
        options = entry.at("logicalTypeOptions", {}).mapping(
            TYPE_OPTIONS["array"], what="an array's logicalTypeOptions"
        )
        size = _size(options, "minItems", "maxItems")
        shape.append(size)
        entry = entry.at("items", {"logicalType": "number"}).mapping(PROPERTY, what="items")
    kind = _kind(entry)
    if kind in ("date", "timestamp"):
        raise entry.at("logicalType").wrong(f"an array of {kind}s is not enforced, expected numbers or text")
    quality, _ = parse_checks(entry.at("quality"))
    checks = _fitting(entry, kind, [*_options(entry, kind), *quality])
    dims = tuple(int(size.low) if size.low == size.high and size.low is not None else -1 for size in shape)
    items = Items(kind, dims, checks, shape[0] if dims[0] == -1 else Range())
    return items if tensor is None else _with_tensor(items, tensor)


def _with_tensor(items: Items, tensor: Place) -> Items:
    """The dimensions as `tidegate.tensor` says them, the first one being the batch."""
    tensor.mapping(("shape", "datatype"), what="tidegate.tensor")
    shape = _tensor_shape(tensor.at("shape"))
    if len(items.shape) == 1 < len(shape):  # the standard's array is the flat form of the tensor
        shape = (-1 if -1 in shape else math.prod(shape),)
    if len(shape) != len(items.shape):
        found = f"shape has {len(shape)} dimensions, the arrays have {len(items.shape)}"
        raise tensor.at("shape").wrong(found)
    if any(-1 not in pair and pair[0] != pair[1] for pair in zip(shape, items.shape, strict=True)):
        raise tensor.at("shape").wrong(f"shape is {list(shape)}, the arrays have {list(items.shape)}")
    return items._replace(shape=tuple(max(pair) for pair in zip(shape, items.shape, strict=True)))


def _tensor_shape(place: Place) -> tuple[int, ...]:
    dims = [dim.value for dim in place.items(what="shape")]
    is_whole = all(isinstance(dim, int) and (dim > 0 or dim == -1) for dim in dims)
    if len(dims) < 2 or dims[0] != -1 or not is_whole:
        raise place.wrong(f"shape is {dims}, expected -1 for the batch, then the dimensions")
    return tuple(dims[1:])
