"""`tidegate status`: which stages are stale, and why; runs nothing."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.repro import say_step, step_fields
from tidegate.pipeline.reproduce import examine
from tidegate.store.layout import find_root


@click.command("status")
@click.argument("targets", nargs=-1)
@json_option
def command(targets: tuple[str, ...], *, as_json: bool) -> None:
    """Show the stages that `tidegate repro` would run or restore, and why. Exit code 0 either way.

    \b
    Example:
      tidegate status
      tidegate status train --json
    """
    steps = examine(find_root(), targets)
    stale = [step for step in steps if step.reasons]
    if as_json:
        print_json({"stale": len(stale), "stages": [step_fields(step) for step in steps]})
        return
    for step in stale:
        say_step(step)
    say(
        f"{len(stale)} of {len(steps)} stages are stale"
        if stale
        else f"all {len(steps)} stages are up to date"
    )
