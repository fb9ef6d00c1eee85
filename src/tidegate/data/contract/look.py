"""One file under examination: its columns as the contract reads them, and the questions that are asked of it."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.contract.rules import Contract, Example, Violation
from tidegate.data.contract.source import Source, one_line, open_source, run
from tidegate.data.contract.sql import Cell, dictionaries, make_cell
from tidegate.errors import UsageError

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5


class Look(NamedTuple):
    """One file under examination."""

    connection: "duckdb.DuckDBPyConnection"
    contract: Contract
    source: Source
    cells: tuple[Cell, ...]
    rows: int

    @property
    def values(self) -> dict[str, str]:
        """The SQL of every column that the file has in a readable type."""
        return {cell.column.name: cell.value for cell in self.cells if cell.value}


def look_at(connection: "duckdb.DuckDBPyConnection", contract: Contract, path: Path) -> Look:
    """Open a file and see which of the contract's columns it has. Raises as `open_source` does."""
    source = open_source(connection, path)
    present = [column for column in contract.every if column.name in source.types]
    cells = tuple(make_cell(column, source.types[column.name], is_text=source.is_text) for column in present)
    for statement in dictionaries(present):
        connection.execute(statement)
    rows = run(connection, f"select count(*) from {source.sql}", source)[0][0]
    return Look(connection, contract, source, cells, rows)


def query(look: Look, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query; UsageError for what is wrong in the file, or with a pattern that only Python knows."""
    import duckdb

    try:
        return look.connection.execute(sql).fetchall()
    except duckdb.InvalidInputException as error:
        if "regular expression" in str(error) or "perl" in str(error) or "escape" in str(error):
            raise UsageError("contract", f"a pattern is not understood, {one_line(error, Path())}") from None
        raise UsageError(look.source.name, one_line(error, look.source.path)) from None
    except duckdb.Error as error:
        raise UsageError(look.source.name, one_line(error, look.source.path)) from None


def count_all(look: Look, conditions: Sequence[str]) -> list[int]:
    """How many rows fulfil each condition, all in one scan."""
    sums = ", ".join(f"count_if({condition})" for condition in conditions)
    return [count or 0 for count in query(look, f"select {sums} from {look.source.sql}")[0]]


def examples_of(look: Look, condition: str, shown: str) -> tuple[Example, ...]:
    """The first rows that fulfil a condition, with the value of `shown`."""
    ids = [cell.raw for cell in look.cells if cell.column.role == "id"]
    named = ids[0] if ids else "null"
    sql = f"select file_row_number + 1, {named}, {shown} from {look.source.numbered} where {condition} limit {EXAMPLES}"
    return tuple(Example(*row) for row in query(look, sql))


def of_table(look: Look, rule: str, found: str, *, expected: str) -> Violation:
    """A violation of the table as a whole."""
    return Violation(rule, "", look.source.name, found, expected, policy=look.contract.table.policy(rule))
