"""ONNX files as the converters leave them, mended: rows are of any number, no scores that the model has not."""

from typing import Any

OPSET = {"": 18, "ai.onnx.ml": 3}


def finish(model: Any, *, scores: bool = True) -> bytes:
    """The bytes of a converted model; without `scores` only the answers stay among its outputs."""
    if not scores:
        del model.graph.output[1:]
    for output in model.graph.output:
        # onnxmltools says 1 where it means the rows
        first = output.type.tensor_type.shape.dim[:1]
        for size in first:
            size.Clear()
            size.dim_param = "rows"
    return bytes(model.SerializeToString())


def tensor_type(kinds: Any, precision: str, width: int) -> Any:
    """A converter's word, from its module `kinds`, for rows of so many numbers."""
    found = kinds.DoubleTensorType if precision == "float64" else kinds.FloatTensorType
    return found([None, width])
