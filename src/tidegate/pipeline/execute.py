"""Run a stage's commands as DVC does, line by line in the user's shell; output is streamed and kept."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tidegate.errors import TidegateError
from tidegate.pipeline.stages import Stage

_SHELL_OPTIONS = {"zsh": ["--no-rcs"], "bash": ["--noprofile", "--norc"]}
_CHUNK = 1 << 16
_GRACE_S = 5.0

Output = Callable[[bytes], None]


class Terminal(NamedTuple):
    """Where output goes while it appears, whom to tell which process group is running, and what it may use."""

    output: Output
    started: Callable[[int], None]
    environment: Mapping[str, str] = {}


def run_stage(root: Path, stage: Stage, *, log: Path, terminal: Terminal) -> None:
    """Run the commands of a stage one after the other; the first that fails ends it.

    Raises TidegateError naming the stage, the exit code and the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:

        def tee(data: bytes) -> None:
            file.write(data)
            file.flush()
            terminal.output(data)

        for line in command_lines(stage):
            tee(f"> {line}\n".encode())
            code = _run_line(root, stage, line, terminal=terminal._replace(output=tee))
            if code:
                raise _failure(stage, code, log.relative_to(root) if log.is_relative_to(root) else log)


def command_lines(stage: Stage) -> list[str]:
    """What the shell is given, one call each: the items of a list, or the lines of a text."""
    return stage.cmd if isinstance(stage.cmd, list) else (stage.cmd or "").splitlines()


def stop_group(group: int) -> None:
    """End a process group and wait until it is gone, at most a few seconds."""
    deadline = time.monotonic() + _GRACE_S
    _signal_group(group, signal.SIGTERM)
    while _is_alive(group):
        if time.monotonic() > deadline - _GRACE_S / 2:
            _signal_group(group, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _run_line(root: Path, stage: Stage, line: str, *, terminal: Terminal) -> int:
    child = subprocess.Popen(
        _shell_call(line),
        cwd=root / stage.wdir,
        env={**os.environ, "DVC_ROOT": str(root), "DVC_STAGE": stage.name, **terminal.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with child, interruptible():
        try:
            terminal.started(child.pid)
            _pump(child.stdout, terminal.output)
            return child.wait()
        except BaseException:
            _stop_child(child)
            raise


def _shell_call(line: str) -> list[str]:
    shell = os.environ.get("SHELL") or "/bin/sh"
    return [shell, *_SHELL_OPTIONS.get(Path(shell).name, []), "-c", line]


def _pump(source: IO[bytes] | None, output: Output) -> None:
    while source and (data := os.read(source.fileno(), _CHUNK)):
        output(data)


def _stop_child(child: subprocess.Popen[bytes]) -> None:
    """An interrupt reaches the whole group, politely first."""
    _signal_group(child.pid, signal.SIGINT)
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        _signal_group(child.pid, signal.SIGKILL)
        child.wait()
    _signal_group(child.pid, signal.SIGKILL)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that it never leaves a stage running behind it.

    Only the main thread hears of signals; stages in other threads are ended by whoever waits for them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _failure(stage: Stage, code: int, log: Path) -> TidegateError:
    found = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return TidegateError(f"stage `{stage.key}`", f"command ended with {found}, expected 0", hint=f"see {log}")
