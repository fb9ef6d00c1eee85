"""One row against the contract: a compiled type says whether it is fine, a slower look says what is not."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tidegate.data.contract.expression import parse_expression
from tidegate.data.contract.fields import FieldType, row_type
from tidegate.data.contract.judge import RowRun, list_violations, row_checks
from tidegate.data.contract.rules import Check, Column, Contract, Violation, argument_of
from tidegate.data.contract.value import WRONG, breaks, read_value


class Rest(NamedTuple):
    """A check of one column that the compiled type does not make."""

    name: str
    column: Column
    check: Check


class RowCheck(NamedTuple):
    """The compiled check of rows; make one for a contract and keep it."""

    contract: Contract
    type: FieldType
    rest: tuple[Rest, ...]
    rules: tuple[RowRun, ...]
    unbounded: tuple[str, ...]

    def violations(self, row: Mapping[str, Any], path: str = "row") -> tuple[Violation, ...]:
        """Everything that is wrong with a decoded JSON object, in the order of the columns; () when it is fine."""
        import msgspec

        if self.type is None:
            return list_violations(self.contract, self.rules, row=row, path=path)
        try:
            msgspec.convert(row, self.type)
        except (msgspec.ValidationError, OverflowError):
            return list_violations(self.contract, self.rules, row=row, path=path)
        for name in self.unbounded:
            value = row.get(name)
            if value is not None and value - value != 0:
                return list_violations(self.contract, self.rules, row=row, path=path)
        if self.rest or self.rules:
            return self._look_closer(row, path)
        return ()

    def _look_closer(self, row: Mapping[str, Any], path: str) -> tuple[Violation, ...]:
        """The checks that the type has not made; the type has made sure of the kinds."""
        for rest in self.rest:
            value = row.get(rest.name)
            if value is None:
                continue
            read = read_value(rest.column, value)
            if read is WRONG or breaks(rest.check, read):
                return list_violations(self.contract, self.rules, row=row, path=path)
        for rule in self.rules:
            if rule.run(row) is False:
                return list_violations(self.contract, self.rules, row=row, path=path)
        return ()


def compile_rows(contract: Contract) -> RowCheck:
    """The check of one row of features, compiled once."""
    type_, covered = row_type(contract)
    rest = tuple(
        Rest(column.name, column, check)
        for column in contract.columns
        for check in (*_text_type(column), *row_checks(column))
        if (column.name, check.rule) not in covered
    )
    bounded = {column.name for column in contract.columns if _is_bounded(column)}
    numbers = [column.name for column in contract.columns if column.kind == "number"]
    return RowCheck(
        contract, type_, rest, compile_rules(contract), tuple(name for name in numbers if name not in bounded)
    )


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
    limits = argument_of(column, "range")
    return limits is not None and limits.low is not None and limits.high is not None


def _text_type(column: Column) -> tuple[Check, ...]:
    """Dates are text to the compiled type, so that what they say is read afterwards."""
    return (Check("type"),) if column.kind in ("date", "timestamp") else ()
