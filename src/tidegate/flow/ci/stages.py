"""The stages that changes affect, and no other; what came from the cache is held to the contract as well."""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tidegate.data.config import load_dvc_config
from tidegate.errors import TidegateError
from tidegate.flow.ci.contract import cases_of, covered_by
from tidegate.flow.ci.inputs import digest_of
from tidegate.flow.ci.step import Ended, Room, listed, skipped, unable
from tidegate.flow.repro import repro
from tidegate.gate.report.record import Case
from tidegate.pipeline.job import Listener, Options, Request, Step
from tidegate.pipeline.project import explain_all, open_project
from tidegate.pipeline.select import select
from tidegate.pipeline.stages import LOCK
from tidegate.project import Seconds, write_unit

ALL = Request(scope="all")
NO_PIPELINE = "no pipeline, dvc.yaml names no stage"
WRITTEN = (LOCK, ".gitignore")
# what a command, or the contract, says about a stage; any other error is about the machine or the project
VERDICTS = ("error", "refused")


class Outlook(NamedTuple):
    """What bringing the pipeline up to date would do: a step for each stage and data file, and where their outs are.

    `data` are the keys that have no command, the .dvc files.
    """

    steps: tuple[Step, ...]
    outs: Mapping[str, tuple[str, ...]]
    data: frozenset[str]

    @property
    def stages(self) -> tuple[Step, ...]:
        """The steps of what has a command."""
        return tuple(step for step in self.steps if step.stage not in self.data)

    def places(self, root: Path, keys: Sequence[str]) -> list[Path]:
        """Where the outs of these stages lie."""
        return [(root / out).resolve() for key in keys for out in self.outs[key]]

    def stale_places(self, root: Path) -> list[Path]:
        """Where something will be written anew."""
        return self.places(root, [step.stage for step in self.steps if step.reasons])


class Affected(NamedTuple):
    """How the stages ended, and what happened to each."""

    ended: Ended
    stages: tuple[Step, ...]


def look_ahead(root: Path) -> Outlook:
    """What is stale in all pipelines of the repository, and why; runs nothing."""
    with open_project(root) as project:
        keys = select(project.pipelines, ALL)
        reasons = explain_all(project, keys)
        steps = tuple(Step(key, "stale" if reasons[key] else "skipped", reasons[key]) for key in keys)
        outs = {key: tuple(out.at for out in project.stages[key].outs) for key in keys}
        data = frozenset(key for key in keys if project.stages[key].is_data)
    return Outlook(steps, outs, data)


def run_stages(room: Room, outlook: Outlook) -> Affected:
    """Bring the pipeline up to date; stages that do not need a failed one still run, so that one run tells all.

    With a default remote, data and results that are not here are fetched from there.
    """
    if not outlook.steps:
        return Affected(skipped(NO_PIPELINE), ())
    may_pull = bool(load_dvc_config(room.root).core.remote)
    request = ALL._replace(on_error="keep_going", options=Options(pull=may_pull))
    with limited(room.watcher.stages, room.config.ci.timeout) as listener:
        outcome = repro(room.root, request, listener=listener)
    steps = {step.stage: step for step in (*outlook.steps, *outcome.steps)}
    refused = _refusals(room, outlook, outcome.steps)
    ended = _judge(tuple(steps.values()), outlook, refused)
    stages = tuple(steps[step.stage] for step in outlook.stages)
    return Affected(ended._replace(inputs=_inputs(room, outlook)), stages)


@contextmanager
def limited(listener: Listener, limit: Seconds) -> Iterator[Listener]:
    """A listener under which the commands of a stage end in time, as far as signals are heard: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield listener
        return
    running = [""]

    def ring(number: int, frame: object) -> None:
        raise TidegateError(
            f"stage `{running[0]}`", f"took longer than {write_unit(limit)}", hint="see ci.timeout"
        )

    def step(step: Step) -> None:
        running[0] = step.stage
        signal.setitimer(signal.ITIMER_REAL, limit if step.action == "running" else 0)
        listener.step(step)

    def accept(stage: str, outs: Sequence[str]) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        listener.accept(stage, outs)

    left, every = signal.setitimer(signal.ITIMER_REAL, 0)
    previous = signal.signal(signal.SIGALRM, ring)
    try:
        yield listener._replace(step=step, accept=accept)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, left, every)


def _judge(steps: Sequence[Step], outlook: Outlook, refused: tuple[Case, ...]) -> Ended:
    errors = [(step.stage, step.error) for step in steps if step.error]
    machine = [error for _, error in errors if error.kind not in VERDICTS]
    cases = (*(Case(stage, "failed", str(error)) for stage, error in errors), *refused)
    if machine and len(machine) == len(cases):
        return unable(str(machine[0]))
    if cases:
        return Ended("failed", f"{listed([case.name for case in cases])} failed: {cases[0].because}", cases)
    return Ended("passed", _summary([step for step in steps if step.stage not in outlook.data]))


def _inputs(room: Room, outlook: Outlook) -> str:
    """Everything but what a run itself writes: a stage that is tried again is tried on the same inputs."""
    outs = (out for key in outlook.outs for out in outlook.outs[key])
    written = (name for name in room.tree if name.rpartition("/")[2] in WRITTEN)
    return digest_of(room.tree, "repro", without=[*outs, *written, ".dvc", room.config.ci.report])


def _summary(stages: Sequence[Step]) -> str:
    ran = [step.stage for step in stages if step.action == "ran"]
    restored = sum(step.action == "restored" for step in stages)
    names = f": {listed(ran)}" if ran else ""
    from_cache = f", {restored:,} from the cache" if restored else ""
    return f"{len(ran):,} of {len(stages):,} stages ran{names}{from_cache}"


def _refusals(room: Room, outlook: Outlook, steps: Sequence[Step]) -> tuple[Case, ...]:
    """What the contract rejects in tables that were restored: nothing else has looked at them."""
    restored = [step.stage for step in steps if step.action == "restored"]
    covered = covered_by(room.root, room.config) if restored else None
    files = covered.among(outlook.places(room.root, restored)) if covered else []
    cases = cases_of(room.root, covered, files) if covered and files else ()
    return tuple(case for case in cases if case.outcome == "failed")
