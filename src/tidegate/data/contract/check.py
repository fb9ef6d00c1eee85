"""Tables against the contract: counted in one scan of a file, examples fetched only for what is broken."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tidegate.data.contract.look import EXAMPLES, Look, count_all, examples_of, look_at, query
from tidegate.data.contract.rules import Check, Contract, Example, Violation, checks_of
from tidegate.data.contract.say import expected, found, short
from tidegate.data.contract.source import connect
from tidegate.data.contract.sql import Cell, breach
from tidegate.data.contract.statistics import count_broken, facts_of
from tidegate.data.contract.whole import named_columns, shared_rows, table_violations

WIDTH = 200
MAX_EXAMPLED = 100


class Checked(NamedTuple):
    """A file that was checked: its rows, and what in it breaks the contract."""

    name: str
    rows: int
    violations: tuple[Violation, ...]

    @property
    def is_rejected(self) -> bool:
        """Whether a violation is more than a flag."""
        return any(violation.policy == "reject" for violation in self.violations)


class Test(NamedTuple):
    """A check of one column and the SQL that is true where a row breaks it."""

    cell: Cell
    check: Check
    sql: str


def check_tables(contract: Contract, paths: Sequence[Path], *, now: float) -> tuple[Checked, ...]:
    """Each file against the contract; files that are given together are splits, and may not share rows.

    Raises NotFoundError for a missing file and UsageError for one that is no table. Memory is bounded by
    `source.MEMORY` whatever the files' sizes, examples by EXAMPLES a rule and MAX_EXAMPLED rules.
    """
    with connect(paths) as connection:
        looks = [look_at(connection, contract, path) for path in paths]
        return tuple(
            Checked(
                look.source.name, look.rows, (*_violations(look, now), *shared_rows(look, looks[:number]))
            )
            for number, look in enumerate(looks)
        )


def _violations(look: Look, now: float) -> Iterator[Violation]:
    yield from named_columns(look)
    yield from _cell_violations(look)
    yield from table_violations(look, now)


def _cell_violations(look: Look) -> Iterator[Violation]:
    """Every check of every column: one scan for each WIDTH columns, uniqueness by itself."""
    tests = [
        Test(cell, check, sql)
        for cell in look.cells
        for check in checks_of(cell.column)
        if check.rule != "unique" and (sql := breach(cell, check))
    ]
    broken = [
        (test, count)
        for test, count in _counted(look, tests)
        if not test.check.allowed.admits(count, look.rows)
    ]
    for number, (test, count) in enumerate(broken):
        examples = examples_of(look, test.sql, test.cell.raw) if number < MAX_EXAMPLED and count else ()
        yield _of_cell(look, test.cell, test.check, count=count, examples=examples)
    for cell in look.cells:
        for check in cell.column.checks:
            if check.rule == "unique" and cell.value:
                yield from _duplicates(look, cell, check)


def _counted(look: Look, tests: Sequence[Test]) -> Iterator[tuple[Test, int]]:
    """Each test with the rows that break it: by the file's statistics where they say it, the rest by a scan."""
    facts = facts_of(look)
    known = [count_broken(facts, test.cell, test.check) for test in tests]
    scanned = _scanned(look, [test.sql for test, count in zip(tests, known, strict=True) if count is None])
    for test, count in zip(tests, known, strict=True):
        yield test, next(scanned) if count is None else count


def _scanned(look: Look, conditions: Sequence[str]) -> Iterator[int]:
    for start in range(0, len(conditions), WIDTH):
        yield from count_all(look, conditions[start : start + WIDTH])


def _of_cell(look: Look, cell: Cell, check: Check, *, count: int, examples: tuple[Example, ...]) -> Violation:
    column = cell.column
    seen = f"column `{column.name}`: {count:,} of {look.rows:,} values {found(check, cell.physical)}"
    if examples and check.rule != "required":
        seen += f" ({', '.join(f'row {one.row}: {short(one.value)}' for one in examples[:3])})"
    elif examples:
        seen += f" (row {', '.join(str(one.row) for one in examples)})"
    wanted = expected(column, check)
    return Violation(
        check.rule, column.name, look.source.name, seen, wanted, count, examples, column.policy(check.rule)
    )


def _duplicates(look: Look, cell: Cell, check: Check) -> Iterator[Violation]:
    groups = f"select min(file_row_number) + 1 as row, {cell.value} as value, count(*) as n"
    sql = f"{groups} from {look.source.numbered} where {cell.value} is not null group by value having count(*) > 1"
    (count,) = query(look, f"select coalesce(sum(n - 1), 0)::BIGINT from ({sql})")[0]
    if not check.allowed.admits(count, look.rows):
        rows = query(look, f"{sql} order by row limit {EXAMPLES}") if count else []
        examples = tuple(Example(row, value, value) for row, value, _ in rows)
        yield _of_cell(look, cell, check, count=count, examples=examples)
