"""`tidegate commit`: record the present content of outs and data, without running."""

import sys
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import Meter, note, say_git
from tidegate.flow.commit import Committing, commit
from tidegate.flow.follow import Watch
from tidegate.pipeline.targets import Choice, address
from tidegate.store.layout import find_root, standing


@click.command("commit")
@click.argument("targets", nargs=-1)
@click.option("-f", "--force", is_flag=True, help="Take over every change without asking.")
@click.option("-d", "--with-deps", is_flag=True, help="The targets and what they need.")
@click.option("-R", "--recursive", is_flag=True, help="A directory stands for all stages inside it.")
@click.option("--no-relink", is_flag=True, help="Leave the files as they are where links are configured.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say what changed of each stage.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    """Save outs to the cache and record deps, params and outs as they are now: of everything, or of TARGETS.

    For work done by hand, or changes that do not matter. Asks before it takes over changes; without a terminal
    that needs --force.

    \b
    Example:
      tidegate commit train
      tidegate commit --force data/raw.dvc
    """
    root = find_root()
    here = standing(root)
    choice = Choice(recursive=options["recursive"], with_deps=options["with_deps"])
    asked = Committing(targets, here, choice, options["force"], relink=not options["no_relink"])
    with Meter("committing", shown=not quiet and not as_json) as meter:
        done = commit(root, asked, confirm=_confirm, watch=Watch(note, meter.count))
    if as_json:
        stages = [{"stage": key, "changed": list(changes)} for key, changes in done.stages.items()]
        print_json({"committed": stages, "git_add": done.to_git})
        return
    if quiet:
        return
    for key, changes in done.stages.items():
        detail = f"  {', '.join(changes)}" if verbose and changes else ""
        say(f"{'committed' if changes else 'unchanged':<10} {address(key, here)}{detail}")
    say_git(done.to_git, here)


def _confirm(text: str) -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and click.confirm(text)
