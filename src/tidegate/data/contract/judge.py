"""Everything that is wrong with one row, however wrong it is: compiled, as a request may be wrong in every row."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.data.contract.rules import NONE_ALLOWED, Check, Column, Contract, Policy, Range, Violation
from tidegate.data.contract.say import NAMES, expected, short
from tidegate.data.contract.terms import Run
from tidegate.data.contract.value import WRONG, Breach, Read, breach_of, is_finite, reader_of
from tidegate.errors import did_you_mean

# what leaves a value that no rule between columns can be asked about
UNREAD = ("type", "required", "finite")


class RowRun(NamedTuple):
    """A compiled rule between columns."""

    name: str
    expression: str
    policy: Policy
    run: Run


class Complaint(NamedTuple):
    """What all violations of one rule have in common; `place` is where in its row."""

    rule: str
    column: str
    place: str
    expected: str
    policy: Policy

    def of(self, path: str, found: str) -> Violation:
        """The violation in the row of this path."""
        place = path + self.place
        return Violation(self.rule, self.column, place, found, self.expected, 1, (), self.policy)


class ColumnRun(NamedTuple):
    """A compiled column: how its value is read, and what is said where it is missing or breaks a check.

    A value of the type `plain` from `low` to `high` breaks nothing; they are NaN where that cannot be said.
    """

    name: str
    plain: type[float]
    low: Any
    high: Any
    read: Read
    required: Complaint | None
    type: Complaint
    finite: Complaint
    tests: tuple[tuple[Breach, Complaint], ...]


class Judge(NamedTuple):
    """The compiled contract of a row that may be anything; `unknown` is None where unknown fields are ignored."""

    columns: tuple[ColumnRun, ...]
    names: frozenset[str]
    rules: tuple[tuple[RowRun, Complaint], ...]
    no_row: Complaint
    unknown: Complaint | None

    def violations(self, row: object, path: str) -> tuple[Violation, ...]:
        """Every violation of a row, in the order of the columns."""
        if not isinstance(row, Mapping):
            return (self.no_row.of(path, f"{short(row)} is no object"),)
        found = [] if row.keys() <= self.names else list(self._unknown(row, path))
        values: dict[str, Any] = {}
        for column in self.columns:
            name = column.name
            value: Any = row.get(name)
            values[name] = value
            if type(value) is column.plain and column.low <= value <= column.high:
                continue
            values[name] = read = column.read(value)
            if read is not None:
                found += [broken.of(path, f"is {short(value)}") for broken in _broken(column, read)]
            elif column.required:
                found.append(column.required.of(path, "is null" if name in row else "is missing"))
        if self.rules and not any(one.rule in UNREAD for one in found):
            found += self._false(values, path)
        return tuple(found)

    def _false(self, values: Mapping[str, Any], path: str) -> list[Violation]:
        false = [(rule, said) for rule, said in self.rules if rule.run(values) is False]
        return [said.of(path, f"rule `{rule.name}` is false") for rule, said in false]

    def _unknown(self, row: Mapping[str, Any], path: str) -> Iterator[Violation]:
        if self.unknown is None:
            return
        names = [column.name for column in self.columns]
        for name in row:
            if name not in self.names:
                said = self.unknown._replace(column=str(name), place=f".{name}")
                yield said.of(path, f"unknown column{did_you_mean(str(name), names)}")


def _broken(column: ColumnRun, read: Any) -> list[Complaint]:
    if read is WRONG:
        return [column.type]
    if not is_finite(read):
        return [column.finite]
    return [complaint for breaks, complaint in column.tests if breaks(read)]


def compile_judge(contract: Contract, rules: Sequence[RowRun]) -> Judge:
    """The judge of a contract's rows; `rules` are those between the columns."""
    strict = _policy(contract, "reject")
    is_ignored = contract.serving.unknown_fields == "ignore"
    return Judge(
        tuple(_compile_column(contract, column) for column in contract.columns),
        frozenset(column.name for column in contract.columns),
        tuple(
            (rule, Complaint("row", "", "", rule.expression, _policy(contract, rule.policy)))
            for rule in rules
        ),
        Complaint("type", "", "", "an object", strict),
        None if is_ignored else Complaint("unknown", "", "", "only declared ones", strict),
    )


def _policy(contract: Contract, policy: Policy) -> Policy:
    return "flag" if contract.serving.on_violation == "flag" else policy


def _compile_column(contract: Contract, column: Column) -> ColumnRun:
    def complaint(rule: str, wanted: str) -> Complaint:
        policy = _policy(contract, column.policy(rule))
        return Complaint(rule, column.name, f".{column.name}", wanted, policy)

    checks = row_checks(column)
    low, high = _quick_ends(column, checks)
    return ColumnRun(
        column.name,
        int if column.kind == "integer" else float,
        low,
        high,
        reader_of(column),
        complaint("required", "a value") if column.is_required else None,
        complaint("type", NAMES[column.kind]),
        complaint("finite", expected(column, Check("finite"))),
        tuple((breach_of(check), complaint(check.rule, expected(column, check))) for check in checks),
    )


def _quick_ends(column: Column, checks: Sequence[Check]) -> tuple[Any, Any]:
    """Bounds that say all of a number; NaN, which nothing is within, for what has other checks."""
    limits = checks[0].argument if checks else Range()
    others = any(check.rule != "range" for check in checks)
    if others or column.kind not in ("number", "integer") or limits.is_low_open or limits.is_high_open:
        return math.nan, math.nan
    largest = sys.float_info.max
    return -largest if limits.low is None else limits.low, largest if limits.high is None else limits.high


def row_checks(column: Column) -> list[Check]:
    """The declared checks of what a value is that one row alone can break: those without exceptions."""
    others = ("unique", "required")
    return [check for check in column.checks if check.rule not in others and check.allowed == NONE_ALLOWED]


def as_required(contract: Contract) -> Contract:
    """The same with a column required whose check says that no null may be: to one row both are the same."""
    return contract._replace(
        columns=tuple(
            column._replace(is_required=column.is_required or Check("required") in column.checks)
            for column in contract.columns
        )
    )
