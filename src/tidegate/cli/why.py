"""`tidegate why STAGE`: each thing that changed, old value and new."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.repro import step_fields
from tidegate.pipeline.explain import explain
from tidegate.pipeline.job import Request
from tidegate.pipeline.reproduce import look_over
from tidegate.store.layout import find_root, standing


@click.command("why")
@click.argument("stage")
@json_option
def command(stage: str, *, as_json: bool) -> None:
    """Explain why STAGE would run, or that nothing it depends on changed.

    \b
    Example:
      tidegate why train
    """
    root = find_root()
    steps = look_over(root, Request(words=(stage,), here=standing(root)))
    if as_json:
        fields = [step_fields(step) for step in steps]
        print_json(fields[0] if len(fields) == 1 else fields)
        return
    for step in steps:
        name = stage if len(steps) == 1 else step.stage
        say(f"{name} is stale" if step.reasons else f"{name} is up to date: nothing it depends on changed")
        for reason in step.reasons:
            say(f"  {explain(reason)}")
