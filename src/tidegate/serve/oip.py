"""The Open Inference Protocol v2 over REST: tensors in JSON or, by the binary extension, as raw bytes.

https://github.com/open-inference/open-inference-protocol and the binary tensor data extension of Triton.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from tidegate import __version__
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.engine import Answered
from tidegate.serve.parse import check_request_id, decode
from tidegate.serve.route import Answer, Arm, Route
from tidegate.serve.tensor import Tensor, decode_json, decode_raw, encode_json, encode_raw

PREDICTIONS = "predictions"
SCORES = "scores"
EXTENSIONS = ("binary_tensor_data", "model_repository")
# what other servers do with the order, state and priority of requests; a wrong answer is worse than a refusal
UNSUPPORTED = ("sequence_id", "sequence_start", "sequence_end", "shared_memory_region")


class TensorBody(msgspec.Struct):
    """A request's tensor; `data` is flat in row-major order or nested, and missing where it comes as bytes."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: dict[str, Any] = {}


class OutputBody(msgspec.Struct):
    """An output that the client asks for by name."""

    name: str
    parameters: dict[str, Any] = {}


class InferBody(msgspec.Struct):
    """The JSON part of an inference request."""

    inputs: list[TensorBody]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[OutputBody] | None = None


class Output(NamedTuple):
    """An output to send, as raw bytes if `is_binary`."""

    name: str
    is_binary: bool


class Inference(NamedTuple):
    """An inference request before its arm is known; `id` "" when the client gave none.

    `outputs` are those asked for, or none for all of them, which are then binary if `is_binary`; `timeout_s`
    is how long the client waits, infinite when it does not say.
    """

    id: str
    tensors: tuple[Tensor, ...]
    outputs: tuple[Output, ...] = ()
    is_binary: bool = False
    timeout_s: float = math.inf


class Rendered(NamedTuple):
    """A reply: `json_size` is how much of the body is JSON when raw tensors follow, else None."""

    body: bytes
    json_size: int | None = None


_infer = msgspec.json.Decoder(InferBody)


def parse_infer(body: bytes, json_size: int | None = None) -> Inference:
    """An inference request, whose first `json_size` bytes are JSON when raw tensors follow.

    Raises UsageError naming the field that is wrong.
    """
    if json_size is not None and not 0 <= json_size <= len(body):
        raise UsageError("inference-header-content-length", f"{json_size}, the body has {len(body)} bytes")
    parsed: InferBody = decode(_infer, body if json_size is None else body[:json_size])
    if not parsed.inputs:
        raise UsageError("inputs", "0 tensors, expected at least one")
    raw = b"" if json_size is None else body[json_size:]
    refuse_unsupported(parsed.parameters)
    return Inference(
        check_request_id(parsed.id, "id") if parsed.id else "",
        tuple(_tensors(parsed.inputs, memoryview(raw))),
        _wanted(parsed),
        parsed.parameters.get("binary_data_output") is True,
        read_timeout(parsed.parameters),
    )


def render_infer(endpoint: str, request: str, answered: Answered, asked: Inference) -> Rendered:
    """The inference response."""
    outputs: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for output, spec, values in chosen_outputs(answered, asked):
        shown: dict[str, Any] = {
            "name": spec.name, "shape": list(spec.shape), "datatype": spec.datatype,
        }  # fmt: skip
        if output.is_binary:
            raw.append(encode_raw(values, spec.datatype))
            shown["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            shown["data"] = values if spec.name == PREDICTIONS else encode_json(values)
        outputs.append(shown)
    head = orjson.dumps(
        {
            "model_name": endpoint,
            "model_version": str(answered.arm.version),
            "id": request,
            "outputs": outputs,
        }
    )
    return Rendered(b"".join([head, *raw]), len(head)) if raw else Rendered(head)


def chosen_outputs(answered: Answered, asked: Inference) -> Iterator[tuple[Output, TensorSpec, list[Any]]]:
    """The outputs to send in the order asked for, each with its shape and flat values."""
    given = answered_outputs(answered)
    every = [Output(name, asked.is_binary) for name in given]
    for output in asked.outputs or every:
        if output.name in given:
            yield output, *given[output.name]


def answered_outputs(answered: Answered) -> Mapping[str, tuple[TensorSpec, list[Any]]]:
    """What a model answered as tensors; a model that gives no scores has none."""
    n = len(answered.predictions)
    classes = len(answered.scores[0]) if n else 0
    kind = datatype_of(answered.predictions)
    found = {PREDICTIONS: (TensorSpec(PREDICTIONS, kind, (n,)), answered.predictions)}
    if not classes:
        return found
    flat = answered.scores[0] if n == 1 else [score for row in answered.scores for score in row]
    return {**found, SCORES: (TensorSpec(SCORES, "FP32", (n, classes)), flat)}


def datatype_of(answers: Sequence[Answer]) -> str:
    """The protocol's type of a list of answers."""
    if all(isinstance(answer, int) for answer in answers):
        return "INT64"
    return "FP64" if all(isinstance(answer, int | float) for answer in answers) else "BYTES"


def server_metadata() -> dict[str, Any]:
    """Who this server is."""
    return {"name": "tidegate", "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(route: Route, arm: Arm) -> dict[str, Any]:
    """What the model takes and gives."""
    versions = [str(one.version) for one in (route.stable, route.canary) if one is not None]
    return {
        "name": route.endpoint,
        "versions": versions,
        "platform": arm.model.platform,
        "inputs": [_shown(spec) for spec in arm.model.inputs],
        "outputs": [_shown(spec) for spec in arm.model.outputs],
    }


def check_outputs(names: Sequence[str]) -> None:
    """Raise UsageError for an output that no model here gives."""
    for i, name in enumerate(names):
        if name not in (PREDICTIONS, SCORES):
            raise UsageError(f"outputs[{i}].name", f"unknown output `{name}`, expected predictions or scores")


def read_timeout(parameters: Mapping[str, Any]) -> float:
    """How long the client waits, in seconds: the parameter `timeout` is in microseconds, 0 is none."""
    timeout = parameters.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise UsageError("parameters.timeout", "expected a whole number of microseconds")
    return timeout / 1e6 if timeout else math.inf


def refuse_unsupported(parameters: Mapping[str, Any]) -> None:
    """Raise UsageError for parameters that would change the answer if they were understood."""
    for name in UNSUPPORTED:
        if parameters.get(name):
            raise UsageError(f"parameters.{name}", "is not supported, requests here are independent")


def _wanted(parsed: InferBody) -> tuple[Output, ...]:
    default = parsed.parameters.get("binary_data_output") is True
    asked = parsed.outputs or []
    check_outputs([output.name for output in asked])
    for i, output in enumerate(asked):
        if output.parameters.get("classification"):
            found = "is not supported, ask for predictions and scores"
            raise UsageError(f"outputs[{i}].parameters.classification", found)
    return tuple(Output(one.name, one.parameters.get("binary_data", default) is True) for one in asked)


def _tensors(inputs: Sequence[TensorBody], raw: memoryview) -> Iterator[Tensor]:
    """The tensors of a request; raw ones follow each other in the order of the inputs."""
    at = 0
    for i, body in enumerate(inputs):
        where = f"inputs[{i}]"
        size = body.parameters.get("binary_data_size")
        if size is None:
            if not bytes(body.data):
                raise UsageError(f"{where}.data", "missing, expected `data` or `binary_data_size`")
            values = decode_json(bytes(body.data), body.datatype, body.shape, where)
        else:
            end = at + _checked_size(size, len(raw) - at, where)
            values = decode_raw(raw[at:end], body.datatype, body.shape, where)
            at = end
        yield Tensor(body.name, body.datatype, tuple(body.shape), values, f"{where}.data")
    if at != len(raw):
        raise UsageError("body", f"{len(raw) - at} bytes after the last raw tensor")


def _checked_size(size: object, left: int, where: str) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
        found = f"{size}, the body has {left} bytes left"
        raise UsageError(f"{where}.parameters.binary_data_size", found)
    return size


def _shown(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
