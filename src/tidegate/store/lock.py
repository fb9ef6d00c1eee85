"""One process at a time: an advisory lock that dies with its holder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import ConflictError

POLL_S = 0.05


@contextmanager
def hold(path: Path, *, what: str, wait_s: float = 10.0) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs.

    Raises ConflictError, naming `what` and the holder's process, when it is not free within `wait_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(handle, what=what, deadline=time.monotonic() + wait_s)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, *, what: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 20, 0).decode() or "unknown"
                raise ConflictError(
                    what, f"process {holder} is at it, one at a time", hint="wait for it"
                ) from None
            time.sleep(POLL_S)
        else:
            return
