"""`tidegate push`: store in the remote the data that it lacks."""

from typing import Any

import click

from tidegate.cli.output import json_option
from tidegate.cli.sync import (
    Voice,
    finish,
    glob_option,
    quiet_options,
    scope_of,
    scope_options,
    trade_of,
    trade_options,
)
from tidegate.store.layout import find_root


@click.command("push")
@click.argument("targets", nargs=-1)
@trade_options
@scope_options
@glob_option
@quiet_options
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Upload data to the remote: all outs, or those of TARGETS, which are stages, .dvc files or paths.

    Everything is tried: what neither the cache nor the remote has is named, and the exit code is 1 then.

    \b
    Example:
      tidegate push
      tidegate push data/raw -r archive
      tidegate push --run-cache
    """
    from tidegate.flow.sync import push

    root = find_root()
    trade = trade_of(given, "pushing", quiet=quiet or as_json)
    synced = push(root, scope_of(root, targets, given), trade)
    finish(synced, "pushed", Voice(as_json, quiet, verbose))
