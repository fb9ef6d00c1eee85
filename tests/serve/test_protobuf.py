"""The messages of gRPC: a pool of our own, the numbers of the published protocol, and nothing lost on the way."""

import struct

import pytest
from google.protobuf import descriptor_pool

from tidegate.serve.protobuf import MESSAGES, SERVICE, message_classes


@pytest.fixture(scope="module")
def messages():
    return message_classes()


def test_no_name_is_taken_from_others_in_the_process(messages) -> None:
    for name in messages:
        with pytest.raises(KeyError):
            descriptor_pool.Default().FindMessageTypeByName(f"inference.{name}")
        assert messages[name].DESCRIPTOR.full_name == f"inference.{name}"
    assert SERVICE == "inference.GRPCInferenceService"
    assert set(messages) == set(MESSAGES)


@pytest.mark.parametrize(
    ("name", "field", "number"),
    [
        ("ModelInferRequest", "raw_input_contents", 7),
        ("ModelInferResponse", "raw_output_contents", 6),
        ("InferTensorContents", "bytes_contents", 8),
        ("InferParameter", "uint64_param", 5),
        ("ModelStreamInferResponse", "infer_response", 2),
        ("RepositoryModelLoadRequest", "parameters", 3),
        ("RepositoryModelUnloadResponse", "isUnloaded", 2),
    ],
)
def test_fields_have_the_numbers_of_the_protocol(messages, name: str, field: str, number: int) -> None:
    assert messages[name].DESCRIPTOR.fields_by_name[field].number == number


def test_a_request_survives_the_wire(messages) -> None:
    asked = messages["ModelInferRequest"](model_name="digits", id="r", raw_input_contents=[b"\0\1"])
    asked.parameters["timeout"].int64_param = 5
    tensor = asked.inputs.add(name="input", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([1, 2.5, -0.0])
    found = messages["ModelInferRequest"].FromString(asked.SerializeToString())
    assert found == asked
    assert found.parameters["timeout"].WhichOneof("parameter_choice") == "int64_param"
    assert list(found.inputs[0].contents.fp32_contents) == [1, 2.5, -0.0]


def test_the_bytes_are_those_of_the_protocol(messages) -> None:
    """Field 1 as text, field 3 packed: written by hand."""
    spec = messages["TensorMetadata"](name="a", shape=[-1, 3])
    minus_one = b"\xff" * 9 + b"\x01"
    assert spec.SerializeToString() == b"\x0a\x01a" + b"\x1a" + struct.pack("B", 11) + minus_one + b"\x03"
