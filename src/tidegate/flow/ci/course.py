"""The way of a run: each step in its turn, none trained for nothing, and the report at the end in any case."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tidegate.domain import Decision
from tidegate.errors import BLOCKED, UNDECIDED, TidegateError, missing_package
from tidegate.flow.ci.contract import check_contract
from tidegate.flow.ci.inputs import read_tree
from tidegate.flow.ci.repeats import judge_repeats, record_check
from tidegate.flow.ci.stages import Outlook, look_ahead, run_stages
from tidegate.flow.ci.step import Ended, Name, Room, Watcher, listed, skipped, unable
from tidegate.flow.ci.style import check_style
from tidegate.flow.ci.unit_tests import check_tests
from tidegate.flow.ci.verdict import ask_gate
from tidegate.gate.report.record import Report, Step
from tidegate.pipeline import job
from tidegate.pipeline.execute import interruptible
from tidegate.project import load_config

NOBODY = Watcher()


class Finished(NamedTuple):
    """A run that is over: its report and the page of it, the verdict if there is one, and the exit code."""

    report: Report
    page: Path
    decision: Decision | None
    code: int


def ci(root: Path, watcher: Watcher = NOBODY) -> Finished:
    """Run style, tests, contract, affected stages and gate, then write the report.

    Style, tests and contract are all checked; no stage runs when one of them did not pass, and the gate is asked
    only about a pipeline that is up to date. Raises NotFoundError without tidegate.toml; what goes wrong in a step
    is part of the report.
    """
    config = load_config(root)
    began = time.monotonic()
    with interruptible():
        course = Course(Room(root, config, read_tree(root), watcher))
        course.run()
        report = course.report(time.monotonic() - began)
        page = _write(course.room.folder, report)
    return Finished(report, page, course.decision, course.code)


class Course:
    """A run in progress: the steps taken so far and what they left behind."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.steps: list[Step] = []
        self.stages: tuple[job.Step, ...] = ()
        self.decision: Decision | None = None
        self._could_run = True

    def run(self) -> None:
        """Take every step in its turn."""
        self._take("style", lambda: check_style(self.room))
        self._take("tests", lambda: check_tests(self.room))
        outlook = self._look_ahead()
        self._take("contract", lambda: self._contract(outlook))
        self._take("stages", lambda: self._stages(outlook))
        self._take("gate", self._gate)

    @property
    def code(self) -> int:
        """The exit code: a failed check blocks; else what could not be done; else what is undecided, or nothing was."""
        outcomes = {step.outcome for step in self.steps}
        if "failed" in outcomes:
            return BLOCKED
        if not self._could_run:
            return TidegateError.exit_code
        return 0 if "passed" in outcomes and "undecided" not in outcomes else UNDECIDED

    def report(self, took: float) -> Report:
        """Everything that is known about the candidate, whatever became of the steps."""
        from tidegate.flow.report import gather_report

        return gather_report(self.room.root, steps=self.steps, took=took, stages=self.stages)

    def _look_ahead(self) -> Outlook | Ended:
        """What the pipeline would do, or why that cannot be said."""
        try:
            outlook = look_ahead(self.room.root)
        except TidegateError as error:
            return unable(str(error))
        self.stages = outlook.stages
        return outlook

    def _take(self, name: Name, act: Callable[[], Ended]) -> None:
        """One step: what it cannot do becomes its outcome, and what it repeats is compared."""
        began = time.monotonic()
        ended, repeats = _attempt(act), 0
        self._could_run = self._could_run and ended.could_run
        if ended.inputs and ended.outcome in ("passed", "failed"):
            before = record_check(self.room.root, name, ended)
            ended, repeats = judge_repeats(ended, before, policy=self.room.config.ci.flaky)
        seconds = time.monotonic() - began
        self.steps.append(Step(name, ended.outcome, ended.because, seconds, ended.cases, repeats))
        self.room.watcher.ended(self.steps[-1])

    def _contract(self, outlook: Outlook | Ended) -> Ended:
        stale = outlook.stale_places(self.room.root) if isinstance(outlook, Outlook) else []
        return check_contract(self.room, stale)

    def _stages(self, outlook: Outlook | Ended) -> Ended:
        if self._bad:
            return skipped(f"{listed(self._bad)} did not pass, so nothing is trained")
        if isinstance(outlook, Ended):
            return outlook
        ended, self.stages = run_stages(self.room, outlook)
        return ended

    def _gate(self) -> Ended:
        if self._bad:
            return skipped(f"{listed(self._bad)} did not pass, so nothing is judged")
        rows = self.room.config.data.evaluation
        if not self.stages and not (self.room.root / rows).exists():
            return skipped(f"no pipeline and no evaluation rows in {rows}, so there is nothing to judge")
        ended, self.decision = ask_gate(self.room)
        return ended

    @property
    def _bad(self) -> list[str]:
        return [step.name for step in self.steps if step.outcome not in ("passed", "skipped")]


def _attempt(act: Callable[[], Ended]) -> Ended:
    try:
        return act()
    except TidegateError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return unable(f"{error}{hint}")
    except ModuleNotFoundError as error:
        known = missing_package("tidegate ci", error.name or "")
        if known is None:
            raise
        return unable(f"{known} ({known.hint})")


def _write(folder: Path, report: Report) -> Path:
    from tidegate.flow.ci.files import write_forms

    return write_forms(folder, report)
