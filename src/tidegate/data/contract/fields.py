"""The contract's row as a msgspec type: what decoding alone can check costs next to nothing."""

import math
from typing import Annotated, Any, Literal, NamedTuple

from tidegate.data.contract.rules import NONE_ALLOWED, Check, Column, Contract, Items, Range

FieldType = Any  # types that are made at run time have no static type
EXACT = 2**53
_LIST: FieldType = list
_REFUSED = '"\\' + "".join(map(chr, range(32)))


class Field(NamedTuple):
    """The type of a value, and the rules that it checks."""

    type: FieldType
    covered: frozenset[str] = frozenset()


def row_type(contract: Contract) -> tuple[FieldType, frozenset[tuple[str, str]]]:
    """A struct of the features, and the (column, rule) pairs that converting a row to it has checked.

    Converting fails for some rows that are fine, such as one with 3.0 for an integer; never the other way
    round. The struct is None for columns whose names msgspec cannot take.
    """
    import msgspec

    names, fields, covered = {}, [], set()
    for number, column in enumerate(contract.columns):
        attribute = f"f{number}"
        field = _field(column)
        names[attribute] = column.name
        covered |= {(column.name, rule) for rule in field.covered}
        fields.append((attribute, field.type) if column.is_required else (attribute, field.type | None, None))
    if any(letter in name for name in names.values() for letter in _REFUSED):
        return None, frozenset()
    is_strict = contract.serving.unknown_fields == "reject"
    made = msgspec.defstruct("Row", fields, kw_only=True, rename=names, forbid_unknown_fields=is_strict)
    return made, frozenset(covered)


def _field(column: Column) -> Field:
    checks = {check.rule: check.argument for check in column.checks if check.allowed == NONE_ALLOWED}
    if column.kind == "array":
        return _array(checks.get("items", Items("number", ())))
    if column.kind in ("date", "timestamp"):
        return Field(str)
    return _plain(column.kind, checks)


def _plain(kind: str, checks: dict[str, Any]) -> Field:
    from msgspec import Meta

    base: FieldType = {"number": float, "integer": int, "string": str, "boolean": bool}[kind]
    values = checks.get("values", ())
    if (
        values
        and kind in ("string", "integer")
        and all(type(value) is base and _is_small(value) for value in values)
    ):
        return Field(Literal[tuple(values)], frozenset({"values"}))
    meta: dict[str, Any] = {}
    covered = set()
    if "range" in checks and (bounds := _bounds(checks["range"], kind)) is not None:
        meta |= bounds
        covered.add("range")
    if "length" in checks:
        size = checks["length"]
        meta |= {
            key: end for key, end in (("min_length", size.low), ("max_length", size.high)) if end is not None
        }
        covered.add("length")
    return Field(Annotated[base, Meta(**meta)] if meta else base, frozenset(covered))


def _is_small(value: object) -> bool:
    return not isinstance(value, int) or abs(value) < EXACT


def _bounds(limits: Range, kind: str) -> dict[str, Any] | None:
    """The bounds as msgspec says them; None when one is beyond what a float counts exactly."""
    low, high = limits.low, limits.high
    if any(_is_inexact(end, kind) for end in (low, high)):
        return None
    found: dict[str, Any] = {}
    if low is not None:
        found["gt" if limits.is_low_open else "ge"] = _whole(
            low, kind, limits.is_low_open, math.floor, math.ceil
        )
    if high is not None:
        found["lt" if limits.is_high_open else "le"] = _whole(
            high, kind, limits.is_high_open, math.ceil, math.floor
        )
    return found


def _is_inexact(end: Any, kind: str) -> bool:
    return end is not None and abs(end) >= EXACT and (kind == "integer" or isinstance(end, int))


def _whole(bound: Any, kind: str, is_open: Any, outer: Any, inner: Any) -> Any:
    """An integer's bound as an integer: rounded away from what is allowed when it is itself not allowed."""
    if kind != "integer":
        return float(bound)
    return outer(bound) if is_open else inner(bound)


def _array(items: Items) -> Field:
    from msgspec import Meta

    if not items.shape:
        return Field(list)
    rules = {check.rule: check.argument for check in items.checks}
    inner = _plain(items.kind, rules)
    type_, listed = inner.type, _LIST
    for number, dim in reversed(list(enumerate(items.shape))):
        low, high = (
            (dim, dim) if dim >= 0 else (items.size.low, items.size.high) if number == 0 else (None, None)
        )
        ends: dict[str, Any] = {
            key: end for key, end in (("min_length", low), ("max_length", high)) if end is not None
        }
        type_ = Annotated[listed[type_], Meta(**ends)] if ends else listed[type_]
    is_whole = inner.covered >= rules.keys() and (items.kind != "number" or _is_closed(items.checks))
    return Field(type_, frozenset({"items"}) if is_whole else frozenset())


def _is_closed(checks: tuple[Check, ...]) -> bool:
    """Whether a range keeps NaN and infinity out."""
    return any(check.rule == "range" and None not in check.argument[:2] for check in checks)
