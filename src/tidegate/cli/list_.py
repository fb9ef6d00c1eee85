"""`tidegate list`: the files and data of a repository."""

import json
from collections.abc import Iterator
from typing import Any

import click

from tidegate.cli.import_ import remote_of
from tidegate.cli.many import Many
from tidegate.cli.output import json_option
from tidegate.errors import UsageError
from tidegate.flow.listing import Asked, Node, Tree, as_dict, list_repository, list_tree

_UNITS = ("", "k", "M", "G", "T", "P", "E", "Z")


@click.command("list", cls=Many)
@click.argument("url")
@click.argument("path", default="")
@click.option("-R", "--recursive", is_flag=True, help="All files below the path.")
@click.option("-T", "--tree", "as_tree", is_flag=True, help="Draw a tree.")
@click.option("-L", "--level", type=click.IntRange(min=0), help="With -R or -T: not deeper than this.")
@click.option("--dvc-only", is_flag=True, help="Only tracked data.")
@click.option("--rev", default="", help="Branch, tag or commit; a local repository's workspace without it.")
@click.option("--config", default="", help="A config file that completes that of the repository.")
@click.option("--remote", default="", help="The remote, of the repository, that has the data.")
@click.option("--remote-config", multiple=True, metavar="NAME=VALUE", help="Options for that remote.")
@click.option("--size", is_flag=True, help="Show sizes.")
@click.option("--show-hash", is_flag=True, help="Show hashes.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@json_option
def command(url: str, path: str, *, as_json: bool, as_tree: bool, quiet: bool, **options: Any) -> None:
    """List what lies at PATH of the repository at URL: files of git and data that are tracked.

    URL is a directory or the address of a git repository. With --json prints what `dvc list --json` prints.

    \b
    Example:
      tidegate list . -R --dvc-only
      tidegate list https://github.com/example/registry data --rev v1 --size
    """
    if as_tree and as_json:
        raise UsageError("list", "--tree and --json found, expected one of them")
    asked = Asked(
        path,
        options["rev"],
        options["recursive"],
        options["level"],
        options["dvc_only"],
        remote_of(options),
    )
    if as_tree:
        rows = list(_drawn(list_tree(url, asked)))
    else:
        found = list_repository(url, asked)
        rows = list(found.items())
    if quiet:
        return
    if as_json:
        click.echo(json.dumps([as_dict(name, node) for name, node in rows]))
        return
    for line in table(rows, with_size=options["size"], with_hash=options["show_hash"]):
        click.echo(line)


def table(rows: list[tuple[str, Node]], *, with_size: bool, with_hash: bool) -> Iterator[str]:
    """Size, hash and name in columns."""
    sizes = [_size(node) for _, node in rows]
    width = max(map(len, sizes), default=0)
    hashes = [node.md5 or "-" for _, node in rows]
    widest = max(map(len, hashes), default=0)
    for (name, _), size, md5 in zip(rows, sizes, hashes, strict=True):
        cells = [size.rjust(width)] * with_size + [md5.ljust(widest)] * with_hash + [name]
        yield "  ".join(cells)


def _drawn(tree: Tree, before: str = "", *, is_top: bool = True) -> Iterator[tuple[str, Node]]:
    if is_top:
        yield tree.name, tree.node
    for number, inner in enumerate(tree.inside, 1):
        is_last = number == len(tree.inside)
        yield f"{before}{'└── ' if is_last else '├── '}{inner.name}", inner.node
        yield from _drawn(inner, before + ("    " if is_last else "│   "), is_top=False)


def _size(node: Node) -> str:
    if node.size is None or (node.size <= 0 and node.isdir):
        return ""
    if node.size < 1024:
        return str(node.size)
    amount = float(node.size)
    for unit in _UNITS:
        if amount < 999.5:
            digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
            return f"{amount:.{digits}f}{unit}"
        amount /= 1024
    return f"{amount:.1f}Y"
