"""One definition: a row is taken at the endpoint if, and only if, the check of tables takes it."""

import json
import math
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.check import check_tables
from tidegate.data.contract.example import example_row
from tidegate.data.contract.rules import Check, Items, Range, RowRule, Serving, TableRules
from tidegate.domain import TensorSpec
from tidegate.serve.parse import parse_predict
from tidegate.serve.shape import MAX_STRANGERS, BreachError, make_shape, mark

LAW = settings(max_examples=60, deadline=None, derandomize=True)
NUMBERS = Contract(
    "people",
    (
        Column("age", "integer", checks=(Check("range", Range(0, 120)),)),
        Column("height", "number", is_required=False, checks=(Check("range", Range(0.5, 3, True)),)),
        Column("rooms", "number", checks=(Check("missing", (-1,)), Check("step", 0.5))),
    ),
    table=TableRules(row_rules=(RowRule("roomy", "rooms <= age"),)),
)
MIXED = Contract(
    "images",
    (
        Column(
            "pixels",
            "array",
            checks=(Check("items", Items("number", (2, 2), (Check("range", Range(0, 16)),))),),
        ),
        Column("is_color", "boolean", is_required=False),
        Column("depth", "integer", checks=(Check("values", (1, 8)),)),
    ),
)
NUMBER_ROWS = st.fixed_dictionaries(
    {
        "age": st.none() | st.integers(-2, 125),
        "height": st.none() | st.sampled_from([0.5, 0.6, 3.0, 3.1, -1.0]),
        "rooms": st.none() | st.sampled_from([-1.0, 0.0, 0.5, 0.7, 3.0, 200.0]),
    }
)
PIXELS = st.lists(
    st.lists(st.sampled_from([0.0, 16.0, 17.0]), min_size=2, max_size=2), min_size=2, max_size=2
)
MIXED_ROWS = st.fixed_dictionaries(
    {
        "pixels": st.none() | PIXELS | st.just([[1.0], [2.0]]) | st.just([[1.0, 2.0]]),
        "is_color": st.none() | st.booleans(),
        "depth": st.none() | st.sampled_from([1, 8, 9]),
    }
)
TYPES = {
    "people": "age BIGINT, height DOUBLE, rooms DOUBLE",
    "images": "pixels DOUBLE[][], is_color BOOLEAN, depth BIGINT",
}


def is_taken(contract: Contract, row: object) -> bool:
    try:
        ask(contract, {"row": row})
    except BreachError:
        return False
    return True


def ask(contract: Contract, body: object):
    return parse_predict(json.dumps(body).encode(), make_shape(contract), max_rows=2000)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("shape") / "rows.parquet"


@pytest.mark.parametrize(
    ("contract", "rows"), [(NUMBERS, NUMBER_ROWS), (MIXED, MIXED_ROWS)], ids=["numbers", "mixed"]
)
@LAW
@given(data=st.data())
def test_the_endpoint_takes_a_row_exactly_when_the_table_check_does(table, contract, rows, data) -> None:
    drawn = data.draw(rows)
    row = {column.name: drawn[column.name] for column in contract.columns}
    with duckdb.connect() as connection:
        connection.execute(f"create table rows ({TYPES[contract.name]})")
        connection.execute("insert into rows values (?, ?, ?)", list(row.values()))
        connection.execute(f"copy rows to '{table}' (format parquet)")
    (checked,) = check_tables(contract, [table], now=0.0)
    assert is_taken(contract, row) == (not checked.is_rejected)
    assert is_taken(contract, list(row.values())) == (not checked.is_rejected)


def test_every_violation_is_listed_with_its_path() -> None:
    rows = [[1, 1.7, 1], {"age": 130, "height": 0.5, "rooms": None}, {"age": 1.5, "heigth": 2, "rooms": 0.7}]
    with pytest.raises(BreachError) as caught:
        ask(NUMBERS, {"rows": rows})
    assert [str(violation) for violation in caught.value.violations] == [
        "rows[1].age: is 130.0, expected 0 to 120",
        "rows[1].height: is 0.5, expected above 0.5 and at most 3",
        "rows[1].rooms: is null, expected a value",
        "rows[2].heigth: unknown column, did you mean `height`?, expected only declared ones",
        "rows[2].age: is 1.5, expected an integer",
        "rows[2].rooms: is 0.7, expected a multiple of 0.5",
    ]
    assert str(caught.value) == "rows[1].age: is 130.0, expected 0 to 120 (and 5 more)"


def test_what_is_flagged_is_served_and_marked() -> None:
    contract = NUMBERS._replace(serving=Serving(on_violation="flag"))
    found = ask(contract, {"rows": [[1, 2, 1], [130, None, None], {"age": 9, "rooms": 1, "hue": 1}]})
    assert [[str(cell) for cell in row] for row in found.values.tolist()] == [
        ["1.0", "2.0", "1.0"],
        ["130.0", "nan", "nan"],
        ["9.0", "nan", "1.0"],
    ]
    assert [[mark(one) for one in seen] for seen in found.flagged] == [
        [],
        ["age range", "rooms required"],
        ["unknown"],
    ]


@pytest.mark.parametrize(
    "row", [["x", 2, 1], [1, [2], 1], [10**400, 2, 1], [1, 2], 3, None, [1, 2, {"a": 1}]]
)
def test_what_the_model_cannot_take_is_refused_even_where_it_is_only_flagged(row) -> None:
    contract = NUMBERS._replace(serving=Serving(on_violation="flag"))
    with pytest.raises(BreachError):
        ask(contract, {"rows": [row]})


def test_a_flagged_column_does_not_hide_a_rejecting_one() -> None:
    age, *others = NUMBERS.columns
    contract = NUMBERS._replace(columns=(age._replace(flags=frozenset({"range"})), *others))
    assert [mark(one) for one in ask(contract, {"row": [130, 2, 1]}).flagged[0]] == ["age range"]
    rows = [[130, 2, 1]] * 1500 + [[130, 4, 1]]
    with pytest.raises(BreachError) as caught:
        ask(contract, {"rows": rows})
    assert [str(one) for one in caught.value.violations] == [
        "rows[1500].height: is 4.0, expected above 0.5 and at most 3"
    ]


def test_arrays_are_flattened_in_the_order_of_the_matrix() -> None:
    nested = {"pixels": [[1, 2], [3, 4]], "is_color": True, "depth": 8}
    rows = [nested, [[[1, 2], [3, 4]], True, 8], [1, 2, 3, 4, 1, 8], nested | {"is_color": 1}]
    found = ask(MIXED, {"rows": rows})
    assert found.values.tolist() == [[1, 2, 3, 4, 1, 8]] * 4
    assert math.isnan(ask(MIXED, {"row": {"pixels": [[1, 2], [3, 4]], "depth": 8}}).values[0, 4])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            [1, 2, 3, 17, 1, 8],
            "row.pixels: is [[1.0, 2.0], [3.0, 17.0]], expected an array [2 x 2] of numbers, 0 to 16",
        ),
        (
            {"pixels": [[1, 2], [3]], "depth": 8},
            "row.pixels: is [[1, 2], [3]], expected an array [2 x 2] of numbers, 0 to 16",
        ),
        ([1, 2], "row: 2 values, expected one for each of the 3 columns"),
        ([1, 2, 3, "4", 1, 8], "row: 6 values, expected one for each of the 3 columns"),
        ([1, 2, 3, 10**400, 1, 8], "row: 6 values, expected one for each of the 3 columns"),
    ],
)
def test_a_wrong_array_is_named(row, message: str) -> None:
    with pytest.raises(BreachError) as caught:
        ask(MIXED, {"row": row})
    assert str(caught.value) == message


def test_a_request_of_made_up_columns_is_refused_without_looking_at_all_of_them() -> None:
    row = {f"x{number}": 1 for number in range(5000)} | {"age": 1, "rooms": 1}
    with pytest.raises(BreachError) as caught:
        ask(NUMBERS, {"rows": [row] * 3})
    assert len(caught.value.violations) == 3 * MAX_STRANGERS


def test_unknown_fields_are_let_pass_where_the_contract_says_so() -> None:
    contract = NUMBERS._replace(serving=Serving(unknown_fields="ignore"))
    found = ask(contract, {"row": {"age": 1, "rooms": 1, "hue": 2}})
    assert (found.values[0, 0], found.flagged) == (1, ())


@pytest.mark.parametrize("contract", [NUMBERS._replace(table=TableRules()), MIXED], ids=["numbers", "mixed"])
def test_the_example_of_a_contract_is_accepted(contract) -> None:
    assert is_taken(contract, example_row(contract))


@pytest.mark.parametrize("row", [[1e39, 0.0], {"a": -1e39, "b": 0.0}])
def test_a_number_that_the_models_type_does_not_hold_is_refused_at_the_door(row) -> None:
    contract = Contract("x", (Column("a", "number"), Column("b", "number")))
    shape = make_shape(contract, (TensorSpec("input", "FP32", (-1, 2)),))
    with pytest.raises(BreachError) as caught:
        parse_predict(json.dumps({"row": row}).encode(), shape, max_rows=5)
    limit = "at most 3.40282e+38, all that the model takes"
    assert str(caught.value) == f"row.a: is 1e+39 in size, expected {limit}"
    assert parse_predict(b'{"row": [3e38, -3e38]}', shape, max_rows=5).values.tolist() == [[3e38, -3e38]]
