"""What the steps of a run have in common: what they are given, and how they end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tidegate.flow.ci.command import Bench
from tidegate.flow.ci.inputs import Tree
from tidegate.gate.report.record import Case, Outcome, Step
from tidegate.pipeline.job import QUIET, Listener
from tidegate.project import Config

Name = Literal["style", "tests", "contract", "stages", "gate"]


class Watcher(NamedTuple):
    """Who follows a run: told when a step starts to do something, and how it ended; stages have a listener."""

    started: Callable[[Name, str], None] = lambda name, what: None
    ended: Callable[[Step], None] = lambda step: None
    stages: Listener = QUIET


class Room(NamedTuple):
    """What every step is given: the project, its policy, what its files hold, who watches."""

    root: Path
    config: Config
    tree: Tree
    watcher: Watcher

    @property
    def folder(self) -> Path:
        """Where the report and the logs go."""
        return self.root / self.config.ci.report

    def bench(self, name: Name) -> Bench:
        """Where the commands of a step run; each run has a new log."""
        log = self.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        return Bench(self.root, log, self.config.ci.timeout)


class Ended(NamedTuple):
    """How a step ended, and on which inputs: an empty digest where repeats are not recognized.

    `could_run` is false for a step that found nothing out, neither good nor bad.
    """

    outcome: Outcome
    because: str
    cases: tuple[Case, ...] = ()
    inputs: str = ""
    could_run: bool = True

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the cases that failed."""
        return tuple(case.name for case in self.cases if case.outcome == "failed")


class Intent(NamedTuple):
    """What a step would run, as it is shown; without anything, why not."""

    lines: tuple[str, ...]
    why_not: str = ""

    @property
    def says(self) -> str:
        """The intent in words."""
        return " and ".join(self.lines) if self.lines else f"skipped: {self.why_not}"


def skipped(because: str) -> Ended:
    """A step in which nothing happened, and why."""
    return Ended("skipped", because)


def unable(because: str) -> Ended:
    """A step that could not be taken."""
    return Ended("undecided", because, could_run=False)


def counted(number: int, noun: str) -> str:
    """`1 stage`, `2 stages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, and how many more there are."""
    more = [f"and {len(names) - shown} more"] if len(names) > shown else []
    return ", ".join([*(f"`{name}`" for name in names[:shown]), *more])
