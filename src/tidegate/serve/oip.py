"""The Open Inference Protocol v2 over REST: tensors in JSON or, by the binary extension, as raw bytes.

https://github.com/open-inference/open-inference-protocol and the binary tensor data extension of Triton.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from tidegate import __version__
from tidegate.domain import TensorSpec
from tidegate.domain.model import Answer, Model
from tidegate.errors import UsageError
from tidegate.serve.job import Answered
from tidegate.serve.parse import check_request_id, decode
from tidegate.serve.route import Arm, Route
from tidegate.serve.tensor import MAX_DIMENSIONS, Tensor, decode_json, decode_raw, encode_raw, numbers_of

PREDICTIONS = "predictions"
SCORES = "scores"
EXTENSIONS = ("binary_tensor_data", "model_repository")
# each would change the answer, or where it goes, if it were understood; a wrong answer is worse than a refusal
UNSUPPORTED = {
    "sequence_id": "requests here are independent",
    "sequence_start": "requests here are independent",
    "sequence_end": "requests here are independent",
    "shared_memory_region": "send the tensor itself",
    "classification": "ask for predictions and scores",
}
WIDER = ("INT64", "FP64", "BYTES")


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


class Inference(msgspec.Struct, frozen=True, gc=False):
    """An inference request before its arm is known; `id` "" when the client gave none.

    `outputs` are those asked for, or none for all of them, which are then binary if `is_binary`; `timeout_s`
    is how long the client waits, infinite when it does not say.
    """

    id: str
    tensors: tuple[Tensor, ...]
    outputs: tuple[Output, ...] = ()
    is_binary: bool = False
    timeout_s: float = math.inf


class Given(msgspec.Struct, frozen=True, gc=False):
    """An output as a reply has it: `data` is flat, and missing where the values follow as bytes."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class ReplyBody(msgspec.Struct, frozen=True, gc=False):
    """The JSON part of an inference response."""

    model_name: str
    model_version: str
    id: str
    outputs: list[Given]


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """A reply: `json_size` is how much of the body is JSON when raw tensors follow, else None."""

    body: bytes
    json_size: int | None = None


class PlainTensor(msgspec.Struct, forbid_unknown_fields=True):
    """A tensor of real numbers that lie flat, which is what most send."""

    name: str
    shape: tuple[int, ...]
    datatype: Literal["FP32", "FP64"]
    data: list[float | None]


class PlainBody(msgspec.Struct, forbid_unknown_fields=True):
    """An inference request of such tensors that asks for nothing special."""

    inputs: tuple[PlainTensor, ...]
    id: str = ""


_infer = msgspec.json.Decoder(InferBody)
_plain = msgspec.json.Decoder(PlainBody)
_encode = msgspec.json.Encoder().encode


def parse_infer(body: bytes, json_size: int | None = None) -> Inference:
    """An inference request, whose first `json_size` bytes are JSON when raw tensors follow.

    Raises UsageError naming the field that is wrong.
    """
    plain = _parse_plain(body) if json_size is None else None
    if plain is not None:
        return plain
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


def _parse_plain(body: bytes) -> Inference | None:
    """The same in one pass, with nothing to decide; None for a body that is something else, or wrong."""
    try:
        parsed = _plain.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    tensors = []
    for i, one in enumerate(parsed.inputs):
        if len(one.shape) > MAX_DIMENSIONS or min(one.shape, default=-1) < 0:
            return None
        if math.prod(one.shape) != len(one.data):
            return None
        values = numbers_of(one.data)
        tensors.append(Tensor(one.name, one.datatype, one.shape, values, f"inputs[{i}].data"))
    if not tensors:
        return None
    return Inference(check_request_id(parsed.id, "id") if parsed.id else "", tuple(tensors))


def render_infer(endpoint: str, request: str, answered: Answered, asked: Inference) -> Rendered:
    """The inference response."""
    outputs = answered_outputs(answered)
    raw: list[bytes] = []
    if asked.outputs or asked.is_binary:
        chosen, outputs = choose_outputs(outputs, asked), []
        for is_binary, given in chosen:
            outputs.append(_moved(given, raw) if is_binary else given)
    head = _encode(ReplyBody(endpoint, str(answered.arm.version), request, outputs))
    return Rendered(b"".join([head, *raw]), len(head)) if raw else Rendered(head)


def _moved(given: Given, raw: list[bytes]) -> Given:
    """The output without its values, which are added to the raw tensors."""
    raw.append(encode_raw(given.data or [], given.datatype))
    return Given(given.name, given.shape, given.datatype, parameters={"binary_data_size": len(raw[-1])})


def choose_outputs(given: Sequence[Given], asked: Inference) -> list[tuple[bool, Given]]:
    """The outputs to send in the order asked for, and whether each goes as raw bytes."""
    if not asked.outputs:
        return [(asked.is_binary, one) for one in given]
    named = {one.name: one for one in given}
    return [(output.is_binary, named[output.name]) for output in asked.outputs]


def answered_outputs(answered: Answered) -> list[Given]:
    """What a model answered as tensors; a model that gives no scores has none."""
    answers, n = answered.predictions, len(answered.predictions)
    first, *rest = answered.arm.model.outputs
    kind = datatype_of(answers, first.datatype)
    found = [Given(PREDICTIONS, (n,), kind, [*map(str, answers)] if kind == "BYTES" else answers)]
    if rest or answered.scores[0]:
        flat = answered.scores[0] if n == 1 else [score for row in answered.scores for score in row]
        found.append(Given(SCORES, (n, len(flat) // n), rest[0].datatype if rest else "FP64", flat))
    return found


def datatype_of(answers: Sequence[Answer], declared: str) -> str:
    """The type of a list of answers: the declared one, or a wider one where they need it."""
    kinds = set(map(type, answers))
    if declared == WIDER[-1] or str in kinds:
        return WIDER[-1]
    return "INT64" if declared == "INT64" and kinds <= {int, bool} else "FP64"


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


def require_outputs(asked: Inference, model: Model) -> None:
    """Raise UsageError for an output that the model does not give, or that is asked for twice."""
    if not asked.outputs:
        return
    known = [spec.name for spec in model.outputs]
    names = [output.name for output in asked.outputs]
    for i, name in enumerate(names):
        if name not in known:
            found = f"unknown output `{name}`, expected {' or '.join(known)}"
            raise UsageError(f"outputs[{i}].name", found)
        if name in names[:i]:
            raise UsageError(f"outputs[{i}].name", f"`{name}` comes twice")


def read_timeout(parameters: Mapping[str, Any]) -> float:
    """How long the client waits, in seconds: the parameter `timeout` is in microseconds, 0 is none."""
    timeout = parameters.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise UsageError("parameters.timeout", "expected a whole number of microseconds")
    return timeout / 1e6 if timeout else math.inf


def refuse_unsupported(parameters: Mapping[str, Any], where: str = "") -> None:
    """Raise UsageError for parameters that would change the answer if they were understood."""
    for name in parameters:
        if parameters[name] and name in UNSUPPORTED:
            raise UsageError(f"{where}parameters.{name}", f"is not supported, {UNSUPPORTED[name]}")


def _wanted(parsed: InferBody) -> tuple[Output, ...]:
    default = parsed.parameters.get("binary_data_output") is True
    asked = parsed.outputs or []
    for i, output in enumerate(asked):
        refuse_unsupported(output.parameters, f"outputs[{i}].")
    return tuple(Output(one.name, one.parameters.get("binary_data", default) is True) for one in asked)


def _tensors(inputs: Sequence[TensorBody], raw: memoryview) -> Iterator[Tensor]:
    """The tensors of a request; raw ones follow each other in the order of the inputs."""
    at = 0
    for i, body in enumerate(inputs):
        where = f"inputs[{i}]"
        refuse_unsupported(body.parameters, f"{where}.")
        size = body.parameters.get("binary_data_size")
        data = bytes(body.data)
        if (size is None) != bool(data):
            raise UsageError(f"{where}.data", "expected either `data` or `binary_data_size`")
        if size is None:
            values = decode_json(data, body.datatype, body.shape, where)
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
