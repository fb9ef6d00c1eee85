"""From a bundle to a model: the one loader."""

from typing import TYPE_CHECKING, Protocol

from tidegate.domain import TensorSpec
from tidegate.registry.load import Bundle
from tidegate.registry.named import Answer

if TYPE_CHECKING:
    import numpy as np


class Model(Protocol):
    """A loaded bundle: rows in, answers and class scores out.

    `is_remote` says that it answers from a process of its own, so that `predict` waits.
    """

    bundle: Bundle
    digest: str
    columns: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    platform: str
    is_remote: bool

    def predict(self, rows: "np.ndarray") -> "tuple[list[Answer], np.ndarray]":
        """Answers and scores [n, classes] for rows [n, columns]."""

    def close(self) -> None:
        """Give back what it holds; it is not asked again."""


def load_model(bundle: Bundle, *, named: bool = True) -> Model:
    """The bundle's model, ready to answer; with `named` class indices become the bundle's labels.

    Raises UsageError for a model that cannot be asked with the contract's columns.
    """
    from tidegate.registry.onnx import load_onnx

    return load_onnx(bundle, labels=bundle.labels if named else ())
