"""What every front does with a request: find its arm, hold its rows to that arm's contract, ask the engine."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from tidegate.domain import Label
from tidegate.errors import NotFoundError, UsageError
from tidegate.project import Serve
from tidegate.serve.access import Access
from tidegate.serve.engine import Engine
from tidegate.serve.job import Answered, Ask, Deliver, Job
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route, choose, with_version
from tidegate.serve.shape import BreachError, Matrix, Shape, mark

# the rows of a request as an arm takes them; raises UsageError
Parse = Callable[[Arm, Shape], Matrix]
# writes labels to the log, as the engine writes rows
WriteLabels = Callable[[Sequence[Label]], "Awaitable[None] | None"]
UNIT_LENGTH = 256


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks: the request's id, the unit that draws its arm ("" is the id), when it came, how long it waits."""

    request: str
    unit: str
    at: float
    timeout_s: float = math.inf


class Version(NamedTuple):
    """A version of the endpoint's model, and whether it answers right now."""

    version: int
    is_ready: bool
    reason: str = ""


class Service:
    """The engine with what its fronts share; `shapes` maps a bundle's digest to the rows that it takes."""

    def __init__(self, engine: Engine, write_labels: WriteLabels, settings: Serve, metrics: Metrics) -> None:
        self.engine = engine
        self.settings = settings
        self.metrics = metrics
        self._write_labels = write_labels
        self.access = Access(None)
        self.shapes: dict[str, Shape] = {}
        self.versions: tuple[Version, ...] = ()

    def live(self) -> Route:
        """The route; UnavailableError while nothing is live."""
        return self.engine.live()

    def named(self, name: str, version: str = "") -> Arm | None:
        """The arm of a named version, None when the unit may decide; NotFoundError for what is not served."""
        route = self.live()
        if name != route.endpoint:
            raise NotFoundError("", f"no model `{name}`, this endpoint serves `{route.endpoint}`")
        arm = with_version(route, version) if version else None
        if version and arm is None:
            raise NotFoundError("", f"model `{name}` has no version `{version}` here")
        return arm

    def submit(self, parse: Parse, caller: Caller, deliver: Deliver, *, pinned: Arm | None = None) -> Job:
        """Have the arm that the unit draws, or the `pinned` one, answer; `deliver` as Engine.submit has it.

        Raises UsageError for rows that the arm does not take, else as Engine.submit.
        """
        ask, arm = self._asked(parse, caller, pinned)
        return self.engine.submit(ask, arm, deliver)

    async def predict(self, parse: Parse, caller: Caller, *, pinned: Arm | None = None) -> Answered:
        """The same for who can wait."""
        ask, arm = self._asked(parse, caller, pinned)
        return await self.engine.answer(ask, arm=arm)

    def label(self, labels: Sequence[Label]) -> "Awaitable[None] | None":
        """Write late labels down; they are kept when what this returns ends, at once if it is None."""
        return self._write_labels(labels)

    def _asked(self, parse: Parse, caller: Caller, pinned: Arm | None) -> tuple[Ask, Arm]:
        """What the arm makes of the body; a refusal that stable would have spared the client is logged."""
        # a version asked for by name is no chance draw, so it must not count in a comparison of arms
        unit = "" if pinned else caller.unit or caller.request
        arm = pinned or choose(self.live(), unit)
        try:
            rows = parse(arm, self.shapes[arm.model.digest])
        except UsageError as error:
            if isinstance(error, BreachError):
                self.metrics.breach(error.violations)
            if arm.role == "canary" and unit and self._takes(parse, self.live().stable):
                self.engine.refuse(caller.request, unit, arm=arm, at=caller.at)
            raise
        flags: Sequence[tuple[str, ...]] = ()
        if rows.flagged:
            self.metrics.breach(one for seen in rows.flagged for one in seen)
            flags = [tuple(mark(one) for one in seen) for seen in rows.flagged]
        deadline = time.monotonic() + min(caller.timeout_s, self.settings.timeout)
        return Ask(caller.request, unit, rows.values, caller.at, tuple(flags), deadline), arm

    def _takes(self, parse: Parse, arm: Arm) -> bool:
        try:
            parse(arm, self.shapes[arm.model.digest])
        except UsageError:
            return False
        return True
