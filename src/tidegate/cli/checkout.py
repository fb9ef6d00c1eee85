"""`tidegate checkout`: bring data in the workspace to their recorded state."""

import os
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.sync import note, options, quiet_options, scope_of, summary
from tidegate.errors import TidegateError
from tidegate.store.layout import find_root

if TYPE_CHECKING:
    from tidegate.flow.checkout import CheckedOut

_CHANGES = (("modified", "M", "yellow"), ("added", "A", "green"), ("deleted", "D", "red"))

checkout_options = options(
    click.option("-f", "--force", is_flag=True, help="Delete local changes instead of moving them aside."),
    click.option("--allow-missing", is_flag=True, help="Data that are nowhere are no error."),
)


@click.command("checkout")
@click.argument("targets", nargs=-1)
@click.option("--summary", "as_summary", is_flag=True, help="Print how many files changed, not which outs.")
@click.option("-d", "--with-deps", is_flag=True, help="The targets and what they need.")
@click.option("-R", "--recursive", is_flag=True, help="A directory stands for all stages inside it.")
@click.option("--relink", is_flag=True, help="Make links to the cache anew, of the configured kind.")
@checkout_options
@quiet_options
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Put the recorded data of all outs, or of TARGETS, into the workspace, out of the cache.

    Local changes that were never saved are moved to .tidegate/aside, and named. An out whose data are not in the
    cache is left as it was, and the exit code is 1 then.

    \b
    Example:
      git checkout other-branch && tidegate checkout
      tidegate checkout data/raw/2026 --force
      tidegate checkout --relink
    """
    from tidegate.flow.checkout import How, checkout_outs

    root = find_root()
    done = checkout_outs(root, scope_of(root, targets, given), How(given["force"], given["relink"], note))
    if as_json:
        print_json(as_dict(done))
    elif not quiet:
        print_changes(done, as_summary=given["as_summary"])
    fail_if_missing(done, allow=given["allow_missing"], as_json=as_json)
    if given["relink"] and not quiet and not as_json:
        say("Relinked successfully")


def print_changes(done: "CheckedOut", *, as_summary: bool = False) -> None:
    """One line an out, in DVC's letters, or how many files changed; and where local changes went."""
    for at, place in done.aside:
        note(f"{at} held changes that were not saved, they are in {os.path.relpath(place)}")
    if as_summary:
        say(summary(done.files._asdict().items()) or "No changes.")
        return
    for change, letter, color in _CHANGES:
        for path in getattr(done, change):
            say(f"{letter}\t{path}".expandtabs(), color=color)


def fail_if_missing(done: "CheckedOut", *, allow: bool, as_json: bool) -> None:
    """Name the outs that stayed as they were; that is an error unless it was allowed."""
    if not done.failed:
        return
    for path, reason in done.failed if not as_json else ():
        click.echo(f"lost:  {path}: {reason}", err=True)
    if allow:
        return
    if as_json:
        raise click.exceptions.Exit(1)
    many = f"{len(done.failed)} out{'s' * (len(done.failed) > 1)}"
    raise TidegateError(
        "checkout", f"{many} could not be brought to the recorded state", hint="tidegate pull"
    )


def as_dict(done: "CheckedOut") -> dict[str, Any]:
    """What was done, for programs."""
    return {
        "modified": list(done.modified),
        "added": list(done.added),
        "deleted": list(done.deleted),
        "stats": done.files._asdict(),
        "failed": [{"path": path, "reason": reason} for path, reason in done.failed],
        "aside": {at: str(place) for at, place in done.aside},
    }
