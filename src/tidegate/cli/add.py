"""`tidegate add`: put data files and directories under version control."""

from pathlib import Path
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import Meter, note, say_git, seen
from tidegate.errors import UsageError
from tidegate.flow.follow import Watch
from tidegate.flow.track import Adding, Tracking, add
from tidegate.store.layout import find_root, standing


@click.command("add")
@click.argument("targets", nargs=-1, required=True)
@click.option(
    "--glob", is_flag=True, help="Targets are patterns such as `data/*.csv`; ** matches directories."
)
@click.option("-o", "--out", help="Copy the target, which may be anywhere, to this path and track that.")
@click.option("--to-remote", is_flag=True, help="Send the data straight to the remote; nothing is kept here.")
@click.option("-r", "--remote", help="With --to-remote: the remote to send to.")
@click.option(
    "--remote-jobs", type=click.IntRange(min=1), help="With --to-remote: how many requests at once."
)
@click.option("--no-commit", is_flag=True, help="Record the data, but do not put them into the cache.")
@click.option("--no-relink", is_flag=True, help="Leave the files as they are where links are configured.")
@click.option(
    "-f", "--force", is_flag=True, help="Replace what is at the path of --out; take over a .dvc file."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print hashes and sizes too.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    """Track TARGETS with a .dvc file each, keep their content in the cache and their path out of git.

    Adding a path inside a tracked directory updates that directory. What did not change is not read again.

    \b
    Example:
      tidegate add data/raw
      tidegate add --glob 'data/*.csv'
      tidegate add /mnt/share/images -o data/images
    """
    _check(targets, options)
    root = find_root()
    here = standing(root)
    asked = Adding(
        targets,
        here,
        glob=options["glob"],
        commit=not options["no_commit"],
        relink=not options["no_relink"],
        force=options["force"],
    )
    with Meter("adding", shown=not quiet and not as_json) as meter:
        done = _add(root, asked, options, watch=Watch(note, meter.count))
    if as_json:
        print_json({"added": [_fields(one) for one in done.added], "git_add": done.to_git})
    elif not quiet:
        _report(done, here, verbose=verbose)


def _add(root: Path, asked: Adding, options: dict[str, Any], *, watch: Watch) -> Tracking:
    if not options["out"] and not options["to_remote"]:
        return add(root, asked, watch=watch)
    from tidegate.flow.bring import Bringing, bring

    to = Bringing(options["out"] or "", options["to_remote"], options["remote"], options["remote_jobs"])
    return bring(root, asked, to, watch=watch)


def _report(done: Tracking, here: str, *, verbose: bool) -> None:
    for one in done.added:
        what = "added" if one.changed else "unchanged"
        detail = f"  {one.hashed.md5}  {one.hashed.size} bytes" if verbose else ""
        say(f"{what:<10} {seen(one.at, here)} in {seen(one.file, here)}{detail}")
    if any(one.changed for one in done.added):
        say_git(done.to_git, here)


def _fields(one: Any) -> dict[str, Any]:
    hashed = one.hashed
    fields = {
        "path": one.at,
        "file": one.file,
        "changed": one.changed,
        "md5": hashed.md5,
        "size": hashed.size,
    }
    return fields if hashed.nfiles is None else {**fields, "nfiles": hashed.nfiles}


def _check(targets: tuple[str, ...], options: dict[str, Any]) -> None:
    """DVC's rules about which options go together."""
    sends = options["to_remote"] or options["out"]
    with_what = "--to-remote" if options["to_remote"] else "--out"
    clashes = {
        "several targets": len(targets) > 1,
        "--glob": options["glob"],
        "--no-commit": options["no_commit"],
    }
    for name, is_given in clashes.items():
        if sends and is_given:
            raise UsageError("add", f"{name} and {with_what} found, expected one target alone")
    for name in ("remote", "remote_jobs"):
        if options[name] and not options["to_remote"]:
            raise UsageError("add", f"--{name.replace('_', '-')} without --to-remote found, expected both")
