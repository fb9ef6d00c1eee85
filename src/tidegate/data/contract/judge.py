"""Everything that is wrong with one row, however wrong it is."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from tidegate.data.contract.rules import NONE_ALLOWED, Check, Column, Contract, Policy, Violation, checks_of
from tidegate.data.contract.say import NAMES, expected, short
from tidegate.data.contract.terms import Run
from tidegate.data.contract.value import WRONG, breaks, is_missing, read_value
from tidegate.errors import did_you_mean


class RowRun(NamedTuple):
    """A compiled rule between columns."""

    name: str
    expression: str
    policy: Policy
    run: Run


def list_violations(
    contract: Contract, rules: Sequence[RowRun], *, row: object, path: str
) -> tuple[Violation, ...]:
    """Every violation of a row that may be anything."""
    if not isinstance(row, Mapping):
        return (
            Violation(
                "type",
                "",
                path,
                f"{short(row)} is no object",
                "an object",
                policy=_policy(contract, "reject"),
            ),
        )
    found = [] if contract.serving.unknown_fields == "ignore" else list(_unknown(contract, row, path))
    values: dict[str, Any] = {}
    for column in contract.columns:
        found += _column_violations(
            contract, column, row.get(column.name), f"{path}.{column.name}", name_in=column.name in row
        )
        values[column.name] = read_value(column, row.get(column.name))
    if not found or not any(violation.rule in ("type", "required", "finite") for violation in found):
        found += _rule_violations(contract, rules, values=values, path=path)
    return tuple(found)


def _unknown(contract: Contract, row: Mapping[str, Any], path: str) -> list[Violation]:
    names = [column.name for column in contract.columns]
    policy = _policy(contract, "reject")
    return [
        Violation(
            "unknown",
            str(name),
            f"{path}.{name}",
            f"unknown column{did_you_mean(str(name), names)}",
            "only declared ones",
            policy=policy,
        )
        for name in row
        if name not in names
    ]


def _policy(contract: Contract, policy: Policy) -> Policy:
    return "flag" if contract.serving.on_violation == "flag" else policy


def _column_violations(
    contract: Contract, column: Column, value: Any, path: str, *, name_in: bool
) -> list[Violation]:
    make = partial(Violation, column=column.name, path=path)
    if is_missing(column, value):
        if not column.is_required:
            return []
        seen = "is null" if name_in else "is missing"
        return [
            make(
                rule="required",
                found=seen,
                expected="a value",
                policy=_policy(contract, column.policy("required")),
            )
        ]
    read = read_value(column, value)
    if read is WRONG:
        policy = _policy(contract, column.policy("type"))
        return [make(rule="type", found=f"is {short(value)}", expected=NAMES[column.kind], policy=policy)]
    checks = [check for check in checks_of(column) if check.rule == "finite"] + row_checks(column)
    return [
        make(
            rule=check.rule,
            found=f"is {short(value)}",
            expected=expected(column, check),
            policy=_policy(contract, column.policy(check.rule)),
        )
        for check in checks
        if breaks(check, read)
    ]


def _rule_violations(
    contract: Contract, rules: Sequence[RowRun], *, values: Mapping[str, Any], path: str
) -> list[Violation]:
    return [
        Violation(
            "row",
            "",
            path,
            f"rule `{rule.name}` is false",
            rule.expression,
            policy=_policy(contract, rule.policy),
        )
        for rule in rules
        if rule.run(values) is False
    ]


def row_checks(column: Column) -> list[Check]:
    """The declared checks that one row alone can break: those without exceptions, and not uniqueness."""
    return [check for check in column.checks if check.rule != "unique" and check.allowed == NONE_ALLOWED]
