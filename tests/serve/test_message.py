"""Requests of gRPC as every front has them: typed or raw, never both, every complaint with its place."""

import math

import numpy as np
import pytest

from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.job import Answered
from tidegate.serve.message import CONTENTS, read_infer, render_infer
from tidegate.serve.oip import Inference, Output
from tidegate.serve.protobuf import message_classes
from tidegate.serve.route import Arm
from tidegate.serve.tensor import DTYPES


@pytest.fixture
def ask():
    """`ask(datatype, cells or bytes, shape)`: a request of one tensor."""

    def make(datatype: str = "FP32", cells: object = (1, 2, 3), shape=(1, 3)):
        request = message_classes()["ModelInferRequest"](model_name="digits")
        tensor = request.inputs.add(name="input", datatype=datatype, shape=shape)
        if isinstance(cells, bytes):
            request.raw_input_contents.append(cells)
        else:
            getattr(tensor.contents, CONTENTS.get(datatype, "fp32_contents")).extend(cells)
        return request

    return make


@pytest.mark.parametrize("datatype", [name for name in CONTENTS if name != "BYTES"])
def test_typed_numbers_are_read(ask, datatype: str) -> None:
    found = read_infer(ask(datatype, [1, 0, 1]))
    assert (found.tensors[0].values.tolist(), found.is_binary) == ([1.0, 0.0, 1.0], False)
    assert (found.tensors[0].name, found.tensors[0].shape) == ("input", (1, 3))


@pytest.mark.parametrize("datatype", DTYPES)
def test_raw_numbers_are_read_and_answered_raw(ask, datatype: str) -> None:
    found = read_infer(ask(datatype, np.array([1, 0, 1], dtype=DTYPES[datatype]).tobytes()))
    assert (found.tensors[0].values.tolist(), found.is_binary) == ([1.0, 0.0, 1.0], True)


def test_text_is_read(ask) -> None:
    assert read_infer(ask("BYTES", ["ü".encode(), b"", b"b"])).tensors[0].values.tolist() == ["ü", "", "b"]


def test_id_outputs_and_timeout_are_understood(ask) -> None:
    request = ask()
    request.id = "r-1"
    request.outputs.add(name="scores")
    request.parameters["timeout"].int64_param = 1_500_000
    request.parameters["priority"].uint64_param = 3
    found = read_infer(request)
    assert (found.id, found.outputs, found.timeout_s) == ("r-1", (Output("scores", False),), 1.5)
    assert read_infer(ask()).timeout_s == math.inf


@pytest.mark.parametrize(
    ("datatype", "cells", "message"),
    [
        ("FP16", (), "inputs[0].datatype: FP16 has no typed contents, send raw ones"),
        ("BF16", (), "inputs[0].datatype: unknown datatype `BF16`"),
        ("INT64", (), "inputs[0].contents.int64_contents: 0 values, shape [1, 3] needs 3"),
        ("UINT8", (1, 2, 256), "inputs[0].contents.uint_contents: a value is no UINT8"),
        ("BYTES", (b"a", b"\xff", b"b"), "inputs[0].contents.bytes_contents: a value is not UTF-8"),
        ("FP32", b"\0" * 11, "inputs[0]: 11 bytes, shape [1, 3] of FP32 needs 12"),
    ],
)
def test_contents_that_do_not_fit_are_named(ask, datatype: str, cells, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_infer(ask(datatype, cells))
    assert str(caught.value).startswith(message)


def test_typed_and_raw_contents_do_not_mix(ask) -> None:
    request = ask()
    request.raw_input_contents.append(b"\0" * 12)
    with pytest.raises(UsageError, match="typed contents beside raw ones"):
        read_infer(request)
    request.raw_input_contents.append(b"\0" * 12)
    with pytest.raises(UsageError, match="2 raw tensors for 1 inputs, expected one each"):
        read_infer(request)


@pytest.mark.parametrize("place", ["request", "input", "output"])
def test_parameters_that_would_change_the_answer_are_refused_wherever_they_stand(ask, place: str) -> None:
    request = ask()
    holder = {"request": request, "input": request.inputs[0]}.get(place) or request.outputs.add(name="scores")
    holder.parameters["shared_memory_region"].string_param = "here"
    where = {"request": "", "input": "inputs[0].", "output": "outputs[0]."}[place]
    with pytest.raises(UsageError) as caught:
        read_infer(request)
    assert (
        str(caught.value)
        == f"{where}parameters.shared_memory_region: is not supported, send the tensor itself"
    )


@pytest.mark.parametrize("name", ["a b", "x" * 129])
def test_a_bad_id_and_a_request_without_tensors_are_refused(ask, name: str) -> None:
    request = ask()
    request.id = name
    with pytest.raises(UsageError, match="id: expected"):
        read_infer(request)
    with pytest.raises(UsageError, match="inputs: 0 tensors"):
        read_infer(message_classes()["ModelInferRequest"]())


@pytest.mark.parametrize(
    ("kind", "answers", "field", "cells"),
    [
        ("BYTES", ["a", "ü"], "bytes_contents", [b"a", "ü".encode()]),
        ("INT64", [1, -2], "int64_contents", [1, -2]),
        ("FP64", [0.5, 2.0], "fp64_contents", [0.5, 2.0]),
    ],
)
def test_answers_of_every_kind_go_back_typed_or_raw(fake_model, kind, answers, field: str, cells) -> None:
    model = fake_model("s")
    model.outputs = (TensorSpec("predictions", kind, (-1,)), TensorSpec("scores", "FP32", (-1, 1)))
    answered = Answered(("r.0", "r.1"), answers, [[0.5], [0.25]], Arm(model, "stable", 3, 7))
    typed = render_infer("digits", "r", answered, Inference("r", ()))
    assert (typed.model_name, typed.model_version, typed.id) == ("digits", "3", "r")
    assert list(getattr(typed.outputs[0].contents, field)) == cells
    assert (list(typed.outputs[1].shape), list(typed.outputs[1].contents.fp32_contents)) == (
        [2, 1],
        [0.5, 0.25],
    )
    raw = render_infer("digits", "r", answered, Inference("r", (), (), True))
    assert raw.raw_output_contents[1] == np.array([0.5, 0.25], dtype="<f4").tobytes()
    assert not any(one.HasField("contents") for one in raw.outputs)
