"""Bring stages up to date: one after the other, each skipped, restored from the cache, or run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tidegate.pipeline.graph import order
from tidegate.pipeline.job import QUIET, Job, Listener, Step
from tidegate.pipeline.journal import Journal
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.plan import Reason
from tidegate.pipeline.project import explain_all, explain_stage, open_project
from tidegate.store.layout import Layout
from tidegate.store.lock import hold

# how long a second run waits for the first
WAIT_S = 10.0


class Outcome(NamedTuple):
    """What a run did: steps in order, and the entries of all stages it covered.

    `id` is empty and `ran` nothing when no stage ran, neither now nor in a run cut short before.
    """

    id: str
    started: float
    ran: tuple[str, ...]
    steps: tuple[Step, ...]
    entries: Mapping[str, Entry]


def examine(root: Path, targets: Iterable[str] = (), *, force: bool = False) -> tuple[Step, ...]:
    """What `reproduce` would do, without doing it: `stale` or `skipped` for each stage, with reasons."""
    with open_project(root) as project:
        reasons = explain_all(project, targets, force=force)
    return tuple(Step(name, "stale" if why else "skipped", why) for name, why in reasons.items())


def reproduce(
    root: Path, targets: Iterable[str] = (), *, force: bool = False, listener: Listener = QUIET
) -> Outcome:
    """Run what is stale among the targets (all stages when none) and what they need.

    Raises ConflictError while another run works on the project, and TidegateError naming stage, exit code
    and log when a command fails; what finished before stays finished.
    """
    folder = Layout(root).run
    with hold(folder / "repro.lock", what="repro", wait_s=WAIT_S), open_project(root) as project:
        journal = Journal(folder / "repro.json")
        names = order(project.graph, targets)
        steps = tuple(_bring_up_to_date(Job(project, journal, listener), name, force=force) for name in names)
        entries = {name: project.lock[name] for name in names if name in project.lock}
    run = journal.progress
    return Outcome(run.id, run.started, run.ran, steps, entries)


def forget_run(root: Path) -> None:
    """Drop the note of the run, once it is in the ledger."""
    Journal(Layout(root).run / "repro.json").clear()


def _bring_up_to_date(job: Job, name: str, *, force: bool) -> Step:
    stage = job.project.stages[name]
    reasons = (Reason("forced"),) if force and not stage.frozen else explain_stage(job.project, name)
    if reasons:
        from tidegate.pipeline.work import renew

        step = renew(job, stage, reasons)
    else:
        step = Step(name, "skipped")
    job.listener.step(step)
    return step
