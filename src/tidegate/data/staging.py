"""A private folder for files in the making: nothing half-made ever has a real name."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from tidegate.data.links import is_same_disk
from tidegate.store.layout import Layout


def staging_beside(root: Path, at: str) -> str:
    """An existing folder on the disk that holds `at`: in the project's state unless that is another disk."""
    state = Layout(root).state / "staging"
    state.mkdir(parents=True, exist_ok=True)
    place = os.path.join(root, at)  # noqa: PTH118
    if not os.path.isdir(place):  # noqa: PTH112
        place = os.path.dirname(place)  # noqa: PTH120
        os.makedirs(place, exist_ok=True)  # noqa: PTH103
    if is_same_disk(str(state), other=place):
        return str(state)
    other = Path(place) / ".tidegate" / "staging"
    other.mkdir(parents=True, exist_ok=True)
    return str(other)


@contextmanager
def open_staging(folder: str) -> Iterator[Iterator[str]]:
    """Names for new files, in a folder of this process below the existing `folder`.

    What is left over at the end is deleted. A killed process leaves its folder behind, without the lock that
    says that it is in use; the next one deletes it.
    """
    _sweep(folder)
    own, handle = _make_own(folder)
    try:
        yield (f"{own}/{number}" for number in count())
    finally:
        _delete(own)
        os.close(handle)


def _make_own(folder: str) -> tuple[str, int]:
    """Between making and locking it, a sweep of another process may delete the folder."""
    while True:
        own = f"{folder}/{os.urandom(8).hex()}"
        os.mkdir(own)  # noqa: PTH102
        handle = os.open(own, os.O_RDONLY)
        _lock(handle)
        if os.path.isdir(own):  # noqa: PTH112
            return own, handle
        os.close(handle)


def _sweep(folder: str) -> None:
    for name in os.listdir(folder):  # noqa: PTH208
        left = f"{folder}/{name}"
        try:
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            if _lock(handle):
                _delete(left)
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Where folders cannot be locked, such as on some network disks, nothing is ever swept."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _delete(folder: str) -> None:
    try:
        os.rmdir(folder)  # noqa: PTH106
    except FileNotFoundError:
        return
    except OSError:
        import shutil

        with suppress(OSError):
            shutil.rmtree(folder)
