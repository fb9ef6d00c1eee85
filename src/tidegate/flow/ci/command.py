"""Run a command for a check: its output goes to a log, it ends in time, and nothing of it is left behind."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import NotFoundError
from tidegate.pipeline.execute import interruptible
from tidegate.project import Seconds, write_unit

GRACE_S = 5.0

_COLORS = re.compile(r"\x1b\[[0-9;]*m")


class Command(NamedTuple):
    """Words to run, and how they are shown and told apart: alike on every machine."""

    words: tuple[str, ...]
    shown: str


class Bench(NamedTuple):
    """Where commands run: the project, the log that they write to, and how long each may take."""

    root: Path
    log: Path
    limit: Seconds


class Ran(NamedTuple):
    """How a command ended, `code` is None when it took too long, and what it printed."""

    code: int | None
    output: str
    shown: str
    limit: Seconds

    @property
    def fault(self) -> str:
        """What went wrong, in words; the last line that was printed says most."""
        if self.code is None:
            return f"`{self.shown}` took longer than {write_unit(self.limit)}, see ci.timeout"
        lines = self.output.strip().splitlines()
        last = f": {lines[-1].strip()}" if lines else ""
        return f"`{self.shown}` ended with {_ending(self.code)}{last}"


def shell(line: str) -> Command:
    """A command line of the user's; one shell for all, so that a laptop and a CI machine read it alike."""
    return Command(("/bin/sh", "-c", line), line)


def run_command(bench: Bench, command: Command, environment: Mapping[str, str] = {}) -> Ran:
    """Run it with the whole process group ended afterwards, in time or not, by Ctrl-C and SIGTERM as well.

    Raises NotFoundError for a program that is not there.
    """
    bench.log.parent.mkdir(parents=True, exist_ok=True)
    with bench.log.open("ab") as log, interruptible():
        log.write(f"> {command.shown}\n".encode())
        log.flush()
        start = log.tell()
        child = _start(bench.root, command, log.fileno(), environment)
        try:
            code: int | None = child.wait(bench.limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(child)
    with bench.log.open("rb") as log:
        log.seek(start)
        output = _COLORS.sub("", log.read().decode("utf-8", "replace"))
    return Ran(code, output, command.shown, bench.limit)


def _start(root: Path, command: Command, log: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command.words,
            cwd=root,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError:
        found = "no such program, expected it to be installed"
        raise NotFoundError(command.words[0], found, hint=f"{command.words[0]} --version") from None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Politely first; what the command itself left behind goes too."""
    deadline = time.monotonic() + GRACE_S
    _signal(child.pid, signal.SIGTERM)
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _signal(child.pid, signal.SIGKILL)
        child.wait()
    _signal(child.pid, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
