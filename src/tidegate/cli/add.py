"""`tidegate add`: put data files and directories under version control."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.errors import UsageError
from tidegate.flow.track import Adding, Tracking, Watch, add
from tidegate.store.layout import find_root, standing

_EVERY_S = 0.2


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
    meter = Meter("adding", shown=not quiet and not as_json)
    if options["out"] or options["to_remote"]:
        from tidegate.flow.bring import Bringing, bring

        remote = Bringing(
            options["out"] or "", options["to_remote"], options["remote"], options["remote_jobs"]
        )
        done = bring(root, asked, remote, watch=meter.watch())
    else:
        done = add(root, asked, watch=meter.watch())
    meter.clear()
    if as_json:
        print_json({"added": [_fields(one) for one in done.added], "git_add": done.to_git})
    elif not quiet:
        _report(done, here, verbose=verbose)


class Meter:
    """A line on a terminal that counts the files of long work; silent otherwise."""

    def __init__(self, doing: str, *, shown: bool = True) -> None:
        self._doing = doing
        self._is_shown = shown and sys.stderr.isatty()
        self._files = self._bytes = 0
        self._due = time.monotonic() + _EVERY_S

    def watch(self) -> Watch:
        """Who the verb is told to talk to."""
        return Watch(note, self._count)

    def clear(self) -> None:
        """Take the line away."""
        if self._is_shown:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _count(self, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._is_shown and time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY_S
            text = f"\r{self._doing}: {self._files} files, {self._bytes / 1e6:.0f} MB\x1b[K"
            click.echo(text, nl=False, err=True)


def note(text: str) -> None:
    """What happens besides, on standard error."""
    click.echo(f"note:  {text}", err=True)


def say_git(paths: Sequence[str], here: str) -> None:
    """The command that hands these files over to git, if there are any."""
    if paths:
        words = " ".join(shlex.quote(seen(path, here)) for path in paths)
        say(f"next: git add {words}")


def seen(path: str, here: str) -> str:
    """A path from the root as seen from `here`."""
    return os.path.relpath(path, here) if here else path


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
