"""The Open Inference Protocol v2 over REST: JSON tensors in, JSON tensors out.

https://github.com/open-inference/open-inference-protocol; the binary tensor extension is not offered.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tidegate import __version__
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.engine import Answered
from tidegate.serve.parse import check_request_id, decode
from tidegate.serve.route import Answer, Arm, Route
from tidegate.serve.shape import Matrix, Shape, check_tensor

PREDICTIONS = "predictions"
SCORES = "scores"
NESTED = re.compile(rb"\s*\[\s*\[")


class Tensor(msgspec.Struct):
    """A request's tensor; `data` is flat in row-major order, or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw
    parameters: dict[str, object] = {}


class Output(msgspec.Struct):
    """An output that the client asks for by name."""

    name: str
    parameters: dict[str, object] = {}


class InferBody(msgspec.Struct):
    """The body of an inference request."""

    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, object] = {}
    outputs: list[Output] | None = None


class Inference(NamedTuple):
    """An inference request before its arm is known; `id` "" when the client gave none."""

    id: str
    tensor: Tensor
    outputs: tuple[str, ...]


_infer = msgspec.json.Decoder(InferBody)
_flat = msgspec.json.Decoder(list[float | None])
_nested = msgspec.json.Decoder(list[list[float | None]])


def parse_infer(body: bytes) -> Inference:
    """The one tensor of an inference request; UsageError names the field that is wrong."""
    parsed = decode(_infer, body)
    if len(parsed.inputs) != 1:
        raise UsageError("inputs", f"{len(parsed.inputs)} tensors, the model takes 1")
    request_id = check_request_id(parsed.id, "id") if parsed.id else ""
    return Inference(request_id, parsed.inputs[0], _wanted(parsed.outputs))


def render_infer(endpoint: str, request: str, answered: Answered, outputs: Sequence[str]) -> dict[str, Any]:
    """The inference response."""
    n = len(answered.predictions)
    classes = len(answered.scores[0]) if n else 0
    tensors = {
        PREDICTIONS: {
            "name": PREDICTIONS,
            "shape": [n],
            "datatype": datatype_of(answered.predictions),
            "data": answered.predictions,
        }
    }
    if classes:
        flat = [score for row in answered.scores for score in row]
        tensors[SCORES] = {"name": SCORES, "shape": [n, classes], "datatype": "FP32", "data": flat}
    return {
        "model_name": endpoint,
        "model_version": str(answered.arm.version),
        "id": request,
        "outputs": [tensors[name] for name in outputs or tensors if name in tensors],
    }


def server_metadata() -> dict[str, Any]:
    """Who this server is."""
    return {"name": "tidegate", "version": __version__, "extensions": []}


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


def _shown(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def datatype_of(answers: Sequence[Answer]) -> str:
    """The protocol's type of a list of answers."""
    if all(isinstance(answer, int) for answer in answers):
        return "INT64"
    return "FP64" if all(isinstance(answer, int | float) for answer in answers) else "BYTES"


def _wanted(outputs: Sequence[Output] | None) -> tuple[str, ...]:
    names = tuple(output.name for output in outputs or ())
    for i, name in enumerate(names):
        if name not in (PREDICTIONS, SCORES):
            raise UsageError(f"outputs[{i}].name", f"unknown output `{name}`, expected predictions or scores")
    return names


def tensor_rows(tensor: Tensor, arm: Arm, shape: Shape, *, max_rows: int) -> Matrix:
    """The rows of a request's tensor, as this arm takes them; UsageError names the field that is wrong.

    Raises BreachError for rows that the contract refuses.
    """
    import numpy as np

    where, spec, width = "inputs[0]", arm.model.inputs[0], shape.width
    if tensor.name != spec.name:
        raise UsageError(f"{where}.name", f"`{tensor.name}`, the model's input is `{spec.name}`")
    if tensor.datatype != spec.datatype:
        raise UsageError(f"{where}.datatype", f"`{tensor.datatype}`, the model takes {spec.datatype}")
    if len(tensor.shape) != 2 or tensor.shape[1] != width or not 1 <= tensor.shape[0] <= max_rows:
        raise UsageError(f"{where}.shape", f"{tensor.shape}, expected [1 to {max_rows}, {width}]")
    cells = _cells(tensor, where)
    if len(cells) != math.prod(tensor.shape):
        found = f"{len(cells)} values, shape {tensor.shape} needs {math.prod(tensor.shape)}"
        raise UsageError(f"{where}.data", found)
    values = np.array(cells, dtype=float).reshape(tensor.shape)
    return check_tensor(values, [f"{where}.data row {i}" for i in range(len(values))], shape)


def _cells(tensor: Tensor, where: str) -> list[float | None]:
    """The values, flattened; what a nested list hides is found as in a flat one."""
    try:
        if not NESTED.match(tensor.data):
            return _flat.decode(tensor.data)
        rows = _nested.decode(tensor.data)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise UsageError(f"{where}.data{path.rstrip('`')}", message[:1].lower() + message[1:]) from None
    for i, row in enumerate(rows):
        if len(row) != tensor.shape[1]:
            found = f"{len(row)} values, shape {tensor.shape} needs {tensor.shape[1]}"
            raise UsageError(f"{where}.data[{i}]", found)
    return [cell for row in rows for cell in row]
