"""`tidegate why STAGE`: each thing that changed, old value and new."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.repro import step_fields
from tidegate.pipeline.explain import explain
from tidegate.pipeline.reproduce import examine
from tidegate.store.layout import find_root


@click.command("why")
@click.argument("stage")
@json_option
def command(stage: str, *, as_json: bool) -> None:
    """Explain why STAGE would run, or that nothing it depends on changed.

    \b
    Example:
      tidegate why train
    """
    step = next(step for step in examine(find_root(), [stage]) if step.stage == stage)
    if as_json:
        print_json(step_fields(step))
        return
    say(f"{stage} is stale" if step.reasons else f"{stage} is up to date: nothing it depends on changed")
    for reason in step.reasons:
        say(f"  {explain(reason)}")
