"""What happened to the stages of the pipeline, and why, in words."""

from collections.abc import Iterable
from pathlib import Path

from tidegate.gate.report.record import Action, Stage
from tidegate.pipeline import job
from tidegate.pipeline.explain import explain
from tidegate.pipeline.reproduce import examine
from tidegate.pipeline.stages import PIPELINE

ACTIONS: dict[job.Action, Action] = {
    "ran": "ran", "saved": "ran", "restored": "restored", "skipped": "skipped", "stale": "stale", "failed": "failed",
}  # fmt: skip


def describe_stages(root: Path, steps: Iterable[job.Step] | None = None) -> tuple[Stage, ...]:
    """The stages of a run, or, without one, those that are stale now and those that are not."""
    if steps is None:
        steps = examine(root) if (root / PIPELINE).exists() else ()
    return tuple(_stage(step) for step in steps if step.action in ACTIONS)


def _stage(step: job.Step) -> Stage:
    because = tuple(explain(reason) for reason in step.reasons)
    said = (*because, str(step.error)) if step.error else because
    return Stage(step.stage, ACTIONS[step.action], said, step.seconds)
