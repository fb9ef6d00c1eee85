"""Bring stages up to date: each skipped, restored from the cache, or run; one after the other or side by side."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.pipeline.course import Course
from tidegate.pipeline.graph import active, order
from tidegate.pipeline.job import QUIET, Job, Listener, Request, Step
from tidegate.pipeline.journal import Journal
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.plan import Reason
from tidegate.pipeline.project import Project, explain_all, explain_without_missing, open_project
from tidegate.pipeline.select import select
from tidegate.pipeline.targets import choose_outs
from tidegate.store.layout import Layout
from tidegate.store.lock import hold

# how long a second run waits for the first
WAIT_S = 10.0
ALL = Request()


class Outcome(NamedTuple):
    """What a run did: steps in order, and the entries of all stages it covered.

    `id` is empty and `ran` nothing when no stage ran, neither now nor in a run cut short before.
    """

    id: str
    started: float
    ran: tuple[str, ...]
    steps: tuple[Step, ...]
    entries: Mapping[str, Entry]

    @property
    def failed(self) -> tuple[Step, ...]:
        """The stages that could not be brought up to date."""
        return tuple(step for step in self.steps if step.error)


def examine(root: Path, request: Request = ALL) -> tuple[Step, ...]:
    """What `reproduce` would do, without doing it: `stale` or `skipped` for each stage, with reasons."""
    with open_project(root) as project:
        reasons = explain_all(project, select(project.pipelines, request), force=request.options.force)
        if request.options.allow_missing:
            reasons = {key: explain_without_missing(project, key, why) for key, why in reasons.items()}
    return _as_steps(reasons)


def look_over(root: Path, request: Request = ALL) -> tuple[Step, ...]:
    """What changed in the stages and data that the request names, with what follows from their needs.

    Of the whole repository when it names none.
    """
    with open_project(root) as project:
        chosen = choose_outs(project.pipelines, request.words, here=request.here, choice=request.choice)
        keys = list(dict.fromkeys(target.stage.key for target in chosen))
        covered = order(active(project.graph, project.stages), keys)
        reasons = explain_all(project, covered)
        if not request.words and not any(reasons.values()):
            _note_clean(project, covered, request.here)
    return _as_steps({key: reasons[key] for key in (keys if request.words else covered)})


def states(root: Path, request: Request = ALL) -> dict[str, list[Any]]:
    """What changed, in the form of `dvc status --json`."""
    from tidegate.pipeline.status import dvc_status

    with open_project(root) as project:
        targets = choose_outs(project.pipelines, request.words, here=request.here, choice=request.choice)
        found = dvc_status(project, targets, request.here)
        if not request.words and not found:
            _note_clean(project, order(project.graph), request.here)
    return found


def imports_among(root: Path, request: Request = ALL) -> list[str]:
    """The keys of the imports among the stages that the request names."""
    with open_project(root) as project:
        targets = choose_outs(project.pipelines, request.words, here=request.here, choice=request.choice)
        return [target.stage.key for target in targets if target.stage.is_import]


def reproduce(root: Path, request: Request = ALL, *, listener: Listener = QUIET) -> Outcome:
    """Run what is stale among the stages asked for and what they need.

    Raises ConflictError while another run works on the project, and TidegateError naming stage, exit code and log
    when a command fails, unless the request says to go on; what finished before stays finished.
    """
    folder = Layout(root).run
    with hold(folder / "repro.lock", what="repro", wait_s=WAIT_S), open_project(root) as project:
        journal = Journal(folder / "repro.json")
        job = Job(project, journal, listener, request.options, request.here)
        keys = select(project.pipelines, request)
        steps = tuple(_run_all(job, keys, request))
        entries = {key: project.lock[key] for key in keys if key in project.lock}
        if request == Request(here=request.here) and all(
            step == Step(step.stage, "skipped") for step in steps
        ):
            _note_clean(project, keys, request.here)
    run = journal.progress
    return Outcome(run.id, run.started, run.ran, steps, entries)


def forget_run(root: Path) -> None:
    """Drop the note of the run, once it is in the ledger."""
    Journal(Layout(root).run / "repro.json").clear()


def _as_steps(reasons: Mapping[str, tuple[Reason, ...]]) -> tuple[Step, ...]:
    return tuple(Step(key, "stale" if why else "skipped", why) for key, why in reasons.items())


def _note_clean(project: Project, keys: tuple[str, ...], here: str) -> None:
    from tidegate.pipeline.clean import note_clean

    note_clean(project, keys, here)


def _run_all(job: Job, keys: tuple[str, ...], request: Request) -> Iterator[Step]:
    course = Course(job.project, request)
    if request.jobs > 1:
        from tidegate.pipeline.parallel import run_side_by_side

        steps: Iterable[Step] = run_side_by_side(job, keys, course)
    else:
        steps = _run_in_order(job, keys, course)
    for step in steps:
        job.listener.step(step)
        yield step


def _run_in_order(job: Job, keys: tuple[str, ...], course: Course) -> Iterator[Step]:
    for key in keys:
        if key in course.barred:
            continue
        step = course.follow(course.attempt(job, key))
        if step.error and course.is_over(step):
            raise step.error
        yield step
