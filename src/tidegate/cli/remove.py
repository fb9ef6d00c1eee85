"""`tidegate remove`: drop stages, or stop tracking data."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import note, say_git
from tidegate.flow.follow import Watch
from tidegate.flow.remove import Removing, remove
from tidegate.pipeline.targets import address
from tidegate.store.layout import find_root, standing


@click.command("remove")
@click.argument("targets", nargs=-1, required=True)
@click.option(
    "--outs", is_flag=True, help="Delete the outs too; what the cache does not hold is moved aside."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def command(targets: tuple[str, ...], *, outs: bool, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Remove TARGETS, which are .dvc files or stages of dvc.yaml, with their records and lines in .gitignore.

    The files they track stay, unless --outs is given; the cache keeps their content.

    \b
    Example:
      tidegate remove data/raw.dvc
      tidegate remove train --outs
    """
    root = find_root()
    here = standing(root)
    done = remove(root, Removing(targets, here, outs), watch=Watch(note))
    if as_json:
        aside = {at: str(place) for at, place in done.aside.items()}
        print_json({"removed": done.keys, "aside": aside, "git_add": done.to_git})
        return
    for at, place in done.aside.items():
        shown = place.relative_to(root) if place.is_relative_to(root) else place
        note(f"{at} held changes that were not saved, they are in {shown}")
    if quiet:
        return
    for key in done.keys:
        say(f"removed    {address(key, here)}")
    say_git(done.to_git, here)
