"""One row, a matrix and a table: the same contract says the same of all three."""

import json
import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.bounds import MAX_LISTED, compile_matrix, narrow
from tidegate.data.contract.check import check_tables
from tidegate.data.contract.example import example_row
from tidegate.data.contract.rows import compile_rows
from tidegate.data.contract.rules import Allowance, Check, Items, Range, RowRule, Serving, TableRules

AGE = Column("age", "integer", True, "feature", (Check("range", Range(0, 120)),))
PLAN = Column("plan", "string", True, "feature", (Check("values", ("free", "pro")),))
SCORE = Column("score", "number", False, "feature", (Check("range", Range(0, 1, False, True)),))
CHURN = Contract(
    "churn",
    (AGE, PLAN, SCORE),
    (Column("label", "integer"),),
    TableRules(row_rules=(RowRule("sane", "score < age"),)),
)
CHECKER = compile_rows(CHURN)
FINE = {"age": 30, "plan": "pro", "score": 0.5}


def said(row: Any, contract: Contract = CHURN) -> list[str]:
    return [str(one) for one in compile_rows(contract).violations(row, "rows[3]")]


@pytest.mark.parametrize(
    "row", [FINE, {"age": 30, "plan": "pro"}, {"age": 30, "plan": "pro", "score": None}, FINE | {"age": 30.0}]
)
def test_a_row_that_keeps_the_contract_has_no_violations(row: dict[str, Any]) -> None:
    assert CHECKER.violations(row) == ()


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({"age": 121}, ["rows[3].age: is 121, expected 0 to 120"]),
        ({"age": 1.5}, ["rows[3].age: is 1.5, expected an integer"]),
        ({"age": True}, ["rows[3].age: is True, expected an integer"]),
        ({"age": "30"}, ["rows[3].age: is '30', expected an integer"]),
        ({"age": None}, ["rows[3].age: is null, expected a value"]),
        ({"age": 10**400}, ["rows[3].age: is 1000000000000000000000000000000000000..., expected 0 to 120"]),
        ({"plan": "prp"}, ["rows[3].plan: is 'prp', expected one of 'free', 'pro'"]),
        ({"score": 1}, ["rows[3].score: is 1, expected at least 0 and below 1"]),
        (
            {"score": float("nan")},
            ["rows[3].score: is nan, expected a finite number, or null for a missing one"],
        ),
        (
            {"score": float("inf")},
            ["rows[3].score: is inf, expected a finite number, or null for a missing one"],
        ),
        (
            {"score": 10**400},
            ["rows[3].score: is 1000000000000000000000000000000000000..., expected a number"],
        ),
        ({"pln": 1}, ["rows[3].pln: unknown column, did you mean `plan`?, expected only declared ones"]),
        ({"age": 0}, ["rows[3]: rule `sane` is false, expected score < age"]),
        (
            {"age": -1, "plan": None, "x": 1},
            [
                "rows[3].x: unknown column, expected only declared ones",
                "rows[3].age: is -1, expected 0 to 120",
                "rows[3].plan: is null, expected a value",
            ],
        ),
    ],
)
def test_everything_wrong_in_a_row_is_listed_with_its_path(
    change: dict[str, Any], sentences: list[str]
) -> None:
    assert said(FINE | change) == sentences


@pytest.mark.parametrize("row", [[1, 2], "x", None, 3])
def test_what_is_no_object_is_said(row: object) -> None:
    assert said(row) == [f"rows[3]: {row!r} is no object, expected an object"]


def test_a_missing_column_is_not_a_null_one() -> None:
    assert said({"plan": "pro"}) == ["rows[3].age: is missing, expected a value"]


def test_the_endpoint_may_only_flag_and_may_ignore_unknown_fields() -> None:
    contract = CHURN._replace(serving=Serving("flag", "ignore"))
    found = compile_rows(contract).violations(FINE | {"age": 200, "more": 1})
    assert [(one.column, one.policy) for one in found] == [("age", "flag")]


@pytest.mark.parametrize(
    ("column", "fine", "wrong"),
    [
        (Column("x", "string", checks=(Check("pattern", r"^\d+$"),)), ["12"], ["1a", "", "٣", "1\n"]),
        (Column("x", "string", checks=(Check("pattern", r"a\$"),)), ["a$b"], ["a"]),
        (Column("x", "string", checks=(Check("length", Range(1, 2)),)), ["é", "éé"], ["", "abc"]),
        (Column("x", "string", checks=(Check("missing", ("N/A",)),)), ["a"], ["N/A"]),
        (Column("x", "number", checks=(Check("step", 0.1),)), [0.3, 1, -0.7], [0.35]),
        (Column("x", "number", checks=(Check("values", (1, 2.5)),)), [1.0, 2.5], [2]),
        (Column("x", "integer", checks=(Check("values", (1, 2)),)), [1, 2.0], [3]),
        (Column("x", "integer", checks=(Check("range", Range(0.5, 2.5)),)), [1, 2], [0, 3]),
        (Column("x", "integer", checks=(Check("range", Range(0.5, 3, True, True)),)), [1, 2], [0, 3]),
        (Column("x", "integer", checks=(Check("range", Range(None, 2**60)),)), [2**60], [2**60 + 1]),
        (Column("x", "boolean"), [True, False], [0, "true"]),
        (Column("x", "date"), ["2026-01-01"], ["soon", 20260101]),
        (
            Column("x", "date", checks=(Check("range", Range("2026-01-01")),)),
            ["2026-01-01"],
            ["2025-12-31", "soon", 3],
        ),
        (
            Column("x", "timestamp", checks=(Check("range", Range(None, "2026-01-01T00:00:00")),)),
            ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+02:00"],
            ["2026-01-01T00:00:01", "x"],
        ),
        (
            Column(
                "x",
                "array",
                checks=(Check("items", Items("number", (2, 2), (Check("range", Range(0, 4)),))),),
            ),
            [[[0, 1], [2, 4]]],
            [
                [[0, 1]],
                [[0, 1], [2]],
                [[0, 1], [2, 5]],
                [[0, 1], [2, None]],
                [[0, 1], 3],
                3,
                [[0, 1], [2, math.nan]],
            ],
        ),
        (
            Column("x", "array", checks=(Check("items", Items("string", (-1,), (), Range(1, 2))),)),
            [["a"], ["a", "b"]],
            [[], ["a", "b", "c"], [1]],
        ),
    ],
)
def test_each_rule_of_a_column_is_held_for_one_value(
    column: Column, fine: list[Any], wrong: list[Any]
) -> None:
    checker = compile_rows(Contract("c", (column,)))
    assert [value for value in fine if checker.violations({"x": value})] == []
    assert [value for value in wrong if len(checker.violations({"x": value})) != 1] == []


@pytest.mark.parametrize("is_required", [True, False])
def test_a_check_that_allows_no_null_makes_a_value_required(is_required: bool) -> None:
    column = Column("x", "number", is_required, checks=(Check("required"),))
    checker, matrix = compile_rows(Contract("c", (column,))), compile_matrix(Contract("c", (column,)))
    assert checker.violations({"x": 1.0}) == () == matrix.violations(np.array([[1.0]]), ["row"])
    assert [one.rule for one in checker.violations({"x": None})] == ["required"]
    assert [one.rule for one in matrix.violations(np.array([[np.nan]]), ["row"])] == ["required"]


def test_infinity_is_found_beside_a_range_with_exceptions() -> None:
    some = Check("range", Range(0, 1), Allowance(high=5))
    checker = compile_rows(Contract("c", (Column("x", "number", checks=(some,)),)))
    assert checker.violations({"x": 2.0}) == ()
    assert [one.rule for one in checker.violations({"x": math.inf})] == ["finite"]


@pytest.mark.parametrize("kind", ["number", "integer"])
def test_a_bound_that_no_float_can_hold_is_kept_to_the_number(kind: str) -> None:
    bound = 2**53 + 3  # as a float this is one more
    column = Column("x", kind, checks=(Check("range", Range(-bound, bound)),))
    checker, matrix = compile_rows(Contract("c", (column,))), compile_matrix(Contract("c", (column,)))
    for inside, beyond in ((2**53 + 2, 2**53 + 4), (-(2**53) - 2, -(2**53) - 4)):
        for value, many in ((inside, 0), (beyond, 1)):
            given = float(value) if kind == "number" else value
            assert len(checker.judge.violations({"x": given}, "row")) == many
            assert len(checker.violations({"x": given})) == many
            assert len(matrix.violations(np.array([[float(value)]]), ["row"])) == many


def test_names_that_no_program_would_choose_are_compiled() -> None:
    columns = tuple(Column(name, "integer") for name in ("größe 1", "", "class", "a.b", '"', "f0"))
    assert compile_rows(Contract("c", columns)).violations({column.name: 1 for column in columns}) == ()


def test_rules_about_columns_that_a_request_lacks_are_left_to_tables() -> None:
    table = TableRules(row_rules=(RowRule("r", "label < age"),))
    assert compile_rows(CHURN._replace(table=table)).violations(FINE) == ()


numbers = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 120.0, 121.0, 1e300])
values = {
    "number": numbers,
    "integer": st.none() | st.integers(-2, 130),
    "string": st.none() | st.sampled_from(["free", "pro", "", "é", "free ", "Free"]),
    "boolean": st.none() | st.booleans(),
}
checks = {
    "number": [
        Check("range", Range(0, 1)),
        Check("range", Range(0, 1, True, True)),
        Check("step", 0.5),
        Check("values", (0, 2)),
    ],
    "integer": [
        Check("range", Range(0.5, 120)),
        Check("step", 2),
        Check("values", (1, 2)),
        Check("missing", (-1,)),
    ],
    "string": [Check("values", ("free", "pro")), Check("pattern", "^f.*e$"), Check("length", Range(1, 4))],
    "boolean": [Check("values", (True,))],
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[Contract, list[dict[str, Any]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=3))
    columns = tuple(
        Column(f"c{i}", kind, draw(st.booleans()), checks=(draw(st.sampled_from(checks[kind])),))
        for i, kind in enumerate(kinds)
    )
    rows = st.fixed_dictionaries({column.name: values[column.kind] for column in columns})
    return Contract("c", columns), draw(st.lists(rows, min_size=1, max_size=5))


TYPES = {"number": "DOUBLE", "integer": "BIGINT", "string": "VARCHAR", "boolean": "BOOLEAN"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables(), st.sampled_from(["parquet", "csv"]))
def test_a_table_breaks_the_rules_that_its_rows_break(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Contract, list[dict[str, Any]]], kind: str
) -> None:
    contract, rows = made
    if kind == "csv":  # an empty cell is a missing one there
        rows = [{name: None if value == "" else value for name, value in row.items()} for row in rows]
    path = tmp_path_factory.mktemp("law") / f"rows.{kind}"
    with duckdb.connect() as connection:
        heads = ", ".join(f"{column.name} {TYPES[column.kind]}" for column in contract.columns)
        connection.execute(f"create table t ({heads})")
        marks = ", ".join("?" for _ in contract.columns)
        connection.executemany(
            f"insert into t values ({marks})",
            [[row[column.name] for column in contract.columns] for row in rows],
        )
        connection.execute(f"copy t to '{path}'")
    counted = {
        (one.column, one.rule): one.times for one in check_tables(contract, [path], now=0)[0].violations
    }
    checker, seen = compile_rows(contract), dict[tuple[str, str], int]()
    for row in rows:
        for one in checker.violations(row):
            seen[one.column, one.rule] = seen.get((one.column, one.rule), 0) + 1
    assert counted == seen


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables())
def test_the_fast_look_and_the_full_one_agree(made: tuple[Contract, list[dict[str, Any]]]) -> None:
    contract, rows = made
    checker = compile_rows(contract)
    for row in rows:
        assert checker.violations(row) == checker.judge.violations(row, "row")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables().filter(lambda made: all(column.kind != "string" for column in made[0].columns)))
def test_a_matrix_breaks_the_rules_that_its_rows_break(made: tuple[Contract, list[dict[str, Any]]]) -> None:
    contract, rows = made
    matrix = np.array(
        [
            [np.nan if v is None else float(v) for v in (row[column.name] for column in contract.columns)]
            for row in rows
        ]
    )
    paths = [f"rows[{i}]" for i in range(len(rows))]
    checker = compile_rows(contract)
    expected = [
        (one.path, one.rule)
        for row, path in zip(rows, paths, strict=True)
        for one in checker.violations(row, path)
    ]
    found = compile_matrix(contract).violations(matrix, paths)
    assert [(one.path, one.rule) for one in found] == expected


PIXELS = Column(
    "px", "array", checks=(Check("items", Items("number", (2, 3), (Check("range", Range(0, 16)),))),)
)


def test_a_tensor_is_flattened_in_the_matrix_and_named_as_a_whole() -> None:
    check = compile_matrix(Contract("digits", (PIXELS, AGE)))
    assert check.violations(np.array([[0, 1, 2, 3, 4, 16, 30.0]]), ["row"]) == ()
    found = check.violations(np.array([[0, 1, 2, 3, 4, 17, 30.0], [0, 1, 2, 3, 4, 5, 30.5]]), ["a", "b"])
    assert [(one.path, one.rule) for one in found] == [("a.px", "items"), ("b.age", "type")]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_without_any_rule(value: float) -> None:
    check = compile_matrix(Contract("c", (Column("x", "number"),)))
    assert check.violations(np.array([[1e308]]), ["row"]) == ()
    assert len(check.violations(np.array([[value]]), ["row"])) == 1


def test_a_matrix_that_is_wrong_everywhere_lists_a_bounded_number() -> None:
    contract = Contract(
        "c", tuple(Column(f"x{i}", "number", checks=(Check("range", Range(0, 1)),)) for i in range(64))
    )
    found = compile_matrix(contract).violations(np.full((1000, 64), 2.0), [""] * 1000)
    assert len(found) == MAX_LISTED


def test_an_integer_column_that_may_be_null_takes_nan() -> None:
    check = compile_matrix(Contract("c", (Column("x", "integer", is_required=False),)))
    assert check.violations(np.array([[np.nan], [3.0]]), ["a", "b"]) == ()
    assert [one.path for one in check.violations(np.array([[2.5], [np.nan]]), ["a", "b"])] == ["a.x"]


def test_the_example_of_a_contract_is_a_row_that_keeps_it(tmp_path: Path) -> None:
    columns = (
        AGE, PLAN, SCORE, PIXELS,
        Column("open", "number", checks=(Check("range", Range(3, None, True)), Check("step", 0.5))),
        Column("low", "integer", checks=(Check("range", Range(None, -5)),)),
        Column("any", "number"),
        Column("code", "string", checks=(Check("pattern", "^x[0-9]$"),), examples=("x1",)),
        Column("long", "string", checks=(Check("length", Range(7, 9)),)),
        Column("short", "string", checks=(Check("length", Range(None, 2)),)),
        Column("day", "date", checks=(Check("range", Range("2020-01-01", "2021-01-01")),)),
        Column("at", "timestamp"),
        Column("ok", "boolean"),
        Column("list", "array", checks=(Check("items", Items("string", (-1,), (), Range(2, 4))),)),
    )  # fmt: skip
    contract = Contract("c", columns)
    assert compile_rows(contract).violations(json.loads(json.dumps(example_row(contract)))) == ()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(["number", "integer"]),
    st.booleans(),
    st.lists(
        st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, 0.5, 16.0, 16.5, -1.0, 7e9, math.nan, math.inf, -math.inf])
        ),
        min_size=3,
        max_size=3,
    ),
)
def test_a_single_row_is_looked_at_as_one_of_many(kind, is_required, cells) -> None:
    columns = tuple(
        Column(name, kind, is_required, "feature", (Check("range", Range(0, 16)),) if name != "c" else ())
        for name in "abc"
    )
    check = narrow(compile_matrix(Contract("c", columns)), 1e9)
    row = np.array([cells])
    assert bool(check.suspects(row)) == bool(check.suspects(np.concatenate([row, row])))
