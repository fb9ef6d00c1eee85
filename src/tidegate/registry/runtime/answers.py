"""What a model's process replied, believed as far as it can be checked."""

from typing import TYPE_CHECKING

from tidegate.domain.model import Answer
from tidegate.errors import UsageError
from tidegate.registry.runtime.wire import Reply, unpack

if TYPE_CHECKING:
    import numpy as np


def answers_of(reply: Reply, n: int) -> "tuple[list[Answer], np.ndarray]":
    """Answers and scores for `n` rows; UsageError when the model raised, or gave not one of each a row."""
    said = _said(reply).answered
    if said is None:
        raise UsageError("model", "gave something else than answers")
    try:
        scores = unpack(said.scores)
        answers = said.answers if isinstance(said.answers, list) else unpack(said.answers)
    except ValueError as error:
        raise UsageError("model", f"gave {error}") from None
    if len(answers) != n or scores.ndim != 2 or len(scores) != n or getattr(answers, "ndim", 1) != 1:
        shape = [len(answers)] if isinstance(answers, list) else list(answers.shape)
        found = f"answers of shape {shape} and scores of shape {list(scores.shape)} for {n} rows"
        raise UsageError("model", f"gave {found}, expected one each")
    return list(answers) if isinstance(answers, list) else answers.tolist(), scores


def file_of(reply: Reply) -> bytes:
    """The ONNX file that was asked for; UsageError, with the reason, when the model cannot be one."""
    said = _said(reply).converted
    if said is None:
        raise UsageError("model", "gave something else than an ONNX file")
    return said.model


def _said(reply: Reply) -> Reply:
    if reply.failed is not None:
        raise UsageError("model", reply.failed.reason)
    return reply
