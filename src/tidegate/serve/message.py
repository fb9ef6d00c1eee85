"""Inference requests and replies of gRPC: from messages to what every front asks, and back.

Tensors come typed or raw, never mixed, and go back as they came.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.errors import UsageError
from tidegate.serve.job import Answered
from tidegate.serve.oip import (
    Inference,
    Output,
    answered_outputs,
    choose_outputs,
    read_timeout,
    refuse_unsupported,
)
from tidegate.serve.parse import check_request_id
from tidegate.serve.protobuf import message_classes
from tidegate.serve.tensor import Tensor, check_shape, decode_raw, decode_typed, encode_raw

if TYPE_CHECKING:
    import numpy as np

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

Message = Any


def read_infer(request: Message) -> Inference:
    """A request as every front has it. Raises UsageError naming the field that is wrong."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        found = f"{len(raw)} raw tensors for {len(request.inputs)} inputs, expected one each"
        raise UsageError("raw_input_contents", found)
    if not request.inputs:
        raise UsageError("inputs", "0 tensors, expected at least one")
    parameters = _parameters(request.parameters)
    refuse_unsupported(parameters)
    for i, output in enumerate(request.outputs):
        refuse_unsupported(_parameters(output.parameters), f"outputs[{i}].")
    return Inference(
        check_request_id(request.id, "id") if request.id else "",
        tuple(_tensor(one, f"inputs[{i}]", raw[i] if raw else None) for i, one in enumerate(request.inputs)),
        tuple(Output(output.name, bool(raw)) for output in request.outputs),
        bool(raw),
        read_timeout(parameters),
    )


def _parameters(given: Mapping[str, Message]) -> dict[str, Any]:
    found = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        found[name] = getattr(parameter, choice) if choice else None
    return found


def _tensor(given: Message, where: str, raw: bytes | None) -> Tensor:
    shape = tuple(given.shape)
    refuse_unsupported(_parameters(given.parameters), f"{where}.")
    if raw is None:
        values = _typed(given, shape, where)
    elif given.HasField("contents") and given.contents.ListFields():
        raise UsageError(f"{where}.contents", "typed contents beside raw ones, expected either")
    else:
        values = decode_raw(raw, given.datatype, shape, where)
    return Tensor(given.name, given.datatype, shape, values, f"{where}.data")


def _typed(given: Message, shape: Sequence[int], where: str) -> "np.ndarray":
    check_shape(given.datatype, shape, where)
    field = CONTENTS.get(given.datatype)
    if field is None:
        raise UsageError(f"{where}.datatype", f"{given.datatype} has no typed contents, send raw ones")
    return decode_typed(getattr(given.contents, field), given.datatype, shape, f"{where}.contents.{field}")


def render_infer(endpoint: str, request: str, answered: Answered, asked: Inference) -> Message:
    """The reply, raw where the request was."""
    reply = message_classes()["ModelInferResponse"](
        model_name=endpoint, model_version=str(answered.arm.version), id=request
    )
    for is_binary, given in choose_outputs(answered_outputs(answered), asked):
        tensor = reply.outputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        if is_binary:
            reply.raw_output_contents.append(encode_raw(given.data or [], given.datatype))
        else:
            is_text = given.datatype == "BYTES"
            values = given.data or []
            cells = [str(value).encode() for value in values] if is_text else values
            getattr(tensor.contents, CONTENTS[given.datatype]).extend(cells)
    return reply
