"""`tidegate freeze`: keep stages from running, whatever changes."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import say_git
from tidegate.flow.stages import freeze
from tidegate.pipeline.targets import address
from tidegate.store.layout import find_root, standing


@click.command("freeze")
@click.argument("targets", nargs=-1, required=True)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Freeze TARGETS, stages or .dvc files: changes of their deps do not matter until they are unfrozen.

    \b
    Example:
      tidegate freeze prepare
      tidegate freeze data/raw.dvc
    """
    print_frozen(targets, frozen=True, as_json=as_json, quiet=quiet)


def print_frozen(targets: tuple[str, ...], *, frozen: bool, as_json: bool, quiet: bool) -> None:
    """Freeze the targets or let them run again, and say so."""
    root = find_root()
    here = standing(root)
    done = freeze(root, targets, here, frozen=frozen)
    word = "frozen" if frozen else "unfrozen"
    if as_json:
        print_json({word: done.keys, "git_add": done.to_git})
    elif not quiet:
        for key in done.keys:
            say(f"{word:<10} {address(key, here)}")
        say_git(done.to_git, here)
