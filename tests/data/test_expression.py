"""Rules between columns: SQL's three-valued logic in Python, the same as the database's."""

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract.expression import parse_expression
from tidegate.data.contract.quote import quote_name, quote_value
from tidegate.data.contract.rules import Column
from tidegate.errors import UsageError

COLUMNS = [Column("a", "number"), Column("b", "integer"), Column("s", "string"), Column('we"ird', "boolean")]
ROW = {"a": 1.5, "b": 2, "s": "it's", 'we"ird': True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a < b", True),
        ("a + b * 2 = 5.5", True),
        ("(a + b) * 2 = 7", True),
        ("-a = -1.5", True),
        ("a / 0 is null", True),
        ("not a > b", True),
        ("s = 'it''s'", True),
        ("s in ('x', 'it''s')", True),
        ("s not in ('x')", True),
        ("b between 2 and 3 and a not between 2 and 3", True),
        ('"we""ird"', True),
        ("length(s) = 4 and abs(0 - a) = 1.5 and floor(a) = 1 and ceil(a) = 2", True),
        ("coalesce(null, b) = 2", True),
        ("null = a", None),
        ("null or a < b", True),
        ("null and a < b", None),
        ("null and a > b", False),
    ],
)
def test_an_expression_has_the_value_that_sql_gives_it(text: str, value: bool | None) -> None:
    assert parse_expression(text, COLUMNS).run(ROW) is value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a <", "expression at its end: expected a column, a number or 'text'"),
        ("a ! b", "expression `a ! b`: `! b` is not understood"),
        ("a < b c", "expression at `c`: expected `and`, `or` or the end"),
        ("a < s", "expression: a number cannot be compared with a string"),
        ("a + s > 1", "expression: found a string, expected a number"),
        ("a", "expression `a`: is a number, expected true or false"),
        ("aa < 1", "expression: unknown column `aa`, did you mean `a`?"),
        ("abss(a) < 1", "expression: unknown function `abss`, did you mean `abs`?"),
        ("a < )", "expression at `)`: expected a column, a number or 'text'"),
        ("a not 3", "expression at `3`: expected `in` or `between` after `not`"),
        ("a; drop table t", "expression `a; drop table t`: `; drop table` is not understood"),
        ("(" * 5000 + "a", "expression: nested too deep, expected a short rule"),
        ("", "expression at its end: expected a column, a number or 'text'"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_expression(text, COLUMNS)
    assert str(caught.value) == message


numbers = st.sampled_from(["a", "b", "1", "0", "null", "2.5"])
terms = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({' '.join(t)})"),
    max_leaves=4,
)
comparisons = st.tuples(terms, st.sampled_from(["<", "<=", "=", "<>", ">", ">="]), terms).map(
    " ".join
) | terms.map(lambda term: f"{term} is not null")
rules = st.recursive(
    comparisons,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})")
        | inner.map(lambda rule: f"not ({rule})")
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(rules, st.none() | st.sampled_from([0.0, 1.0, -2.5]), st.none() | st.integers(-3, 3))
def test_the_database_and_python_agree(rule: str, a: float | None, b: int | None) -> None:
    term = parse_expression(rule, COLUMNS)
    with duckdb.connect() as connection:
        row = f"(select {_sql(a)}::DOUBLE as a, {_sql(b)}::BIGINT as b)"
        assert connection.execute(f"select {term.sql} from {row}").fetchall() == [
            (term.run({"a": a, "b": b}),)
        ]


def _sql(value: Any) -> str:
    return "null" if value is None else str(value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_no_name_or_value_can_leave_its_quotes(text: str) -> None:
    with duckdb.connect() as connection:
        sql = f"select {quote_value(text)} as {quote_name(text)}"
        found = connection.execute(sql)
        assert (found.description[0][0], found.fetchall()) == (text, [(text,)])
