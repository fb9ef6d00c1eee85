"""The columns of a row: arrays flattened, text in one column, tables read as the model takes them."""

import numpy as np
import pytest

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Check, Items
from tidegate.data.tables import Table
from tidegate.errors import UsageError
from tidegate.registry.columns import require_numbers, row_columns, table_rows


def test_the_columns_of_the_matrix_number_the_items_of_arrays() -> None:
    items = Items("number", (2, 2))
    pixels = Column("p", "array", checks=(Check("items", items),))
    found = row_columns(Contract("x", (Column("a", "integer"), pixels, Column("b", "boolean"))))
    assert found == ("a", "p[0][0]", "p[0][1]", "p[1][0]", "p[1][1]", "b")


def test_text_takes_one_column() -> None:
    found = row_columns(Contract("x", (Column("plan", "string"), Column("at", "date"))))
    assert found == ("plan", "at")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("p", "array"), "feature `p` is an array of any length, the model takes numbers"),
        (
            Column("p", "array", checks=(Check("items", Items("number", (-1,))),)),
            "feature `p` is an array of any length, the model takes numbers",
        ),
        (
            Column("p", "array", checks=(Check("items", Items("string", (2,))),)),
            "feature `p` is an array of strings, the model takes numbers",
        ),
    ],
)
def test_an_array_without_a_place_in_a_row_is_refused_by_name(column, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        row_columns(Contract("x", (Column("a", "number"), column)), "c.yaml")
    assert str(caught.value) == f"c.yaml: {message}"
    assert caught.value.hint == "encode it in the pipeline, or set `tidegate.role: other`"


@pytest.mark.parametrize(
    ("column", "kind"), [(Column("plan", "string"), "text"), (Column("at", "date"), "a date")]
)
def test_text_is_refused_where_only_numbers_will_do(column, kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_numbers(Contract("x", (Column("a", "number"), column)), "c.yaml")
    assert str(caught.value) == f"c.yaml: feature `{column.name}` is {kind}, the model takes numbers"


GRID = Column("p", "array", checks=(Check("items", Items("number", (2, 2))),))


def test_a_table_of_numbers_becomes_a_matrix_with_nan_for_null() -> None:
    table = Table(("b", "a", "id"), {"a": [1, None], "b": [2.5, 3], "id": ["x", "y"]})
    rows = table_rows(Contract("x", (Column("a", "number"), Column("b", "number"))), table, where="t.csv")
    assert rows.dtype == float
    assert np.array_equal(rows, [[1, 2.5], [np.nan, 3]], equal_nan=True)


def test_a_table_with_text_becomes_objects_with_none_for_null() -> None:
    table = Table(("a", "city"), {"a": [1, None], "city": [None, "Ulm"]})
    rows = table_rows(Contract("x", (Column("city", "string"), Column("a", "number"))), table, where="t.csv")
    assert rows.tolist()[0] == [None, 1.0]
    assert rows[1, 0] == "Ulm"
    assert np.isnan(rows[1, 1])


@pytest.mark.parametrize(
    "table",
    [
        Table(("p",), {"p": [[[1, 2], [3, 4]]]}),
        Table(
            ("p[0][0]", "p[0][1]", "p[1][0]", "p[1][1]"),
            {"p[0][0]": [1], "p[0][1]": [2], "p[1][0]": [3], "p[1][1]": [4]},
        ),
    ],
    ids=["lists", "columns"],
)
def test_an_array_is_a_column_of_lists_or_a_column_for_each_item(table) -> None:
    assert table_rows(Contract("x", (GRID,)), table, where="t").tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("cells", [[[1, 2, 3]], [[["a", "b"], ["c", "d"]]], [None]])
def test_arrays_of_another_shape_are_an_error(cells) -> None:
    with pytest.raises(UsageError, match=r"^t: column `p` holds other than arrays of 2x2 numbers$"):
        table_rows(Contract("x", (GRID,)), Table(("p",), {"p": cells}), where="t")


@pytest.mark.parametrize("column", [Column("ages", "number"), Column("ages", "string"), GRID])
def test_a_feature_without_a_column_is_an_error_that_names_the_nearest(column) -> None:
    with pytest.raises(
        UsageError, match=r"^t: no column `(ages|p\[0\]\[0\])`.*, the model is tried on these rows$"
    ):
        table_rows(Contract("x", (column,)), Table(("age",), {"age": [1]}), where="t")
