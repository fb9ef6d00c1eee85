"""What verbs say while and after they change files: a count on a terminal, notes, and what is left to do in git."""

import os
import shlex
import sys
import time
from collections.abc import Sequence

import click

from tidegate.cli.output import say

_EVERY_S = 0.2


class Meter:
    """A line on a terminal that counts the files of long work, and goes with the block; silent otherwise."""

    def __init__(self, doing: str, *, shown: bool = True) -> None:
        self._doing = doing
        self._is_shown = shown and sys.stderr.isatty()
        self._is_drawn = False
        self._files = self._bytes = 0
        self._due = time.monotonic() + _EVERY_S

    def count(self, size: int) -> None:
        """One more file of this size is done."""
        self._files += 1
        self._bytes += size
        if self._is_shown and time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY_S
            text = f"\r{self._doing}: {self._files} files, {self._bytes / 1e6:.0f} MB\x1b[K"
            click.echo(text, nl=False, err=True)
            self._is_drawn = True

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_drawn:
            click.echo("\r\x1b[K", nl=False, err=True)


def note(text: str) -> None:
    """What happens besides, on standard error."""
    click.echo(f"note:  {text}", err=True)


def say_git(paths: Sequence[str], here: str) -> None:
    """The command that hands these files over to git, if there are any."""
    if paths:
        words = " ".join(shlex.quote(seen(path, here)) for path in paths)
        say(f"next: git add {words}")


def seen(path: str, here: str) -> str:
    """A path from the root as seen from `here`."""
    return os.path.relpath(path, here) if here else path
