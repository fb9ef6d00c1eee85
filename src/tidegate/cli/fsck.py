"""`tidegate fsck`: verify the cache."""

import sys
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.sync import note, progress_line, quiet_options, size
from tidegate.errors import CorruptError
from tidegate.store.layout import find_root
from tidegate.store.refs import Revisions

if TYPE_CHECKING:
    from tidegate.flow.fsck import Checked

_NAMED = 3


@click.command("fsck")
@click.option("--fetch", is_flag=True, help="Get damaged objects again from the remote.")
@click.option("-r", "--remote", default="", help="This remote instead of the default one.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="How many transfers at once.")
@click.option("-A", "--all-commits", is_flag=True, help="Name, and fetch for, the outs of all commits.")
@quiet_options
@json_option
def command(*, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Read every object of the cache and compare it with its name; exit code 6 when something is damaged.

    Damaged objects are moved to .tidegate/aside, so that no command uses them, and the outs that need them are
    named. With --fetch they come back from the remote, and exit code 6 means that some could not.

    \b
    Example:
      tidegate fsck
      tidegate fsck --fetch
    """
    from tidegate.flow.fsck import Check, check_cache
    from tidegate.flow.sync import Trade

    report = progress_line("verifying") if sys.stderr.isatty() and not (quiet or as_json) else None
    trade = Trade(given["remote"], given["jobs"], report=report, note=note)
    done = check_cache(find_root(), Check(given["fetch"], trade, Revisions(commits=given["all_commits"])))
    if as_json:
        print_json(_as_dict(done))
        sys.exit(0 if done.is_sound else CorruptError.exit_code)
    _print(done, quiet=quiet, verbose=verbose)
    if not done.is_sound:
        many = f"{len(done.damaged)} of {done.objects} objects"
        hint = "tidegate fsck --fetch, or `tidegate repro`" if not given["fetch"] else "tidegate repro"
        raise CorruptError("cache", f"{many} were damaged and are in {done.aside} now", hint=hint)


def _print(done: "Checked", *, quiet: bool, verbose: bool) -> None:
    for one in done.damaged:
        users = ", ".join(one.needed_by if verbose else one.needed_by[:_NAMED])
        users += ", ..." * (not verbose and len(one.needed_by) > _NAMED)
        click.echo(f"damaged: {one.md5}, needed by {users or 'nothing that is tracked now'}", err=True)
    for lost in done.lost:
        click.echo(f"lost:  {lost.where}: {lost.reason}", err=True)
    if quiet:
        return
    if done.fetched:
        say(f"{done.fetched} file{'s' * (done.fetched > 1)} fetched")
    if not done.damaged:
        say(f"All {done.objects} objects are what their names say ({size(done.total_bytes)}).")


def _as_dict(done: "Checked") -> dict[str, Any]:
    return {
        "objects": done.objects,
        "bytes": done.total_bytes,
        "damaged": [{"md5": one.md5, "needed_by": list(one.needed_by)} for one in done.damaged],
        "aside": str(done.aside) if done.aside else None,
        "fetched": done.fetched,
        "lost": [{"path": one.where, "md5": one.md5, "reason": one.reason} for one in done.lost],
    }
