"""What statistics prove is what reading finds; what they do not prove is read."""

import math
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract, check
from tidegate.data.contract.check import check_tables
from tidegate.data.contract.rules import Allowance, Check, Items, Range, Violation
from tidegate.data.contract.sql import make_cell
from tidegate.data.contract.statistics import Facts, count_broken

GROUP = 2048  # the fewest rows that DuckDB puts into a row group
floats = st.sampled_from([None, math.nan, math.inf, -math.inf, -0.0, 0.0, 0.5, 1.0, 1e300, 5e-324])
integers = st.none() | st.sampled_from([0, 1, 2, 2**31 - 1])
big = st.none() | st.sampled_from([0, 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "DOUBLE": floats,
    "FLOAT": floats.filter(lambda value: value not in (1e300, 5e-324)),
    "BIGINT": big,
    "INTEGER": integers,
    "UBIGINT": st.none() | st.sampled_from([0, 1, 2**64 - 1]),
    "DECIMAL(9,2)": st.none() | st.sampled_from([0, 1, 2]),
    "DECIMAL(9,0)": st.none() | st.sampled_from([0, 1, 2]),
    "DATE": st.none() | st.sampled_from(["2020-01-01", "2026-01-01", "infinity"]),
    "TIMESTAMP": st.none() | st.sampled_from(["2020-01-01 00:00:00", "2026-01-01 00:00:00"]),
    "VARCHAR": st.none() | st.sampled_from(["0", "free", ""]),
    "BOOLEAN": st.none() | st.booleans(),
}
KINDS = {"DATE": "date", "TIMESTAMP": "timestamp", "VARCHAR": "string", "BOOLEAN": "boolean"}
RANGES = [
    Range(0, 1), Range(0, 1, True, False), Range(0.0, 1.0, False, True), Range(None, 2**53), Range(-(2**53)), Range(0),
]  # fmt: skip


@st.composite
def columns(draw: st.DrawFn) -> tuple[Column, str, list[Any]]:
    """A column, its type in the file, and the values of three row groups."""
    physical = draw(st.sampled_from(sorted(VALUES)))
    kind = KINDS.get(physical) or draw(st.sampled_from(["number", "integer"]))
    checks = [Check("required", None, draw(st.sampled_from([Allowance(high=0), Allowance(high=GROUP)])))]
    if kind in ("number", "integer"):
        checks.append(Check("range", draw(st.sampled_from(RANGES))))
    column = Column("x", kind, draw(st.booleans()), checks=tuple(checks), is_nan_missing=draw(st.booleans()))
    return column, physical, draw(st.lists(VALUES[physical], min_size=3, max_size=3))


def write(path: Path, physical: str, values: list[Any]) -> None:
    """Each value fills a row group, but for the first row, which is the next group's value."""
    with duckdb.connect() as connection:
        connection.execute(f"create table t (i INTEGER, x {physical})")
        for number, value in enumerate(values):
            fill = (
                f"insert into t select {number * GROUP} + i, ?::VARCHAR::{physical} from range({GROUP}) r(i)"
            )
            connection.execute(fill, [None if value is None else str(value)])
        connection.execute(f"update t set x = ?::VARCHAR::{physical} where i = 1", [_text(values[-1])])
        connection.execute(f"copy (select x from t order by i) to '{path}' (row_group_size {GROUP})")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def found(contract: Contract, path: Path) -> tuple[Violation, ...]:
    return check_tables(contract, [path], now=0)[0].violations


@settings(max_examples=60, deadline=None, derandomize=True)
@given(columns())
def test_violations_are_the_same_with_and_without_statistics(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Column, str, list[Any]]
) -> None:
    column, physical, values = made
    path, contract = tmp_path_factory.mktemp("law") / "rows.parquet", Contract("c", (column,))
    write(path, physical, values)
    with pytest.MonkeyPatch.context() as patch:
        told = repr(found(contract, path))  # NaN is like itself only in writing
        patch.setattr(check, "facts_of", lambda look: {})
        assert told == repr(found(contract, path))


def test_a_file_that_keeps_the_contract_is_proven_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded = (Check("range", Range(0, 1)),)
    contract = Contract(
        "c",
        (
            Column("a", "number", checks=bounded),
            Column("b", "integer", checks=bounded),
            Column("c", "string"),
        ),
    )
    path = tmp_path / "rows.parquet"
    duckdb.execute(f"copy (select 0.5::DOUBLE as a, 1 as b, 'x' as c from range(5000)) to '{path}'")
    monkeypatch.setattr(check, "count_all", None)
    assert found(contract, path) == ()


def test_a_nested_column_is_no_flat_one_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    duckdb.execute(f"copy (select {{'b': 5}} as a, null::INTEGER as \"a, b\", [null, 1] as l) to '{path}'")
    items = (Check("items", Items("integer", (2,))),)
    contract = Contract("c", (Column("a, b", "integer"), Column("l", "array", checks=items)))
    assert [(one.column, one.rule, one.times) for one in found(contract, path)] == [
        ("a, b", "required", 1),
        ("l", "items", 1),
    ]


FINITE, UNIT = Check("finite"), Check("range", Range(0, 1))


@pytest.mark.parametrize(
    ("physical", "facts", "check", "count"),
    [
        ("DOUBLE", Facts(0, 0, True, 0.0, 1.0), FINITE, 0),
        ("DOUBLE", Facts(0, None, True, 0.0, 1.0), FINITE, None),
        ("DOUBLE", Facts(0, 3, True, 0.0, 1.0), FINITE, None),
        ("DOUBLE", Facts(0, 0, True, 0.0, math.inf), FINITE, None),
        ("DOUBLE", Facts(0, None, True, 0.0, 1.0), UNIT, 0),
        ("DOUBLE", Facts(0, 0, True, 0.0, math.nan), UNIT, None),
        ("DOUBLE", Facts(0, 0, True, math.nan, 1.0), UNIT, None),
        ("DOUBLE", Facts(0, 0, True, -math.inf, 1.0), UNIT, None),
        ("DOUBLE", Facts(0, 0, False, 0.0, 1.0), UNIT, None),
        ("DOUBLE", Facts(9, 0, True, None, None), UNIT, 0),
        ("BIGINT", Facts(0, None, True, 0.0, 2.0**53), Check("range", Range(0, 2**53)), None),
        ("BIGINT", Facts(0, None, True, 0, 1), UNIT, 0),
        ("DECIMAL(9,2)", Facts(0, None, True, 0, 1), UNIT, None),
        ("BIGINT", Facts(4, None, False, None, None), Check("required"), 4),
        ("BIGINT", Facts(None, None, True, 0, 1), Check("required"), None),
        ("DOUBLE", Facts(0, 0, True, 0.0, 1.0), Check("step", 0.5), None),
    ],
)  # fmt: skip
def test_statistics_prove_what_they_can_and_no_more(
    physical: str, facts: Facts, check: Check, count: int | None
) -> None:
    cell = make_cell(Column("x", "number"), physical, is_text=False)
    assert count_broken({"x": facts}, cell, check) == count


@pytest.mark.parametrize(("nans", "count"), [(None, None), (2, 5)])
def test_nan_that_stands_for_missing_counts_as_such(nans: int | None, count: int | None) -> None:
    cell = make_cell(Column("x", "number", is_nan_missing=True), "DOUBLE", is_text=False)
    assert count_broken({"x": Facts(3, nans, True, 0.0, 1.0)}, cell, Check("required")) == count
