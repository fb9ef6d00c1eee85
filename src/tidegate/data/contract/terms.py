"""The parts of an expression: each is SQL for a table and a function of one row, with the same value."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.errors import UsageError, did_you_mean

Run = Callable[[Mapping[str, Any]], Any]

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
FUNCTIONS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "abs": ("number", "number", abs),
    "floor": ("number", "number", math.floor),
    "ceil": ("number", "number", math.ceil),
    "length": ("string", "number", len),
}


class Term(NamedTuple):
    """A parsed expression: SQL for a table, a function of one row, the kind of its value."""

    sql: str
    run: Run
    kind: str


def coalesce(terms: Sequence[Term]) -> Term:
    """The first of these values that is not null."""
    kinds = {term.kind for term in terms} - {"null"}
    if len(kinds) > 1:
        raise _wrong(f"expected one kind in `coalesce`, found {' and '.join(sorted(kinds))}")
    sql = ", ".join(term.sql for term in terms)
    first = tuple(term.run for term in terms)
    found = next(iter(kinds), "null")
    return Term(
        f"coalesce({sql})",
        lambda row: next((v for run in first if (v := run(row)) is not None), None),
        found,
    )


def compare(sign: str, left: Term, right: Term) -> Term:
    """Whether two values of one kind stand in this relation."""
    if left.kind != right.kind and "null" not in (left.kind, right.kind):
        raise _wrong(f"a {left.kind} cannot be compared with a {right.kind}")
    test, one, two = COMPARE[sign], left.run, right.run
    return Term(f"({left.sql} {sign} {right.sql})", lambda row: _known(test, one(row), two(row)), "boolean")


def calculate(sign: str, left: Term, right: Term) -> Term:
    """Two numbers joined by this sign; dividing by zero gives null."""
    one, two = of_kind(left, "number"), of_kind(right, "number")
    divisor = f"nullif({two.sql}, 0)" if sign == "/" else two.sql
    act = ARITHMETIC[sign]
    return Term(
        f"({one.sql} {sign} {divisor})",
        lambda row: _calculated(act, one.run(row), two.run(row)),
        "number",
    )


def join(word: str, left: Term, right: Term) -> Term:
    """Two conditions joined by `and` or `or`, null being unknown."""
    one, two = of_kind(left, "boolean"), of_kind(right, "boolean")
    both = _and if word == "and" else _or
    return Term(f"({one.sql} {word} {two.sql})", lambda row: both(one.run(row), two.run(row)), "boolean")


def of_kind(term: Term, kind: str) -> Term:
    """The term, if it is of this kind; UsageError for another."""
    if term.kind not in (kind, "null"):
        raise _wrong(f"found a {term.kind}, expected a {kind}")
    return term


def negate(term: Term) -> Term:
    """The opposite of a condition, unknown if that is."""
    one = of_kind(term, "boolean")
    return Term(f"(not {one.sql})", lambda row: _not(one.run(row)), "boolean")


def minus(term: Term) -> Term:
    """The number with the other sign."""
    one = of_kind(term, "number")
    return Term(f"(- {one.sql})", lambda row: _known(operator.neg, one.run(row)), "number")


def call(name: str, terms: Sequence[Term]) -> Term:
    """A function of these values; UsageError for an unknown one, or for another number of values."""
    if name == "coalesce":
        return coalesce(terms)
    if name not in FUNCTIONS or len(terms) != 1:
        found = f"unknown function `{name}`{did_you_mean(name, [*FUNCTIONS, 'coalesce'])}"
        raise _wrong(found)
    takes, gives, function = FUNCTIONS[name]
    term = of_kind(terms[0], takes)
    return Term(f"{name}({term.sql})", lambda row: _known(function, term.run(row)), gives)


def _wrong(message: str) -> UsageError:
    return UsageError("expression", message)


def _known(function: Callable[..., Any], *values: Any) -> Any:
    return None if None in values else function(*values)


def _calculated(function: Callable[[float, float], float], one: Any, two: Any) -> float | None:
    if one is None or two is None:
        return None
    try:
        return function(float(one), float(two))
    except ZeroDivisionError:
        return None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _and(one: bool | None, two: bool | None) -> bool | None:
    if one is False or two is False:
        return False
    return None if one is None or two is None else True


def _or(one: bool | None, two: bool | None) -> bool | None:
    if one is True or two is True:
        return True
    return None if one is None or two is None else False
