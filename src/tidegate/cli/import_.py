"""`tidegate import`: track a copy of data, or of files, from another repository."""

from typing import Any

import click

from tidegate.cli.import_url import extent_of, report
from tidegate.cli.many import Many, pairs
from tidegate.cli.output import json_option
from tidegate.cli.progress import Meter, note
from tidegate.errors import UsageError
from tidegate.flow.follow import Watch
from tidegate.flow.imports import Importing, import_repo
from tidegate.store.layout import find_root, standing


@click.command("import", cls=Many)
@click.argument("url")
@click.argument("path")
@click.option("-o", "--out", default="", help="The path here; the name over there without it.")
@click.option("-f", "--force", is_flag=True, help="Replace what is at the path.")
@click.option("--rev", default="", help="Branch, tag or commit; the default branch without it.")
@click.option("--no-exec", is_flag=True, help="Only write the .dvc file, without looking at the repository.")
@click.option("--no-download", is_flag=True, help="Record the commit, but do not bring the data.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="How many transfers at once.")
@click.option("--config", default="", help="A config file that completes that of the repository.")
@click.option("--remote", default="", help="The remote, of the repository, that has the data.")
@click.option("--remote-config", multiple=True, metavar="NAME=VALUE", help="Options for that remote.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print hashes and sizes too.")
@json_option
def command(url: str, path: str, *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    """Bring PATH from the git repository at URL, track it, and record the commit it came from.

    PATH is data that are tracked there, a part of a tracked directory, or plain files of git. A local repository
    is read at its commit, not as its files lie about.

    \b
    Example:
      tidegate import https://github.com/example/registry data/images -o data/images
      tidegate import ../models model.onnx --rev v1.2
      tidegate update model.onnx.dvc
    """
    root = find_root()
    here = standing(root)
    extent = extent_of({key: options[key] for key in ("no_exec", "no_download")})
    asked = Importing(options["out"], here, extent, jobs=options["jobs"], force=options["force"])
    repo = {"url": url, **({"rev": options["rev"]} if options["rev"] else {}), **remote_of(options)}
    with Meter("importing", shown=not quiet and not as_json) as meter:
        done = import_repo(root, path, repo, asked, watch=Watch(note, meter.count))
    report(done, here, as_json=as_json, quiet=quiet, verbose=verbose)


def remote_of(options: dict[str, Any]) -> dict[str, Any]:
    """What a .dvc file says of the other repository's remotes, in DVC's form."""
    file, name = options["config"], options["remote"]
    values = dict(pairs(options["remote_config"], "--remote-config"))
    if file and name and values:
        found = "--config, --remote and --remote-config found, expected a file, or the other two"
        raise UsageError("import", found)
    said: dict[str, Any] = {"config": file} if file else {}
    if name and values:
        return {"config": {"core": {"remote": name}, "remote": {name: values}}}
    return {**said, "remote": name or values} if name or values else said
