"""A request as it goes through the engine: what is asked, what is answered, and who is told."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tidegate.domain.model import Answer
from tidegate.errors import TidegateError
from tidegate.serve.route import Arm

if TYPE_CHECKING:
    import numpy as np

# how a job ended, as the prediction log has it; a job that WAITS has not
WAITS, ANSWERED, LATE, GONE = 0, 200, 504, 499

# takes the answer to a request, or why there is none; never raises
Deliver = Callable[["Answered | Exception"], None]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A request as the engine takes it: `rows` [n, columns], `unit` "" when its arm is not drawn by chance.

    `flags` are the marks of each row that the contract only flags; empty when there are none at all. At
    `deadline`, in monotonic seconds, nobody waits for the answer any more.
    """

    id: str
    unit: str
    rows: "np.ndarray"
    at: float
    flags: tuple[tuple[str, ...], ...] = ()
    deadline: float = math.inf


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A request's answer: ids and predictions by row, scores [rows, classes], and the arm that gave them."""

    ids: tuple[str, ...]
    predictions: list[Answer]
    scores: list[list[float]]
    arm: Arm


class ModelFailedError(TidegateError):
    """The model raised on these rows; the reply is a 500."""


class LateError(TidegateError):
    """The request's deadline passed before its answer was there; the reply is a 504."""


class Job:
    """A request that waits for its batch; `status` says how that ended, WAITS until then."""

    __slots__ = ("_deliver", "arm", "ask", "digest", "size", "status")

    def __init__(self, ask: Ask, arm: Arm, deliver: Deliver) -> None:
        self.ask = ask
        self.arm = arm
        self.digest = arm.model.digest
        self.size = len(ask.rows)
        self.status = WAITS
        self._deliver = deliver

    def leave(self) -> None:
        """Nobody waits for the answer any more; nothing is delivered."""
        self.status = self.status or GONE

    def end(self, found: Answered | Exception, status: int = ANSWERED) -> None:
        """Deliver, unless somebody has left or was told already."""
        if self.status == WAITS:
            self.status = status
            self._deliver(found)


def count_rows(jobs: list[Job]) -> int:
    """How many rows they have together."""
    # most requests are alone in their turn
    return jobs[0].size if len(jobs) == 1 else sum([job.size for job in jobs])
