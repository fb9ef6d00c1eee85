"""`tidegate init`: the recommended project layout."""

from pathlib import Path

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.flow.scaffold import scaffold

TEMPLATES = Path(__file__).with_name("scaffold")


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--example", type=click.Choice(["digits"]), help="Fill the layout with a working example.")
@json_option
def command(folder: Path, example: str | None, *, as_json: bool) -> None:
    """Write the recommended project layout into DIR, by default the current folder.

    Adds only what is missing and never overwrites a file. Makes the first commit where there is none;
    a repository that has commits is left for you to commit.

    \b
    Example:
      tidegate init digits --example digits
      tidegate init
    """
    done = scaffold(folder, TEMPLATES, example="digits" if example else None)
    if as_json:
        print_json(done)
        return
    for mark, paths in (("wrote", done.written), ("kept", done.kept)):
        for path in paths:
            say(f"  {mark:<5}  {path}")
    commit = ", first commit made" if done.committed else ""
    say(f"{done.name}: {len(done.written)} written, {len(done.kept)} kept{commit}")
    say(f"next: {_next_step(folder, example)}")


def _next_step(folder: Path, example: str | None) -> str:
    steps = [] if folder == Path() else [f"cd {folder}"]
    if not example:
        steps.append("cp TABLE data/raw/data.csv")
    return " && ".join([*steps, "tidegate repro"])
