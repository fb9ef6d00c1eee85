"""An evaluation file as a database reads it: columns as text or numbers, and where in it something is wrong."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidegate.data.contract.expression import parse_expression
from tidegate.data.contract.quote import quote_name, quote_value
from tidegate.data.contract.rules import Column
from tidegate.data.contract.source import Source, connect, open_source, run
from tidegate.data.contract.sql import FLOAT, PHYSICAL
from tidegate.errors import UsageError, did_you_mean
from tidegate.gate.rows import Coded, code_type

if TYPE_CHECKING:
    import duckdb

MOST_LEVELS = 10_000
MEMORY = "1GB"
WHOLE = r"[-+]?\d+\.0+"


class Sheet(NamedTuple):
    """An open file; `sql` is what to select from, with row numbers from 0 as `file_row_number`."""

    connection: "duckdb.DuckDBPyConnection"
    source: Source
    sql: str

    @property
    def name(self) -> str:
        """The file's name, for errors."""
        return self.source.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(self.source.types)


@contextmanager
def open_sheet(path: Path) -> Iterator[Sheet]:
    """Open a Parquet or CSV file; CSV is parsed once, to a table that goes to disk where memory ends."""
    with connect([path], memory=MEMORY) as connection:
        source = open_source(connection, path)
        if not source.is_text:
            yield Sheet(connection, source, source.numbered)
            return
        run(connection, f"create temp table cells as select * from {source.numbered}", source)
        yield Sheet(connection, source, "cells")


def text_of(sheet: Sheet, name: str) -> str:
    """SQL of a column as text; a number that is whole reads like the integer it equals, NaN is null."""
    raw, physical = quote_name(name), sheet.source.types[name]
    if sheet.source.is_text:
        whole = f"contains({raw}, '.') and regexp_full_match({raw}, '{WHOLE}')"
        return f"(case when {whole} then split_part({raw}, '.', 1) else {raw} end)"
    if FLOAT.fullmatch(physical) or physical.startswith("DECIMAL"):
        value = f"{raw}::DOUBLE"
        whole = f"{value} = trunc({value}) and abs({value}) < 9e15"
        # not isnan: DuckDB answers it by a file's statistics, from which other writers leave NaN out
        is_nan = f"not isfinite({value}) and not isinf({value})"
        return (
            f"(case when {is_nan} then null when {whole} then {value}::BIGINT::VARCHAR "
            f"else {value}::VARCHAR end)"
        )
    return f"{raw}::VARCHAR"


def number_of(sheet: Sheet, name: str) -> str:
    """SQL of a column as a double, null where it is none."""
    return f"try_cast({quote_name(name)} as DOUBLE)"


def fetch(sheet: Sheet, expression: str) -> np.ndarray:
    """The values of an expression, in the file's order."""
    found = sheet.connection.execute(f"select {expression} as x from {sheet.sql}").fetchnumpy()["x"]
    values: np.ndarray = np.ma.filled(found, np.nan) if found.dtype.kind == "f" else np.asarray(found)
    return values


def fetch_numbers(sheet: Sheet, name: str, *, expression: str = "") -> np.ndarray:
    """A column of finite numbers. Raises UsageError, naming row and value, for a cell that is none."""
    value = expression or number_of(sheet, name)
    values = fetch(sheet, value).astype(float, copy=False)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        row = int(wrong[0])
        shown = fetch_one(sheet, f"{quote_name(name)}::VARCHAR", row)
        found = f"column `{name}` holds {'nothing' if shown is None else f'`{shown}`'}"
        many = f" (and {len(wrong) - 1:,} rows more)" if len(wrong) > 1 else ""
        raise UsageError(f"{sheet.name}: row {row + 1}", f"{found}, expected a number{many}")
    return values


def fetch_coded(sheet: Sheet, name: str, levels: Sequence[str] | None = None) -> Coded:
    """A column of text by its levels, nothing being a level of its own."""
    value = f"coalesce({text_of(sheet, name)}, '')"
    levels = levels_of(sheet, name) if levels is None else tuple(levels)
    listed = ", ".join(quote_value(level) for level in levels)
    codes = fetch(sheet, f"enum_code({value}::ENUM({listed}))")
    return Coded(codes.astype(code_type(len(levels)), copy=False), tuple(levels))


def levels_of(sheet: Sheet, name: str) -> tuple[str, ...]:
    """The different values of a column, numbers in their order. UsageError for more than 10,000."""
    value = f"coalesce({text_of(sheet, name)}, '')"
    query = f"select distinct {value} from {sheet.sql} limit {MOST_LEVELS + 1}"
    found = [row[0] for row in run(sheet.connection, query, sheet.source)]
    if len(found) > MOST_LEVELS:
        message = f"column `{name}` has more than {MOST_LEVELS:,} different values, expected classes"
        raise UsageError(sheet.name, message, hint="cut numbers at quantiles with `bins`")
    return in_order(found)


def in_order(levels: Sequence[str]) -> tuple[str, ...]:
    """Numbers by their value, else by the alphabet."""
    try:
        return tuple(sorted(levels, key=lambda text: (float(text), text)))
    except ValueError:
        return tuple(sorted(levels))


def fetch_hashes(sheet: Sheet, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """128 bits of the SHA-256 of each row's cells in these columns; cells cannot run into each other."""
    cells = [text_of(sheet, name) for name in names]
    joined = " || ".join(f"coalesce(strlen({cell}) || ':' || {cell}, '-')" for cell in cells)
    halves = "('0x' || h[1:16])::UBIGINT as a, ('0x' || h[17:32])::UBIGINT as b"
    query = f"select {halves} from (select sha256({joined}) as h from {sheet.sql})"
    found = sheet.connection.execute(query).fetchnumpy()
    return np.asarray(found["a"]), np.asarray(found["b"])


def fetch_one(sheet: Sheet, expression: str, row: int) -> str | None:
    """The value of an expression in one row, by its number from 0."""
    query = f"select {expression} from {sheet.sql} where file_row_number = {row}"
    found: str | None = run(sheet.connection, query, sheet.source)[0][0]
    return found


def fetch_texts(sheet: Sheet, name: str, places: Sequence[int]) -> dict[int, str]:
    """The text of a column in some rows, by their numbers from 0."""
    listed = ", ".join(str(int(place)) for place in places) or "-1"
    query = (
        f"select file_row_number, {text_of(sheet, name)} from {sheet.sql} where file_row_number in ({listed})"
    )
    return dict(run(sheet.connection, query, sheet.source))


def read_texts(path: Path, names: Sequence[str]) -> list[list[str]]:
    """Columns of a table as evaluation rows would hold them, in the file's order."""
    with open_sheet(path) as sheet:
        for name in names:
            require_column(sheet, name, key="data")
        shown = ", ".join(f"coalesce({text_of(sheet, name)}, '')" for name in names)
        rows = run(sheet.connection, f"select {shown} from {sheet.sql}", sheet.source)
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]


def first_row(sheet: Sheet, condition: str) -> int | None:
    """The number, from 1, of the first row where something holds; None if it never does."""
    query = f"select min(file_row_number) from {sheet.sql} where {condition}"
    (found,) = run(sheet.connection, query, sheet.source)[0]
    return None if found is None else int(found) + 1


def fetch_where(sheet: Sheet, condition: str, *, where: str) -> np.ndarray:
    """Which rows meet a condition in the contract's expressions; unknown is no."""
    try:
        term = parse_expression(condition, *_kinds(sheet))
    except UsageError as error:
        raise UsageError(f"{where}: {error.where}", error.message, hint=error.hint) from None
    return fetch(sheet, f"coalesce({term.sql}, false)").astype(bool)


def require_column(sheet: Sheet, name: str, *, key: str) -> None:
    """UsageError, naming the setting, when the file lacks a column."""
    if name not in sheet.columns:
        found = f"no column `{name}`{did_you_mean(name, sheet.columns)}"
        raise UsageError(sheet.name, found, hint=f"write that column, or set `{key}` in tidegate.toml")


def _kinds(sheet: Sheet) -> tuple[list[Column], dict[str, str]]:
    """The columns as expressions see them; in a text file those are numbers whose every cell is one."""
    if not sheet.source.is_text:
        kinds = {name: _kind(physical) for name, physical in sheet.source.types.items()}
        return [Column(name, kind) for name, kind in kinds.items() if kind], {}
    tests = [
        f"bool_and({quote_name(name)} is null or {number_of(sheet, name)} is not null)"
        for name in sheet.columns
    ]
    flags = run(sheet.connection, f"select {', '.join(tests)} from {sheet.sql}", sheet.source)[0]
    numbers = [name for name, flag in zip(sheet.columns, flags, strict=True) if flag]
    columns = [Column(name, "number" if name in numbers else "string") for name in sheet.columns]
    return columns, {name: number_of(sheet, name) for name in numbers}


def _kind(physical: str) -> str:
    kinds = ("number", "string", "boolean", "date", "timestamp")
    return next((kind for kind in kinds if PHYSICAL[kind].fullmatch(physical)), "")
