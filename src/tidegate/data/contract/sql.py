"""The rules of a column in SQL: the value that a file's cell stands for, and when it breaks a rule."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tidegate.data.contract.quote import quote_name, quote_value
from tidegate.data.contract.rules import Check, Column, Items, Range

INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(\d+,0\)")
FLOAT = re.compile(r"FLOAT|DOUBLE")
PHYSICAL = {
    "number": re.compile(rf"{INTEGER.pattern}|{FLOAT.pattern}|DECIMAL\(.*\)"),
    "integer": re.compile(rf"{INTEGER.pattern}|{FLOAT.pattern}"),
    "string": re.compile(r"VARCHAR|UUID|ENUM\(.*\)", re.DOTALL),
    "boolean": re.compile("BOOLEAN"),
    "date": re.compile("DATE"),
    "timestamp": re.compile(r"TIMESTAMP.*"),
    "array": re.compile(r".*\[\d*\]", re.DOTALL),
}
# how a cell of a text file is read; what cannot be read is null
FROM_TEXT = {
    "number": "(case when contains({0}, '_') then null else try_cast({0} as DOUBLE) end)",
    "integer": r"(case when regexp_full_match({0}, '\s*[-+]?\d+(\.0*)?\s*') then try_cast({0} as HUGEINT) end)",
    "string": "{0}",
    "boolean": "(case lower({0}) when 'true' then true when 'false' then false end)",
    "date": r"(case when regexp_full_match({0}, '\s*\d+-\d+-\d+\s*') then try_cast({0} as DATE) end)",
    "timestamp": r"(case when regexp_matches({0}, ':[0-9.]+\s*([zZ]|[-+]\d\d(:?\d\d)?)\s*$') "
    "then make_timestamp(epoch_us(try_cast({0} as TIMESTAMPTZ))) else try_cast({0} as TIMESTAMP) end)",
    "array": "try_cast({0} as {1})",
}
ITEM_TYPES = {"number": "DOUBLE", "integer": "HUGEINT", "string": "VARCHAR", "boolean": "BOOLEAN"}


class Cell(NamedTuple):
    """A column of one file: `raw` as stored, `value` as the contract reads it ("" when it cannot)."""

    column: Column
    raw: str
    value: str
    physical: str
    is_text: bool

    @property
    def may_be_nan(self) -> bool:
        """Whether the file could hold NaN or infinity here."""
        return FLOAT.fullmatch(self.physical) is not None or (self.is_text and self.column.kind == "number")


def make_cell(column: Column, physical: str, *, is_text: bool) -> Cell:
    """The column as a file of this physical type holds it."""
    raw = quote_name(column.name)
    if is_text:
        return Cell(column, raw, FROM_TEXT[column.kind].format(raw, _array_type(column)), physical, True)
    fits = PHYSICAL[column.kind].fullmatch(physical) is not None
    return Cell(column, raw, _stored(column.kind, raw, physical) if fits else "", physical, False)


def _array_type(column: Column) -> str:
    items = next((check.argument for check in column.checks if check.rule == "items"), Items("number"))
    return ITEM_TYPES[items.kind] + "[]" * len(items.shape)


def _stored(kind: str, raw: str, physical: str) -> str:
    if kind == "number" and physical.startswith("DECIMAL"):
        return f"{raw}::DOUBLE"
    if kind == "string" and physical != "VARCHAR":
        return f"{raw}::VARCHAR"
    return f"make_timestamp(epoch_us({raw}))" if kind == "timestamp" else raw


def breach(cell: Cell, check: Check) -> str:
    """When a row breaks the check: a boolean expression, "" for what this file cannot break."""
    if check.rule == "type":
        return _wrong_type(cell)
    if check.rule == "required":
        nan = f" or isnan({cell.value})" if cell.value and _reads_nan(cell) else ""
        return f"({cell.raw} is null{nan})"
    if not cell.value:
        return ""
    if check.rule == "finite":
        test = f"isinf({cell.value})" if _reads_nan(cell) else f"not isfinite({cell.value})"
        return test if cell.may_be_nan else ""
    guard = f"isfinite({cell.value}) and " if cell.may_be_nan else ""
    return f"({guard}({_BREACHES[check.rule](cell.value, check.argument)}))"


def _reads_nan(cell: Cell) -> bool:
    return cell.column.is_nan_missing and cell.may_be_nan


def _wrong_type(cell: Cell) -> str:
    if not cell.value:
        return f"{cell.raw} is not null"
    if cell.is_text:
        return "" if cell.column.kind == "string" else f"({cell.raw} is not null and {cell.value} is null)"
    if cell.column.kind == "integer" and cell.may_be_nan:
        whole = f"isfinite({cell.raw}) and {cell.raw} = trunc({cell.raw})"
        return f"not ({whole} or isnan({cell.raw}))" if _reads_nan(cell) else f"not ({whole})"
    return ""


def _outside(value: str, limits: Range) -> str:
    low = (
        f"{value} {'<=' if limits.is_low_open else '<'} {_bound(limits.low)}"
        if limits.low is not None
        else ""
    )
    high = (
        f"{value} {'>=' if limits.is_high_open else '>'} {_bound(limits.high)}"
        if limits.high is not None
        else ""
    )
    return " or ".join(test for test in (low, high) if test)


def _bound(bound: float | str | None) -> str:
    if not isinstance(bound, str):
        return quote_value(bound)
    return f"{'TIMESTAMP' if 'T' in bound else 'DATE'} {quote_value(bound)}"


def _off_step(value: str, step: float) -> str:
    steps = f"({value} / {quote_value(float(step))})"
    return f"abs({steps} - round({steps})) > 1e-9 * greatest(1, abs({steps}))"


def _among(value: str, values: Sequence[Any]) -> str:
    """Whether the value is one of these; text through its dictionary, which costs nothing even for thousands."""
    if _is_text(values):
        return f"try_cast({value} as {_dictionary(values)}) is not null"
    return f"{value} in ({_listed(values)})"


def dictionaries(columns: Sequence[Column]) -> Iterator[str]:
    """The statements that make the dictionaries of all values of text, before the first breach is counted."""
    for column in columns:
        for check in (*column.checks, *_checks_of_items(column)):
            if check.rule in ("values", "missing") and _is_text(check.argument):
                name = _dictionary(check.argument)
                yield f"create type if not exists {name} as ENUM ({_listed(check.argument)})"


def _checks_of_items(column: Column) -> Iterator[Check]:
    for check in column.checks:
        if check.rule == "items":
            yield from check.argument.checks


def _dictionary(values: Sequence[Any]) -> str:
    return quote_name(f"values {hash(tuple(values))}")


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(quote_value(item) for item in dict.fromkeys(values))


def _is_text(values: Sequence[Any]) -> bool:
    return all(isinstance(item, str) for item in values)


def _outside_items(value: str, items: Items) -> str:
    """Whether an array has another shape, or an item of it breaks a check."""
    tests = [_wrong_length(value, items.shape[0], items.size)]
    inner = value
    for dim in items.shape[1:]:
        wrong = f"x is null{''.join(f' or {test}' for test in [_wrong_length('x', dim, Range())] if test)}"
        tests.append(f"len(list_filter({inner}, lambda x: {wrong})) > 0")
        inner = f"flatten({inner})"
    tests.append(f"len(list_filter({inner}, lambda x: {_wrong_item(items)})) > 0")
    return " or ".join(test for test in tests if test)


def _wrong_length(value: str, dim: int, size: Range) -> str:
    return f"len({value}) <> {dim}" if dim >= 0 else _outside(f"len({value})", size)


def _wrong_item(items: Items) -> str:
    tests = ["x is null"]
    if items.kind == "number":
        tests.append("not isfinite(x::DOUBLE)")
    if items.kind == "integer":
        tests.append("x <> trunc(x)")
    return " or ".join(tests + [f"({_BREACHES[check.rule]('x', check.argument)})" for check in items.checks])


_BREACHES: dict[str, Callable[[str, Any], str]] = {
    "range": _outside,
    "step": _off_step,
    "values": lambda value, values: f"{value} is not null and not ({_among(value, values)})",
    "missing": _among,
    "pattern": lambda value, pattern: f"not regexp_matches({value}, {quote_value(pattern)})",
    "length": lambda value, size: _outside(f"length({value})", size),
    "items": _outside_items,
}
