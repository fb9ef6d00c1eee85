"""`tidegate import-url`: track a copy of data from a URL."""

from typing import Any

import click

from tidegate.cli.many import Many, pairs
from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import Meter, note, say_git, seen
from tidegate.errors import UsageError
from tidegate.flow.follow import Watch
from tidegate.flow.imports import Done, Extent, Importing, import_url
from tidegate.store.layout import find_root, standing


@click.command("import-url", cls=Many)
@click.argument("url")
@click.argument("out", required=False)
@click.option("--to-remote", is_flag=True, help="Bring the data to the remote alone; nothing is kept here.")
@click.option("-r", "--remote", default="", help="With --to-remote: the remote to bring them to.")
@click.option("--no-exec", is_flag=True, help="Only write the .dvc file, without looking at the URL.")
@click.option("--no-download", is_flag=True, help="Record what the URL holds, but do not bring it.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="How many transfers at once.")
@click.option("-f", "--force", is_flag=True, help="Replace what is at the path.")
@click.option("--version-aware", is_flag=True, help="Not supported: use `dvc` for versions of a cloud.")
@click.option("--fs-config", multiple=True, metavar="NAME=VALUE", help="Options to reach the URL.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print hashes and sizes too.")
@json_option
def command(url: str, out: str | None, *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    """Bring what lies at URL to OUT, track it, and record where it came from.

    URL is a path, http(s)://, s3://, gs://, azure://, ssh:// or remote://NAME/PATH of a configured remote. What is
    recorded of the source tells `tidegate update` whether it changed.

    \b
    Example:
      tidegate import-url https://example.com/data.csv data/
      tidegate import-url s3://bucket/images data/images
      tidegate update data/data.csv.dvc
    """
    if options["version_aware"]:
        raise UsageError(
            "--version-aware", "versions of a cloud are not supported", hint="use `dvc` for this"
        )
    root = find_root()
    here = standing(root)
    extent = extent_of(options)
    asked = Importing(out or "", here, extent, options["remote"], options["jobs"], options["force"])
    config = pairs(options["fs_config"], "--fs-config")
    with Meter("importing", shown=not quiet and not as_json) as meter:
        done = import_url(root, url, asked, options=config, watch=Watch(note, meter.count))
    report(done, here, as_json=as_json, quiet=quiet, verbose=verbose)


def extent_of(options: dict[str, Any]) -> Extent:
    """How much is to be done; UsageError for options that exclude each other."""
    names: tuple[Extent, ...] = ("no_exec", "no_download", "to_remote")
    given = [name for name in names if options.get(name)]
    if len(given) > 1:
        both = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError("import", f"{both} found, expected one of them")
    if options.get("remote") and "to_remote" in options and not options["to_remote"]:
        raise UsageError("import", "--remote without --to-remote found, expected both")
    return given[0] if given else "all"


def report(
    done: Done, here: str, *, as_json: bool, quiet: bool, verbose: bool, word: str = "imported"
) -> None:
    """One line for each import, and the command that hands their files over to git."""
    if as_json:
        print_json({word: [_fields(one) for one in done.imported], "git_add": done.to_git})
    elif not quiet:
        for one in done.imported:
            what = word if one.changed else "unchanged"
            detail = f"  {one.hashed.md5}  {one.hashed.size} bytes" if verbose and one.hashed else ""
            say(f"{what:<10} {seen(one.at, here)} in {seen(one.file, here)}{detail}")
        say_git(done.to_git, here)


def _fields(one: Any) -> dict[str, Any]:
    content = {"md5": one.hashed.md5, "size": one.hashed.size} if one.hashed else {}
    return {"path": one.at, "file": one.file, "changed": one.changed, **content}
