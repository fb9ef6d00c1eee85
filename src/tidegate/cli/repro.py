"""`tidegate repro`: run the stages of dvc.yaml that changed, and say why each ran or was skipped."""

import sys
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.pipeline.explain import as_dict, explain
from tidegate.pipeline.job import Listener, Step
from tidegate.store.layout import find_root

_COLORS = {"ran": "green", "restored": "cyan", "running": "blue", "stale": "yellow"}
_SHOWN = 3


@click.command("repro")
@click.argument("targets", nargs=-1)
@click.option("--force", is_flag=True, help="Run the stages even when nothing changed.")
@click.option("--dry-run", is_flag=True, help="Only say what would run, and why.")
@json_option
def command(targets: tuple[str, ...], *, force: bool, dry_run: bool, as_json: bool) -> None:
    """Bring the stages of dvc.yaml up to date: all, or TARGETS and what they need.

    A stage runs when its command, a dep, a param or an out differs from dvc.lock; a result seen before comes
    from the cache. What finished stays finished when a later stage fails.

    \b
    Example:
      tidegate repro
      tidegate repro train --dry-run
    """
    root = find_root()
    if dry_run:
        from tidegate.pipeline.reproduce import examine

        print_steps(examine(root, targets, force=force), as_json=as_json)
        return
    from tidegate.flow.repro import repro

    listener = Listener(_ignore if as_json else say_step, _to_stderr if as_json else _to_stdout)
    outcome = repro(root, targets, force=force, listener=listener)
    if as_json:
        print_steps(outcome.steps, as_json=True, run=outcome.id)
    elif all(step.action == "skipped" for step in outcome.steps):
        say("everything is up to date")


def say_step(step: Step) -> None:
    """One line a stage: what happens to it, and why."""
    why = because(step) if step.reasons else "nothing changed"
    details = {
        "ran": f"ran in {step.seconds:.1f} s",
        "skipped": f"skipped: frozen, though {why}" if step.reasons else f"skipped: {why}",
    }
    detail = details.get(step.action, f"{step.action}: {why}")
    say(f"{step.stage:<16} {detail}", color=_COLORS.get(step.action))


def because(step: Step) -> str:
    """The first few reasons, and how many more there are."""
    texts = [explain(reason) for reason in step.reasons]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join([*texts[:_SHOWN], *more])


def step_fields(step: Step) -> dict[str, Any]:
    """One stage for programs."""
    return {
        "stage": step.stage,
        "action": step.action,
        "seconds": round(step.seconds, 3),
        "reasons": [as_dict(reason) for reason in step.reasons],
    }


def print_steps(steps: tuple[Step, ...], *, as_json: bool, run: str = "") -> None:
    """All stages, for people or for programs."""
    if as_json:
        print_json({"run": run or None, "stages": [step_fields(step) for step in steps]})
        return
    for step in steps:
        say_step(step)


def _ignore(step: Step) -> None:
    """JSON is printed once, at the end."""


def _to_stdout(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _to_stderr(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()
