"""A model as those who ask it see it, and what it says."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tidegate.domain import TensorSpec

if TYPE_CHECKING:
    import asyncio

    import numpy as np

Answer = str | int | float
# what a model says to rows [n, columns]: answers and scores [n, classes], or why it does not
Told: TypeAlias = "tuple[list[Answer], np.ndarray] | Exception"
Done = Callable[[Told], None]


class Model(Protocol):
    """A loaded bundle: rows in, answers and class scores out.

    Rows are [n, columns], float64 with NaN for null, or objects where a feature is text. `outputs` are the
    answers and then, if there are any, the scores; a model that `is_remote` answers from a process of its own.
    """

    @property
    def digest(self) -> str:
        """The bundle's digest."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of a row, in order."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that a row is made of."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that it answers with."""

    @property
    def platform(self) -> str:
        """What runs it, in the words of the Open Inference Protocol, such as `onnx_onnxv1`."""

    @property
    def is_remote(self) -> bool:
        """Whether `predict` waits for another process."""

    def predict(self, rows: "np.ndarray") -> "tuple[list[Answer], np.ndarray]":
        """Answers and scores [n, classes] for rows [n, columns]."""

    def ask(
        self,
        rows: "np.ndarray",
        loop: "asyncio.AbstractEventLoop",
        done: Done,
        *,
        awake: bool = False,
    ) -> bool:
        """Ask a model that is remote without waiting: `done` is called later on the loop with what it says.

        `awake` says that the next rows are likely to follow at once. False, and it is never called, where that
        would block; then `predict` is the way.
        """
