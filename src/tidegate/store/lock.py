"""One process at a time: an advisory lock that dies with its holder."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import ConflictError

POLL_S = 0.05

Tell = Callable[[str], None]


@contextmanager
def hold(path: Path, *, what: str, wait_s: float = 10.0, tell: Tell | None = None) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs; `tell` hears once whom it waits for.

    Raises ConflictError, naming `what` and the holder's process, when it is not free within `wait_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + wait_s
        while not try_flock(handle):
            holder = describe(holder_of(handle))
            if time.monotonic() >= deadline:
                raise ConflictError(what, f"{holder} is at it, one at a time", hint="wait for it")
            if tell:
                tell(f"waiting for {holder}")
                tell = None
            time.sleep(POLL_S)
        write_holder(handle, str(os.getpid()))
        yield
    finally:
        os.close(handle)


def try_flock(handle: int) -> bool:
    """Take the lock on an open file if it is free; closing the file gives it back."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_holder(handle: int, text: str) -> None:
    """Say in the lock file who holds it."""
    data = text.encode()
    if os.pread(handle, len(data) + 1, 0) != data:
        os.pwrite(handle, data, 0)
        os.ftruncate(handle, len(data))


def holder_of(handle: int) -> int | None:
    """The process that a lock file names; None while it names none."""
    text = os.pread(handle, 20, 0).decode(errors="replace").strip()
    return int(text) if text.isdecimal() else None


def describe(pid: int | None, command: str = "") -> str:
    """`process 12 (dvc repro)`; without the command where it cannot be known."""
    said = shorten_command(command.split()) if command else _command_of(pid)
    return f"process {pid or 'unknown'}" + (f" ({said})" if said else "")


def shorten_command(words: list[str]) -> str:
    """A command line as it was typed: without the interpreter and the folder of the program."""
    if words and os.path.basename(words[0]).startswith("python"):  # noqa: PTH119 -- not a path to open
        words = words[1:]
    if not words or words[0].startswith("-"):
        return ""
    return " ".join([os.path.basename(words[0]), *words[1:]])  # noqa: PTH119


def _command_of(pid: int | None) -> str:
    """Read where the system shows it as a file; elsewhere the number of the process has to do."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
    return shorten_command(line.rstrip("\0").split("\0"))
