"""`tidegate status`: which stages and data changed, and why; runs nothing."""

import sys
from pathlib import Path
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.repro import describe
from tidegate.cli.start import fresh
from tidegate.pipeline.job import Request
from tidegate.pipeline.targets import Choice
from tidegate.store.layout import find_root, standing


@click.command("status")
@click.argument("targets", nargs=-1)
@click.option("-c", "--cloud", is_flag=True, help="Compare the cache with the remote instead.")
@click.option("-r", "--remote", help="Compare the cache with this remote.")
@click.option("-a", "--all-branches", is_flag=True, help="With --cloud: data of all branches.")
@click.option("-T", "--all-tags", is_flag=True, help="With --cloud: data of all tags.")
@click.option("-A", "--all-commits", is_flag=True, help="With --cloud: data of all commits.")
@click.option("-d", "--with-deps", is_flag=True, help="The targets and what they need.")
@click.option("-R", "--recursive", is_flag=True, help="A directory stands for all stages inside it.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="With --cloud: how many requests at once.")
@click.option("--no-updates", is_flag=True, help="Do not look for newer versions of imports.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Print nothing; exit code 1 when something changed, without --json."
)
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> None:
    """Show what changed: all stages and data, or TARGETS. Exit code 0 either way, without --quiet.

    With --json prints what `dvc status --json` prints.

    \b
    Example:
      tidegate status
      tidegate status train --json
      tidegate status --cloud
    """
    root = find_root()
    choice = Choice(recursive=options["recursive"], with_deps=options["with_deps"])
    request = Request(words=targets, here=standing(root), choice=choice)
    if options["cloud"] or options["remote"]:
        from tidegate.cli.sync import print_cloud_status

        print_cloud_status(root, request, as_json=as_json, quiet=quiet, **options)
        return
    if as_json or quiet:
        from tidegate.pipeline.reproduce import states

        found = states(root, request)
        if not options["no_updates"]:
            found = _with_updates(root, request, found)
        if as_json:
            print_json(found)
        sys.exit(1 if quiet and found and not as_json else 0)
    from tidegate.pipeline.reproduce import look_over

    steps = look_over(root, request)
    stale = [step for step in steps if step.reasons]
    for step in stale:
        say(describe(step, request.here), color="yellow")
    say(f"{len(stale)} of {len(steps)} stages are stale" if stale else fresh(len(steps)))


def _with_updates(root: Path, request: Request, found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Asks the repositories of imports whether there is something newer; without imports nothing is asked."""
    from tidegate.pipeline.reproduce import imports_among

    keys = imports_among(root, request)
    if not keys:
        return found
    from tidegate.flow.update import with_updates

    return with_updates(root, found, keys, request.here)
