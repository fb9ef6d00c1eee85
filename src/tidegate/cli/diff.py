"""`tidegate diff`: which tracked data differ between commits, or from the workspace."""

import json
from typing import Any

import click

from tidegate.cli.many import Many
from tidegate.cli.output import json_option, say
from tidegate.flow.diff import Rows, diff
from tidegate.store.layout import find_root, standing

_COLORS = {
    "added": "green",
    "deleted": "red",
    "renamed": "green",
    "modified": "yellow",
    "not in cache": "yellow",
}


@click.command("diff", cls=Many)
@click.argument("a_rev", default="HEAD")
@click.argument("b_rev", default="")
@click.option("--targets", multiple=True, metavar="PATH...", help="Only these tracked paths.")
@click.option("--show-hash", is_flag=True, help="Show hashes too.")
@click.option("--md", "markdown", is_flag=True, help="Print a table in Markdown.")
@click.option("--hide-missing", is_flag=True, help="Do not name what the cache lacks.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@json_option
def command(
    a_rev: str, b_rev: str, *, targets: tuple[str, ...], as_json: bool, quiet: bool, **options: Any
) -> None:
    """Compare tracked data in commit A_REV, by default HEAD, with those in B_REV, by default the workspace.

    With --json prints what `dvc diff --json` prints.

    \b
    Example:
      tidegate diff
      tidegate diff v1 v2 --targets data/images
      tidegate diff main --md --show-hash
    """
    root = find_root()
    rows = diff(root, a_rev, b_rev, words=targets, here=standing(root))
    hide = bool(b_rev) or options["hide_missing"]
    if hide:
        rows.pop("not in cache", None)
    show_hash = options["show_hash"]
    if quiet:
        return
    if as_json:
        plain = rows if show_hash else {state: [_bare(row) for row in found] for state, found in rows.items()}
        click.echo(json.dumps(plain))
    elif options["markdown"]:
        say(markdown(rows, show_hash=show_hash))
    elif rows:
        _print(rows, show_hash=show_hash)


def markdown(rows: Rows, *, show_hash: bool) -> str:
    """A table as GitHub renders it."""
    heads = ["Status", "Hash", "Path"] if show_hash else ["Status", "Path"]
    cells = [
        [state, _digest(row["hash"]), _path(row)] if show_hash else [state, _path(row)]
        for state in _COLORS
        for row in rows.get(state, [])
    ]
    widths = [max([len(head) + 2, *(len(line[i]) for line in cells)]) for i, head in enumerate(heads)]
    rule = "|".join("-" * (width + 2) for width in widths)
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in [heads, *cells]
    ]
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])]) + "\n"


def _print(rows: Rows, *, show_hash: bool) -> None:
    for state, color in _COLORS.items():
        if not rows.get(state):
            continue
        say(f"{state.capitalize()}:", color=color)
        for row in rows[state]:
            digest = f"{_digest(row['hash'])}  " if show_hash and row["hash"] else ""
            say(f"    {digest}{_path(row)}")
        say()
    counts = {state: sum(not _path(row).endswith("/") for row in rows.get(state, [])) for state in _COLORS}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    if told:
        say(f"files summary: {told}")


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    return {"path": row["path"]}


def _path(row: dict[str, Any]) -> str:
    path = row["path"]
    return f"{path['old']} -> {path['new']}" if isinstance(path, dict) else str(path)


def _digest(hashed: Any) -> str:
    if isinstance(hashed, dict):
        return f"{_digest(hashed['old'])}..{_digest(hashed['new'])}"
    return str(hashed or "")[:8]
