"""`tidegate pull`: fetch data from the remote and put them into the workspace."""

from typing import TYPE_CHECKING, Any

import click

from tidegate.cli import sync
from tidegate.cli.checkout import as_dict, checkout_options, print_changes
from tidegate.cli.output import json_option, print_json, say
from tidegate.errors import TidegateError
from tidegate.store.layout import find_root

if TYPE_CHECKING:
    from tidegate.flow.checkout import CheckedOut
    from tidegate.flow.sync import Synced


@click.command("pull")
@click.argument("targets", nargs=-1)
@sync.trade_options
@sync.scope_options
@sync.glob_option
@checkout_options
@sync.quiet_options
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Fetch data and check them out: all outs, or those of TARGETS.

    Everything that can be had is put in place. What the remote lacks is named, and the exit code is 1 then, unless
    --allow-missing says that this is fine. Local changes are moved to .tidegate/aside.

    \b
    Example:
      git pull && tidegate pull
      tidegate pull train data/raw/2026
      tidegate pull --allow-missing
    """
    from tidegate.flow.checkout import How
    from tidegate.flow.sync import pull

    root = find_root()
    trade = sync.trade_of(given, "fetching", quiet=quiet or as_json)
    how = How(given["force"], tell=sync.note)
    synced, done = pull(root, sync.scope_of(root, targets, given), trade, how=how)
    if as_json:
        print_json({**sync.as_dict(synced, "fetched"), **as_dict(done)})
    else:
        _print(synced, done, quiet=quiet, verbose=verbose)
    if (synced.lost or done.failed) and not given["allow_missing"]:
        _fail(synced, done, as_json=as_json)


def _print(synced: "Synced", done: "CheckedOut", *, quiet: bool, verbose: bool) -> None:
    sync.print_lost(synced, verbose=verbose)
    told = {lost.where for lost in synced.lost}
    for path, reason in done.failed:
        if path.rstrip("/") not in told:
            click.echo(f"lost:  {path}: {reason}", err=True)
    if quiet:
        return
    print_changes(done)
    counts = [("fetched", synced.moved), *done.files._asdict().items()]
    told_counts = sync.summary(counts)
    if told_counts or not (synced.lost or done.failed):
        say(told_counts or sync.UP_TO_DATE)


def _fail(synced: "Synced", done: "CheckedOut", *, as_json: bool) -> None:
    if as_json:
        raise click.exceptions.Exit(1)
    if synced.lost:
        raise sync.incomplete("fetched", len(synced.lost))
    many = f"{len(done.failed)} out{'s' * (len(done.failed) > 1)}"
    raise TidegateError(
        "checkout", f"{many} could not be brought to the recorded state", hint="tidegate fetch"
    )
