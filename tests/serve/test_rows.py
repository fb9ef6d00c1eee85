"""From tensors to rows: one tensor of all columns or one a feature, by name, in any order and number type."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.rows import tensor_rows
from tidegate.serve.shape import BreachError, make_shape
from tidegate.serve.tensor import Tensor

LAW = settings(max_examples=60, deadline=None, derandomize=True)
MIXED = make_shape(
    Contract(
        "people",
        (Column("name", "string", is_required=False), Column("age", "integer"), Column("tall", "boolean")),
    )
)
SPECS = (
    TensorSpec("name", "BYTES", (-1, 1), 0),
    TensorSpec("age", "INT64", (-1, 1), 1),
    TensorSpec("tall", "BOOL", (-1, 1), 2),
)
PLAIN = make_shape(Contract("plain", (Column("a", "number"), Column("b", "number", is_required=False))))
WHOLE = (TensorSpec("input", "FP32", (-1, 2)),)


def tensor(name: str, values: list[object], datatype: str = "FP64", shape: tuple[int, ...] = ()) -> Tensor:
    kind = object if datatype == "BYTES" else float
    return Tensor(
        name, datatype, shape or (len(values),), np.array(values, dtype=kind), f"inputs[0:{name}].data"
    )


def people(**changed: Tensor) -> list[Tensor]:
    given = {
        "name": tensor("name", ["Ann", None], "BYTES"),
        "age": tensor("age", [41, 7], "INT32", (2, 1)),
        "tall": tensor("tall", [1, 0], "BOOL"),
    }
    return list((given | changed).values())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_tensor_for_each_feature_is_found_by_its_name(order) -> None:
    given = people()
    found = tensor_rows([given[i] for i in order], SPECS, MIXED, max_rows=4).values
    assert found.tolist() == [["Ann", 41.0, 1.0], [None, 7.0, 0.0]]


@LAW
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), st.integers(1, 4))
def test_one_tensor_holds_every_column(row: list[float], n: int) -> None:
    given = tensor("input", row * n, "FP64", (n, 2))
    assert tensor_rows([given], WHOLE, PLAIN, max_rows=4).values.tolist() == [row] * n


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT64", "FP16", "FP64"])
def test_numbers_of_any_type_are_taken_where_the_model_takes_numbers(datatype: str) -> None:
    assert tensor_rows(
        [tensor("input", [1, 0], datatype, (1, 2))], WHOLE, PLAIN, max_rows=1
    ).values.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            people(age=tensor("years", [1, 2])),
            "inputs[0:years].name: `years`, the model takes `name`, `age`, `tall`",
        ),
        (people()[:2], "inputs: no tensor `tall`, the model takes `name`, `age`, `tall`"),
        ([*people(), tensor("age", [1, 2])], "inputs[0:age].name: `age` comes twice"),
        (people(age=tensor("age", [1])), "inputs[0:age].shape: [1] has 1 rows, `name` has 2"),
        (
            people(age=tensor("age", ["x", "y"], "BYTES")),
            "inputs[0:age].datatype: `BYTES`, the model takes INT64",
        ),
        (people(name=tensor("name", [1, 2])), "inputs[0:name].datatype: `FP64`, the model takes BYTES"),
        (
            people(age=tensor("age", [1] * 4, "INT8", (2, 2))),
            "inputs[0:age].shape: [2, 2], expected [1 to 4, 1]",
        ),
        (people(age=tensor("age", [], "INT8", (0,))), "inputs[0:age].shape: [0], expected [1 to 4, 1]"),
        (people(age=tensor("age", [1] * 5, "INT8")), "inputs[0:age].shape: [5], expected [1 to 4, 1]"),
    ],
)
def test_tensors_that_the_model_does_not_take_are_named(given, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        tensor_rows(given, SPECS, MIXED, max_rows=4)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (people(age=tensor("age", [1, np.nan])), "row 1.age: is null, expected a value"),
        (people(age=tensor("age", [1.5, 2])), "row 0.age: is 1.5, expected an integer"),
        (people(tall=tensor("tall", [1, 2])), "row 1.tall: is 2, expected a boolean"),
    ],
)
def test_rows_are_held_to_the_contract(given, message: str) -> None:
    with pytest.raises(BreachError) as caught:
        tensor_rows(given, SPECS, MIXED, max_rows=4)
    assert str(caught.value).startswith(message.rpartition(", expected")[0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 1], "inputs[0:input].data row 0.a: is null, expected a value"),
        ([np.inf, 1], "inputs[0:input].data row 0.a: is inf, expected a finite number"),
        (
            [1, -np.inf],
            "inputs[0:input].data row 0.b: is -inf, expected a finite number, or null for a missing one",
        ),
    ],
)
def test_nan_is_missing_and_infinity_is_refused(row: list[float], message: str) -> None:
    with pytest.raises(BreachError) as caught:
        tensor_rows([tensor("input", row, "FP32", (1, 2))], WHOLE, PLAIN, max_rows=1)
    assert str(caught.value) == message


def test_nan_is_taken_where_a_value_may_be_missing() -> None:
    found = tensor_rows([tensor("input", [1, np.nan], "FP32", (1, 2))], WHOLE, PLAIN, max_rows=1)
    assert np.isnan(found.values).tolist() == [[False, True]]
