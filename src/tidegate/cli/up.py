"""`tidegate up`: everything that serves and watches, in the background."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.serve import require_serving
from tidegate.flow.serve_up import up
from tidegate.store.layout import find_root


@click.command("up")
@json_option
def command(*, as_json: bool) -> None:
    """Start gateway, rollout controller and monitor in the background; returns when it is ready.

    Its words go to `.tidegate/run/up.log`. Repeating it changes nothing.

    \b
    Example:
      tidegate up && tidegate ps
    """
    require_serving("up")
    found = up(find_root())
    if as_json:
        print_json(found._asdict())
        return
    was = "was up already" if found.was_up else "is up"
    say(f"{found.url} {was}, process {found.process}; log .tidegate/run/up.log")
