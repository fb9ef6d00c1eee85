"""`tidegate update`: bring imports to what their source is now."""

from typing import Any

import click

from tidegate.cli.import_url import extent_of, report
from tidegate.cli.output import json_option
from tidegate.cli.progress import Meter, note
from tidegate.flow.follow import Watch
from tidegate.flow.update import Updating, update
from tidegate.store.layout import find_root, standing


@click.command("update")
@click.argument("targets", nargs=-1, required=True)
@click.option("--rev", default="", help="Move to this branch, tag or commit of the repository.")
@click.option("-R", "--recursive", is_flag=True, help="A directory stands for all imports inside it.")
@click.option("--no-download", is_flag=True, help="Record what the source is, but do not bring it.")
@click.option("--to-remote", is_flag=True, help="Bring the data to the remote alone.")
@click.option("-r", "--remote", default="", help="With --to-remote: the remote to bring them to.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="How many transfers at once.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print hashes and sizes too.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    """Follow the sources of imports: TARGETS are their .dvc files, or what they track.

    An import whose source did not change stays as it is. Local changes to it are moved to .tidegate/aside.

    \b
    Example:
      tidegate update model.onnx.dvc --rev v1.3
      tidegate update -R data
    """
    root = find_root()
    here = standing(root)
    asked = Updating(
        targets,
        here,
        options["rev"],
        options["recursive"],
        extent_of(options),
        options["remote"],
        options["jobs"],
    )
    with Meter("updating", shown=not quiet and not as_json) as meter:
        done = update(root, asked, watch=Watch(note, meter.count))
    report(done, here, as_json=as_json, quiet=quiet, verbose=verbose, word="updated")
