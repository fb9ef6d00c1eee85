"""Which bundle answers: an immutable route, and the arm that a unit falls into."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from tidegate.domain import Role, TensorSpec

if TYPE_CHECKING:
    import asyncio

    import numpy as np

Answer = str | int | float
# what a model says to rows [n, columns]: answers and scores [n, classes], or why it does not
Told: TypeAlias = "tuple[list[Answer], np.ndarray] | Exception"


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
        done: "Callable[[Told], None]",
        *,
        awake: bool = False,
    ) -> bool:
        """Ask a model that is remote without waiting: `done` is called later on the loop with what it says.

        `awake` says that the next rows are likely to follow at once. False, and it is never called, where that
        would block; then `predict` is the way.
        """


class Arm(msgspec.Struct, frozen=True, gc=False):
    """A bundle that takes traffic: `version` is its model version, `release` the number it answers under."""

    model: Model
    role: Role
    version: int
    release: int


class Route(msgspec.Struct, frozen=True, gc=False):
    """What is live right now; a change replaces the whole record.

    `weight` is the canary's share of units, `salt` (the rollout's id) makes each rollout's assignment its own.
    """

    endpoint: str
    stable: Arm
    canary: Arm | None = None
    weight: float = 0.0
    salt: str = ""


def choose(route: Route, unit: str) -> Arm:
    """The arm of a unit: the same one for the whole of a step, and once canary, canary until the end."""
    if route.canary is not None and position(route.salt, unit) < route.weight:
        return route.canary
    return route.stable


def position(salt: str, unit: str) -> float:
    """Where a unit stands between 0 and 1: uniform over units, independent between salts."""
    digest = hashlib.blake2b(unit.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def with_version(route: Route, version: str) -> Arm | None:
    """The arm that serves a model version; None when none does."""
    arms = (route.stable, route.canary)
    return next((arm for arm in arms if arm is not None and str(arm.version) == version), None)
