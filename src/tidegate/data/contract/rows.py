"""One row against the contract: a compiled type says whether it is fine, a slower look says what is not."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tidegate.data.contract.expression import parse_expression
from tidegate.data.contract.fields import FieldType, row_type
from tidegate.data.contract.judge import Judge, RowRun, as_required, compile_judge, row_checks
from tidegate.data.contract.rules import Check, Column, Contract, Violation
from tidegate.data.contract.value import WRONG, Breach, Read, breach_of, reader_of


class Rest(NamedTuple):
    """A check of one column that the compiled type does not make."""

    name: str
    read: Read
    breaks: Breach


class RowCheck(NamedTuple):
    """The compiled check of rows; make one for a contract and keep it."""

    contract: Contract
    type: FieldType
    rest: tuple[Rest, ...]
    rules: tuple[RowRun, ...]
    unbounded: tuple[str, ...]
    judge: Judge

    def violations(self, row: Mapping[str, Any], path: str = "row") -> tuple[Violation, ...]:
        """Everything that is wrong with a decoded JSON object, in the order of the columns; () when it is fine."""
        import msgspec

        if self.type is None:
            return self.judge.violations(row, path)
        try:
            msgspec.convert(row, self.type)
        except (msgspec.ValidationError, OverflowError):
            return self.judge.violations(row, path)
        for name in self.unbounded:
            value = row.get(name)
            if value is not None and value - value != 0:
                return self.judge.violations(row, path)
        if self.rest or self.rules:
            return self._look_closer(row, path)
        return ()

    def _look_closer(self, row: Mapping[str, Any], path: str) -> tuple[Violation, ...]:
        """The checks that the type has not made; the type has made sure of the kinds."""
        for rest in self.rest:
            read = rest.read(row.get(rest.name))
            if read is not None and (read is WRONG or rest.breaks(read)):
                return self.judge.violations(row, path)
        for rule in self.rules:
            if rule.run(row) is False:
                return self.judge.violations(row, path)
        return ()


def compile_rows(contract: Contract) -> RowCheck:
    """The check of one row of features, compiled once."""
    contract = as_required(contract)
    type_, covered = row_type(contract)
    rest = tuple(
        Rest(column.name, reader_of(column), breach_of(check))
        for column in contract.columns
        for check in (*_text_type(column), *row_checks(column))
        if (column.name, check.rule) not in covered
    )
    rules = compile_rules(contract)
    unbounded = tuple(
        column.name for column in contract.columns if column.kind == "number" and not _is_bounded(column)
    )
    return RowCheck(contract, type_, rest, rules, unbounded, compile_judge(contract, rules))


def compile_rules(contract: Contract) -> tuple[RowRun, ...]:
    """The rules between columns that a row of features can be held to."""
    features = {column.name for column in contract.columns}
    columns = [column for column in contract.every if column.name in features]
    found = []
    for rule in contract.table.row_rules:
        if columns_of(rule.expression, contract) <= features:
            found.append(
                RowRun(
                    rule.name, rule.expression, rule.policy, parse_expression(rule.expression, columns).run
                )
            )
    return tuple(found)


def columns_of(expression: str, contract: Contract) -> set[str]:
    """The columns that an expression names."""
    seen: set[str] = set()

    class Watch(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            seen.add(name)
            return default

    parse_expression(expression, contract.every, Watch())
    return seen


def _is_bounded(column: Column) -> bool:
    """Whether the type of a number keeps infinity out."""
    return any(
        check.rule == "range" and None not in (check.argument.low, check.argument.high)
        for check in row_checks(column)
    )


def _text_type(column: Column) -> tuple[Check, ...]:
    """Dates are text to the compiled type, so that what they say is read afterwards."""
    return (Check("type"),) if column.kind in ("date", "timestamp") else ()
