"""Schemas of rows and tensors: what they take the gateway takes, and what they refuse it refuses."""

import json

import jsonschema
import pytest

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Check, Items, Range
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.parse import parse_predict
from tidegate.serve.schema import LABELS, infer_schema, invoke_schema, predict_schema, row_schema
from tidegate.serve.shape import make_shape

SHAPE = make_shape(
    Contract(
        "people",
        (
            Column("age", "integer", checks=(Check("range", Range(0, 120, is_high_open=True)),)),
            Column("sex", "string", is_required=False, checks=(Check("values", ("f", "m")),)),
            Column("code", "string", checks=(Check("length", Range(2, 3)),)),
            Column(
                "pixels",
                "array",
                checks=(Check("items", Items("number", (2,), (Check("range", Range(0, 1)),))),),
            ),
            Column("odd", "number", flags=frozenset(["range"]), checks=(Check("range", Range(0, 1)),)),
        ),
    )
)
ROW = {"age": 41, "sex": "f", "code": "ab", "pixels": [0, 0.5], "odd": 5}
INPUTS = (TensorSpec("name", "BYTES", (-1, 1)), TensorSpec("image", "FP32", (-1, 2, 2), 1))
OUTPUTS = (TensorSpec("predictions", "BYTES", (-1,)),)
NAME = {"name": "name", "datatype": "BYTES", "shape": [1, 1], "data": ["a"]}
IMAGE = {"name": "image", "datatype": "INT8", "shape": [1, 2, 2], "data": [1, 2, 3, 4]}


def is_valid(value: object, schema: dict) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("changed", "is_fine"),
    [
        ({}, True),
        ({"sex": None}, True),
        ({"odd": -3.5}, True),
        ({"age": 0}, True),
        ({"age": 120}, False),
        ({"age": -1}, False),
        ({"age": 1.5}, False),
        ({"age": "41"}, False),
        ({"age": None}, False),
        ({"sex": "x"}, False),
        ({"code": "a"}, False),
        ({"code": "abcd"}, False),
        ({"pixels": [0]}, False),
        ({"pixels": [0, 2]}, False),
        ({"pixels": [0, None]}, False),
        ({"other": 1}, False),
    ],
)
def test_the_schema_of_a_row_says_what_the_contract_says(changed, is_fine: bool) -> None:
    row = ROW | changed
    assert is_valid(row, row_schema(SHAPE)) is is_fine
    assert is_valid({"rows": [row]}, predict_schema(row_schema(SHAPE))) is is_fine
    if "other" not in changed:
        assert is_valid(list(row.values()), row_schema(SHAPE)) is is_fine
    try:
        parse_predict(json.dumps({"row": row}).encode(), SHAPE, max_rows=1)
    except UsageError:
        assert not is_fine
    else:
        assert is_fine


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ({"inputs": [NAME, IMAGE]}, True),
        ({"inputs": [IMAGE, NAME], "outputs": [{"name": "predictions"}], "id": "r"}, True),
        ({"inputs": [NAME]}, False),
        ({"inputs": [NAME, IMAGE | {"name": "picture"}]}, False),
        ({"inputs": [NAME | {"datatype": "FP32"}, IMAGE]}, False),
        ({"inputs": [NAME, IMAGE | {"shape": [1, 2, 3]}]}, False),
        ({"inputs": [NAME, IMAGE], "outputs": [{"name": "scores"}]}, False),
        ({"inputs": [NAME, IMAGE], "id": "a b"}, False),
    ],
)
def test_the_schema_of_a_request_names_the_models_tensors(body, is_fine: bool) -> None:
    assert is_valid(body, infer_schema(INPUTS, OUTPUTS)) is is_fine


def test_without_a_model_any_tensor_will_do() -> None:
    assert is_valid({"inputs": [IMAGE | {"name": "x"}]}, infer_schema((), ()))
    assert not is_valid({"inputs": []}, infer_schema((), ()))


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ({"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}}, True),
        ({"dataframe_records": [ROW]}, True),
        ({"instances": [list(ROW.values())]}, True),
        ({"inputs": {name: [value] for name, value in ROW.items()}}, True),
        ({"inputs": [ROW], "instances": [ROW]}, False),
        ({}, False),
    ],
)
def test_the_schema_of_an_invocation_is_one_of_four_forms(body, is_fine: bool) -> None:
    assert is_valid(body, invoke_schema(row_schema(SHAPE))) is is_fine


def test_labels_are_answers_by_request() -> None:
    assert is_valid({"labels": [{"request": "r", "truth": "a"}, {"request": "s", "truth": 1.5}]}, LABELS)
    assert not is_valid({"labels": [{"request": "r", "truth": None}]}, LABELS)
