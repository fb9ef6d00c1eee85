"""`tidegate down`: the end of what `up` started."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.flow.serve_up import down
from tidegate.store.layout import find_root


@click.command("down")
@json_option
def command(*, as_json: bool) -> None:
    """Stop gateway, rollout controller and monitor; requests in progress are answered first.

    \b
    Example:
      tidegate down
    """
    process = down(find_root())
    if as_json:
        print_json({"process": process})
    else:
        say("nothing was up" if process is None else f"process {process} has stopped")
