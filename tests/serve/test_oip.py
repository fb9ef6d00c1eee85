"""The Open Inference Protocol: tensors flat or nested, answers as asked for, complaints by path."""

import json
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import __version__
from tidegate.data.contract import Column, Contract
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.job import Answered
from tidegate.serve.oip import (
    Inference,
    Output,
    answered_outputs,
    model_metadata,
    parse_infer,
    render_infer,
    require_outputs,
    server_metadata,
)
from tidegate.serve.route import Arm, Route
from tidegate.serve.rows import tensor_rows
from tidegate.serve.shape import make_shape

LAW = settings(max_examples=100, deadline=None, derandomize=True)
SHAPE = make_shape(Contract("x", tuple(Column(name, "number", name != "c") for name in "abc")))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(st.lists(FINITE, min_size=3, max_size=3), min_size=1, max_size=4)
INDENTS = st.sampled_from([None, 0, 1, "\t"])
DEEP = b"[" * 200_000


@pytest.fixture(scope="module")
def arm(fake_model) -> Arm:
    return Arm(fake_model("s"), "stable", 3, 7)


@pytest.fixture(scope="module")
def parse(arm):
    """`parse(body)` with at most 4 rows: id, rows and outputs."""

    def run(body):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = parse_infer(text)
        require_outputs(found, arm.model)
        rows = tensor_rows(found.tensors, arm.model.inputs, SHAPE, max_rows=4).values
        return SimpleNamespace(id=found.id, rows=rows, outputs=found.outputs)

    return run


@LAW
@given(ROWS, INDENTS, st.booleans())
def test_flat_and_nested_data_are_the_same_rows(parse, tensor, rows, indent, is_nested: bool) -> None:
    data = rows if is_nested else [cell for row in rows for cell in row]
    found = parse(json.dumps(tensor(data, (len(rows), 3)), indent=indent).encode())
    assert (found.rows.tolist(), found.rows.dtype) == (rows, np.dtype("float64"))
    assert (found.id, found.outputs) == ("", ())


@pytest.mark.parametrize("data", [b"[1,2,null]", b"[[1,2,null]]", b"\r\n [\n [\t1, 2, null]]"])
def test_null_is_a_missing_value_where_the_contract_allows_it(parse, data: bytes) -> None:
    body = b'{"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP64", "data": %b}]}' % data
    assert [str(cell) for cell in parse(body).rows[0]] == ["1.0", "2.0", "nan"]


def test_id_outputs_and_parameters_are_understood(parse, tensor) -> None:
    asked = {"id": "r-1", "parameters": {"priority": 1}, "outputs": [{"name": "scores", "parameters": {}}]}
    body = tensor([1, 2, 3], parameters={"binary_data": False}) | asked
    found = parse(body)
    assert (found.id, found.outputs) == ("r-1", (Output("scores", False),))


def test_a_field_of_a_later_protocol_is_left_alone(parse, tensor) -> None:
    assert parse(tensor([1, 2, 3], later=1) | {"later": {}}).rows.tolist() == [[1, 2, 3]]


NOT_WHOLE = "expected [1 to 4, 3]"
KNOWN = "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "x"}, "inputs[0].name: `x`, the model's input is `input`"),
        ({"name": 1}, "inputs[0].name: expected `str`, got `int`"),
        ({"datatype": "BYTES", "data": ["1", "2", "3"]}, "inputs[0].datatype: `BYTES`, the model takes FP64"),
        ({"datatype": "FP65"}, f"inputs[0].datatype: unknown datatype `FP65`, expected one of {KNOWN}"),
        ({"datatype": "UINT8", "data": [1, 256, 3]}, "inputs[0].data: a value is no UINT8"),
        ({"datatype": "INT64", "data": [1, 1.5, 3]}, "inputs[0].data: a value is no INT64"),
        ({"datatype": "BOOL"}, "inputs[0].data[0]: expected `bool | null`, got `int`"),
        ({"shape": [3]}, f"inputs[0].shape: [3], {NOT_WHOLE}"),
        ({"shape": []}, "inputs[0].shape: [], expected 1 to 8 sizes of 0 or more"),
        ({"shape": [1, 1, 3]}, f"inputs[0].shape: [1, 1, 3], {NOT_WHOLE}"),
        ({"shape": [3, 1]}, f"inputs[0].shape: [3, 1], {NOT_WHOLE}"),
        ({"shape": [0, 3], "data": []}, f"inputs[0].shape: [0, 3], {NOT_WHOLE}"),
        ({"shape": [-1, 3]}, "inputs[0].shape: [-1, 3], expected 1 to 8 sizes of 0 or more"),
        ({"shape": [5, 3], "data": [1] * 15}, f"inputs[0].shape: [5, 3], {NOT_WHOLE}"),
        ({"shape": [10**40, 3]}, f"inputs[0].data: 3 values, shape [{10**40}, 3] needs {3 * 10**40}"),
        ({"shape": [1, 3.0]}, "inputs[0].shape[1]: expected `int`, got `float`"),
        ({"shape": [2, 3]}, "inputs[0].data: 3 values, shape [2, 3] needs 6"),
        ({"data": []}, "inputs[0].data: 0 values, shape [1, 3] needs 3"),
        ({"data": [[]]}, "inputs[0].data[0]: 0 values, its dimension of the shape has 3"),
        ({"data": [[1, 2, 3], [4, 5, 6]]}, "inputs[0].data: 6 values, shape [1, 3] needs 3"),
        (
            {"data": [[1, 2, 3, 4], [5, 6]], "shape": [2, 3]},
            "inputs[0].data[0]: 4 values, its dimension of the shape has 3",
        ),
        (
            {"data": [[1, 2, 3], [4, 5, 6, 7]], "shape": [2, 3]},
            "inputs[0].data[1]: 4 values, its dimension of the shape has 3",
        ),
        ({"data": [1, 2, "x"]}, "inputs[0].data[2]: expected `float | null`, got `str`"),
        ({"data": [1, [2], 3]}, "inputs[0].data[1]: expected `float | null`, got `array`"),
        ({"data": [[1, 2, True]]}, "inputs[0].data[0][2]: expected `float | null`, got `bool`"),
        ({"data": [[1, 2, 3], 4], "shape": [2, 3]}, "inputs[0].data[1]: expected `array`, got `int`"),
        ({"data": [[[1], 2, 3]]}, "inputs[0].data[0][0]: expected `float | null`, got `array`"),
        ({"data": 5}, "inputs[0].data: expected `array`, got `int`"),
        ({"data": None}, "inputs[0].data: expected `array`, got `null`"),
        ({"data": {"[": [[1]]}}, "inputs[0].data: expected `array`, got `object`"),
        (
            {"data": [[1, 2, 3], [4, None, 6]], "shape": [2, 3]},
            "inputs[0].data row 1.b: is null, expected a value",
        ),
    ],
)
def test_a_bad_tensor_is_named_by_its_path(parse, tensor, changed, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(tensor(**{"data": [1, 2, 3], "shape": [1, 3], **changed}))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs": []}, "inputs: 0 tensors, expected at least one"),
        ({"inputs": [{}]}, "inputs[0]: object missing required field `name`"),
        ({"inputs": {}}, "inputs: expected `array`, got `object`"),
        ({"id": "a b"}, "id: expected 1 to 128 visible ASCII characters"),
        ({"id": 1}, "id: expected `str`, got `int`"),
        (
            {"outputs": [{"name": "scores"}, {"name": "score"}]},
            "outputs[1].name: unknown output `score`, expected predictions or scores",
        ),
        ({"outputs": [{}]}, "outputs[0]: object missing required field `name`"),
    ],
)
def test_a_bad_request_is_named_by_its_path(parse, tensor, changed, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(tensor([1, 2, 3]) | changed)
    assert str(caught.value) == message


def test_two_tensors_are_one_too_many(parse, tensor) -> None:
    with pytest.raises(UsageError, match="`input` comes twice"):
        parse({"inputs": tensor([1, 2, 3])["inputs"] * 2})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: not JSON, input data was truncated"),
        (b'{"inputs": [{"data": [01]}]}', "body: not JSON, invalid number (byte 23)"),
        (b'{"inputs": [{"data": ' + DEEP, "body: nested too deep"),
        (b'{"later": ' + DEEP, "body: nested too deep"),
        (b'{"parameters": {"later": ' + DEEP, "body: nested too deep"),
        (
            b'{"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP64", "data": [1, 1e999, 3]}]}',
            "inputs[0].data[1]: number out of range",
        ),
    ],
)
def test_bytes_that_are_no_request_are_refused(parse, body: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(body)
    assert str(caught.value) == message


def answered(arm: Arm, predictions: list[object], scores: list[list[float]]) -> Answered:
    return Answered(tuple(f"r.{i}" for i in range(len(predictions))), predictions, scores, arm)


PREDICTIONS = {"name": "predictions", "shape": [2], "datatype": "BYTES", "data": ["a", "c"]}
SCORES = {"name": "scores", "shape": [2, 3], "datatype": "FP32", "data": [1.0, 0.5, 0.0, 0.0, 0.5, 1.0]}


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ((), [PREDICTIONS, SCORES]),
        (("predictions",), [PREDICTIONS]),
        (("scores",), [SCORES]),
        (("scores", "predictions"), [SCORES, PREDICTIONS]),
    ],
)
def test_the_reply_holds_the_outputs_that_were_asked_for(arm, outputs, expected) -> None:
    given = answered(arm, ["a", "c"], [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    found = json.loads(render_infer("digits", "r", given, asked(outputs)).body)
    assert found == {"model_name": "digits", "model_version": "3", "id": "r", "outputs": expected}


def asked(outputs) -> Inference:
    return Inference("r", (), tuple(Output(name, False) for name in outputs))


def test_a_model_without_scores_replies_without_them(fake_model) -> None:
    model = fake_model("s")
    model.outputs = (TensorSpec("predictions", "INT64", (-1,)),)
    given = answered(Arm(model, "stable", 3, 7), [1, 2], [[], []])
    found = json.loads(render_infer("digits", "r", given, asked(())).body)
    assert found["outputs"] == [{"name": "predictions", "shape": [2], "datatype": "INT64", "data": [1, 2]}]
    with pytest.raises(UsageError, match=r"unknown output `scores`, expected predictions$"):
        require_outputs(asked(("scores",)), model)


@pytest.mark.parametrize(
    ("declared", "answers", "datatype", "data"),
    [
        ("INT64", [1, 2], "INT64", [1, 2]),
        ("INT64", [1, 2.5], "FP64", [1, 2.5]),
        ("INT64", [1, "a"], "BYTES", ["1", "a"]),
        ("FP64", [1, 2], "FP64", [1, 2]),
        ("FP64", ["a", 2], "BYTES", ["a", "2"]),
        ("BYTES", ["1", "2"], "BYTES", ["1", "2"]),
        ("BYTES", [1, 2], "BYTES", ["1", "2"]),
    ],
)
def test_answers_have_the_declared_type_or_a_wider_one(fake_model, declared, answers, datatype, data) -> None:
    model = fake_model("s")
    model.outputs = (TensorSpec("predictions", declared, (-1,)), TensorSpec("scores", "FP64", (-1, 1)))
    given = answered(Arm(model, "stable", 3, 7), answers, [[0.1], [0.2]])
    assert [(one.datatype, one.data) for one in answered_outputs(given)] == [
        (datatype, data),
        ("FP64", [0.1, 0.2]),
    ]


def test_the_server_names_itself() -> None:
    assert server_metadata() == {
        "name": "tidegate",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_repository"],
    }


def test_the_metadata_name_every_version_that_answers(arm) -> None:
    alone = model_metadata(Route("digits", arm), arm)
    assert alone == {
        "name": "digits",
        "versions": ["3"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [
            {"name": "predictions", "datatype": "BYTES", "shape": [-1]},
            {"name": "scores", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    canary = msgspec.structs.replace(arm, role="canary", version=4)
    assert model_metadata(Route("digits", arm, canary, 0.1), canary)["versions"] == ["3", "4"]


@LAW
@given(
    st.sampled_from(["FP32", "FP64", "FP16", "INT64", "BYTES", "X"]),
    st.lists(st.one_of(FINITE, st.none(), st.integers(-9, 9), st.booleans()), max_size=8),
    st.lists(st.integers(-2, 4), max_size=3),
    st.sampled_from(["", "a", "a b"]),
)
def test_plain_bodies_are_read_as_all_others(tensor, datatype, cells, shape, name) -> None:
    """A field that nobody knows keeps a body from being taken for a plain one, and says nothing."""
    given = {"name": "input", "datatype": datatype, "shape": shape, "data": cells}
    plain, other = ({"inputs": [one], "id": name} for one in (given, given | {"note": 1}))

    def read(body: object) -> object:
        try:
            found = parse_infer(json.dumps(body).encode())
        except UsageError as error:
            return str(error)
        tensors = [
            (one.name, one.datatype, one.shape, one.values.tolist(), one.where) for one in found.tensors
        ]
        return tensors, msgspec.structs.replace(found, tensors=())

    assert repr(read(plain)) == repr(read(other))
