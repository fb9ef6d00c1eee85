"""`tidegate unprotect`: make files that are links to the cache private and writable."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import seen
from tidegate.flow.commit import unprotect
from tidegate.store.layout import find_root, standing


@click.command("unprotect")
@click.argument("targets", nargs=-1, required=True)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Make TARGETS, files or directories that share their content with the cache, safe to edit.

    Needed only where cache.type is hardlink or symlink; other files are made writable.

    \b
    Example:
      tidegate unprotect data/raw
    """
    root = find_root()
    here = standing(root)
    paths = unprotect(root, targets, here)
    if as_json:
        print_json({"unprotected": paths})
    elif not quiet:
        for at in paths:
            say(f"unprotected {seen(at, here)}")
