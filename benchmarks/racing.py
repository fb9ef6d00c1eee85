"""What the pipeline benchmarks share: the two programs, one measured call, and a race of several rounds."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[1]
TIDEGATE, DVC = "tidegate", "dvc"
INFINITE = float("inf")


class Spent(NamedTuple):
    """Seconds of one call, its children included."""

    user: float
    sys: float
    wall: float

    @property
    def cpu(self) -> float:
        """What the machine did for it."""
        return self.user + self.sys


class Tool(NamedTuple):
    """A program, by name and path."""

    name: str
    program: Path

    @property
    def python(self) -> Path:
        """The interpreter it runs in."""
        return self.program.with_name("python")


Folder = Callable[[Tool], Path]
Ready = Callable[[Tool], object]


class Bench(NamedTuple):
    """The programs to compare, a folder for what they work on, and how often each is timed."""

    tools: tuple[Tool, ...]
    folder: Path
    rounds: int

    @property
    def ours(self) -> Tool:
        """The first, which the others are compared with."""
        return self.tools[0]

    def fresh(self, name: str) -> Path:
        """An empty folder, whatever was there."""
        folder = self.folder / name
        self.discard(folder)
        folder.mkdir(parents=True)
        return folder

    def discard(self, *paths: Path) -> None:
        """Put away what is there; it is deleted at the very end.

        For minutes after files were deleted, ext4 takes 30 times as long to make new ones.
        """
        away = self.folder / "away"
        away.mkdir(exist_ok=True)
        for path in paths:
            if path.exists():
                path.rename(away / f"{path.name}-{time.time_ns()}")


def spend(words: list[str], cwd: Path, *, env: dict[str, str] | None = None) -> Spent:
    """Run a command to its end; it must succeed.

    Each project has a site cache of DVC's to itself, and every command compiled bytecode and the same shell.
    """
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    own = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": f"{cwd}.site", "SHELL": "/bin/sh"}
    with tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = subprocess.call(
            words, cwd=cwd, env={**plain, **own, **(env or {})}, stdout=subprocess.DEVNULL, stderr=errors
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter() - began
        if code:
            errors.seek(0)
            sys.exit(f"{' '.join(words)} in {cwd}: exit code {code}\n{errors.read()}")
    return Spent(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, wall)


def race(bench: Bench, words: list[str], folder: Folder, *, ready: Ready | None = None) -> dict[str, Spent]:
    """The call of least CPU of each tool. They take turns; `ready` makes the state that each round begins with.

    Without one the first round, which may find things cold, does not count.
    """
    best: dict[str, Spent] = {}
    for number in range(bench.rounds if ready else bench.rounds + 1):
        for tool in bench.tools:
            if ready:
                ready(tool)
            spent = spend([str(tool.program), *words], folder(tool))
            if ready or number:
                best[tool.name] = min(best.get(tool.name, spent), spent, key=lambda one: one.cpu)
    return best


def head(title: str) -> None:
    """Begin a table."""
    print(f"\n{title}")
    columns = "".join(f" | {name + ' CPU':>12} =  user + sys    wall" for name in (TIDEGATE, DVC))
    print(f"  {'':<34}{columns} |   CPU   wall")


def line(title: str, best: dict[str, Spent], note: str = "") -> None:
    """One row of the table: both tools, and how many times as much DVC takes."""
    cells = "".join(
        f" | {one.cpu:12.3f} = {one.user:5.2f} +{one.sys:5.2f} {one.wall:7.3f}"
        for one in (best[TIDEGATE], best[DVC])
    )
    cpu, wall = (
        f"{getattr(best[DVC], name) / getattr(best[TIDEGATE], name):5.1f}x" for name in ("cpu", "wall")
    )
    print(f"  {title:<34}{cells} | {cpu} {wall}  {note}".rstrip(), flush=True)
