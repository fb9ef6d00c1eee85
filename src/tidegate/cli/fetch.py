"""`tidegate fetch`: bring data from the remote into the cache."""

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


@click.command("fetch")
@click.argument("targets", nargs=-1)
@trade_options
@scope_options
@glob_option
@click.option("--max-size", type=click.IntRange(min=1), help="Only outs smaller than this many bytes.")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice(["metrics", "plots"]),
    help="Only outs that are metrics or plots; may be given twice.",
)
@quiet_options
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Download data into the cache: all outs, or those of TARGETS; the workspace stays as it is.

    Every byte is verified as it arrives; an interrupted download goes on where it was. What the remote lacks is
    named, and the exit code is 1 then.

    \b
    Example:
      tidegate fetch
      tidegate fetch data/raw/2026 --jobs 16
      tidegate fetch --all-branches --type metrics
    """
    from tidegate.flow.sync import fetch

    root = find_root()
    trade = trade_of(given, "fetching", quiet=quiet or as_json)
    synced = fetch(root, scope_of(root, targets, given), trade)
    finish(synced, "fetched", Voice(as_json, quiet, verbose))
