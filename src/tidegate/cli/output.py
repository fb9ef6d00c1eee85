"""What every command prints with: JSON for programs, short lines and tables for people, errors for both."""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click

from tidegate.errors import TidegateError

MARKS = {
    "pass": ("✓", "green"),
    "block": ("✗", "red"),
    "underpowered": ("…", "yellow"),
    "hold": ("…", "yellow"),
}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(value: Any) -> None:
    """One JSON document on standard output; records of msgspec are written as objects."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def say(text: str = "", *, color: str | None = None, bold: bool = False) -> None:
    """One line for people; colors only on a terminal and without NO_COLOR."""
    styled = click.style(text, fg=color, bold=bold) if (color or bold) and _colors() else text
    click.echo(styled)


def say_verdict(verdict: str, text: str) -> None:
    """A line that begins with the verdict's mark and word."""
    mark, color = MARKS[verdict]
    word = f"{mark} {verdict.upper()}"
    click.echo(f"{click.style(word, fg=color, bold=True) if _colors() else word}  {text}")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Left-aligned columns, as wide as needed, without borders."""
    cells = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    for number, line in enumerate(cells):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        say(text, bold=number == 0)


def print_error(error: TidegateError, *, as_json: bool) -> None:
    """The error and its hint on standard error, or as an `error` object on standard output."""
    if as_json:
        print_json({"error": error.as_dict()})
        return
    word = click.style("error:", fg="red", bold=True) if _colors(sys.stderr) else "error:"
    click.echo(f"{word} {error}", err=True)
    if error.hint:
        click.echo(f"hint:  {error.hint}", err=True)


def clock(at: float) -> str:
    """A time as UTC, `2026-11-23 14:02:11Z`."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def short(digest: str) -> str:
    """The first 12 characters of a digest, enough to recognize it."""
    return digest[:12]


def _colors(stream: Any = None) -> bool:
    return (stream or sys.stdout).isatty() and "NO_COLOR" not in os.environ


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)
