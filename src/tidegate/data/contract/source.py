"""A table on disk as DuckDB reads it: Parquet or CSV, within a stated memory, and no other file beside it."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.contract.quote import quote_value
from tidegate.errors import NotFoundError, UsageError, missing_extra

if TYPE_CHECKING:
    import duckdb

MEMORY = "1GB"
SUFFIXES = {".parquet": "Parquet", ".csv": "CSV"}


class Source(NamedTuple):
    """A file's name, the SQL that reads it with and without row numbers, and its columns' physical types."""

    name: str
    sql: str
    numbered: str
    types: dict[str, str]
    is_text: bool
    path: Path


@contextmanager
def connect(paths: Sequence[Path], *, memory: str = MEMORY) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A database in memory that may read these files only; what needs more memory than this goes to disk."""
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing_extra("checking tables", "gate") from None
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder, duckdb.connect() as connection:
        allowed = ", ".join(quote_value(str(path.resolve())) for path in paths)
        connection.execute(f"set memory_limit = {quote_value(memory)}")
        connection.execute(f"set temp_directory = {quote_value(folder)}")
        connection.execute(f"set allowed_paths = [{allowed}]")
        connection.execute(f"set allowed_directories = [{quote_value(folder + '/')}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


def open_source(connection: "duckdb.DuckDBPyConnection", path: Path, name: str = "") -> Source:
    """The table in a file, by its suffix.

    Raises NotFoundError without the file and UsageError for what is neither Parquet nor CSV.
    """
    import duckdb

    where = name or path.name
    if not path.is_file():
        raise NotFoundError(where, "no such file", hint="tidegate repro")
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(where, f"unknown kind of table `{path.suffix}`, expected .csv or .parquet")
    if path.stat().st_size == 0:
        raise UsageError(where, f"the file is empty, expected {kind}")
    sql, numbered = _csv_readers(path, where) if kind == "CSV" else _parquet_readers(path)
    try:
        found = connection.execute(f"describe select * from {sql}").fetchall()
    except duckdb.Error as error:
        raise UsageError(where, f"{one_line(error, path)}, expected {kind}") from None
    return Source(where, sql, numbered, {row[0]: row[1] for row in found}, kind == "CSV", path)


def run(connection: "duckdb.DuckDBPyConnection", sql: str, source: Source) -> list[tuple[Any, ...]]:
    """The rows of a query over one file; UsageError for what is wrong in the file."""
    import duckdb

    try:
        return connection.execute(sql).fetchall()
    except duckdb.Error as error:
        raise UsageError(source.name, one_line(error, source.path)) from None


def one_line(error: Exception, path: Path) -> str:
    """The first line of a database's complaint, without the folder of the file."""
    lines = str(error).splitlines()
    line = lines[0].partition(": ")[2] or lines[0]
    if line.startswith("CSV Error on Line: "):
        said = next((one for one in lines[1:] if not one.startswith("Original Line")), "not CSV")
        line = f"line {line.rpartition(' ')[2]}: {said[:1].lower()}{said[1:]}"
    line = line.replace(f"{path.resolve().parent}/", "").rstrip(".")
    return line[:1].lower() + line[1:]


def _parquet_readers(path: Path) -> tuple[str, str]:
    """SQL that reads the file, and SQL that also numbers its rows from 0 as `file_row_number`."""
    file = quote_value(str(path.resolve()))
    return f"read_parquet({file})", f"read_parquet({file}, file_row_number = true)"


def _csv_readers(path: Path, where: str) -> tuple[str, str]:
    """The same for CSV. Nothing is guessed: a database that guesses may take bad lines for a preamble."""
    columns = ", ".join(f"{quote_value(name)}: 'VARCHAR'" for name in _csv_header(path, where))
    options = "header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = ''"
    plain = f"read_csv({quote_value(str(path.resolve()))}, columns = {{{columns}}}, {options})"
    return plain, f"(select row_number() over () - 1 as file_row_number, * from {plain})"


def _csv_header(path: Path, where: str) -> list[str]:
    import csv

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            heads = next(csv.reader(file, strict=True), [])
    except UnicodeDecodeError as error:
        raise UsageError(where, f"byte {error.start} is not UTF-8, expected CSV in UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{where}:1", f"{error}, expected CSV") from None
    if not heads:
        raise UsageError(where, "no header line, expected the names of the columns")
    twice = next((name for name in heads if heads.count(name) > 1), None)
    if twice is not None or any("\0" in name for name in heads):
        raise UsageError(f"{where}:1", f"column `{twice}` appears twice, names must be distinct")
    return heads
