"""What passes between those who bring a stage up to date and those who watch."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from tidegate.pipeline.journal import Journal
from tidegate.pipeline.plan import Reason
from tidegate.pipeline.project import Project

Action = Literal["running", "ran", "restored", "skipped", "stale"]


class Step(NamedTuple):
    """What happens to one stage, and why; `running` is reported before the commands start."""

    stage: str
    action: Action
    reasons: tuple[Reason, ...] = ()
    seconds: float = 0.0


class Listener(NamedTuple):
    """Who follows a run: told of each step, and given the output of the commands as it appears."""

    step: Callable[[Step], None]
    output: Callable[[bytes], None]


class Job(NamedTuple):
    """What bringing one stage up to date needs."""

    project: Project
    journal: Journal
    listener: Listener


QUIET = Listener(lambda step: None, lambda data: None)
