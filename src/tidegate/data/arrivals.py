"""Objects on their way into the cache: a part survives an interruption, and only a verified whole gets a name."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from tidegate.data.keys import is_folder, kind_of, md5_of, unsound_keys
from tidegate.data.md5 import MD5, md5_file
from tidegate.data.objects import ObjectCache, make_folder, sound_table
from tidegate.data.trip import Trip
from tidegate.errors import CorruptError
from tidegate.store.files import sync_path

_FOLDER = "tidegate/arriving"
_MODE = 0o444
_KEEP_PARTS_S = 7 * 24 * 3600
# above this many files one sync of the file system is cheaper than one for each
SYNC_EACH = 64

Verify = Callable[[str, str, str], bool]


class Arrivals(NamedTuple):
    """Where parts lie; `suffix` sets apart a process that is not alone, whose parts nobody continues."""

    cache: ObjectCache
    trip: Trip
    suffix: str

    def part(self, key: str) -> str:
        """The file in which the bytes of this key gather."""
        return f"{self.cache.folder}/{_FOLDER}/{key.replace('/', '.')}{self.suffix}"


@contextmanager
def open_arrivals(cache: ObjectCache, trip: Trip) -> Iterator[Arrivals]:
    """The place for parts; the first process continues those that an earlier one left behind."""
    import fcntl

    folder = f"{cache.folder}/{_FOLDER}"
    make_folder(cache, folder)
    handle = os.open(f"{folder}/.lock", os.O_RDWR | os.O_CREAT, 0o666)
    suffix = ""
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sweep(folder)
        except OSError:
            suffix = f".{os.getpid()}"
        yield Arrivals(cache, trip, suffix)
    finally:
        os.close(handle)


def receive(arrivals: Arrivals, key: str, verify: Verify | None = None) -> int:
    """Bring one object to its part, whole and verified; the size.

    What does not match its name is deleted and brought once more. Raises CorruptError when it does not match
    again.
    """
    into = arrivals.part(key)
    trip = arrivals.trip
    for _ in range(2):
        md5 = trip.crew.patiently(lambda: trip.remote.get(key, into, received=trip.received))
        if (verify or _is_named_right)(key, into, md5):
            return os.stat(into).st_size  # noqa: PTH116
        os.unlink(into)  # noqa: PTH108
    raise CorruptError(md5_of(key), "the remote's bytes differ from their name")


def publish(arrivals: Arrivals, key: str, *, sync: bool = False, mode: int = _MODE) -> None:
    """Give a verified part its name in the cache."""
    part = arrivals.part(key)
    if sync:
        sync_path(part)
    os.chmod(part, mode)  # noqa: PTH101
    target = f"{arrivals.cache.folder}/{key}"
    try:
        os.rename(part, target)  # noqa: PTH104
    except FileNotFoundError:
        make_folder(arrivals.cache, os.path.dirname(target))  # noqa: PTH120
        os.rename(part, target)  # noqa: PTH104


def remember_arrived(cache: ObjectCache, keys: set[str]) -> None:
    """Note that these objects were verified just now, so that nobody hashes them again."""
    from tidegate.data.sound import remember_sound

    paths = [f"{cache.folder}/{key}" for key in keys]
    remember_sound(sound_table(cache), {path: os.stat(path) for path in paths})  # noqa: PTH116


def bring(arrivals: Arrivals, keys: set[str]) -> set[str]:
    """Bring files into the cache; those that are there now and were not before."""
    sync = len(keys) <= SYNC_EACH

    def one(key: str) -> int:
        size = receive(arrivals, key)
        publish(arrivals, key, sync=sync)
        return size

    arrived = arrivals.trip.carry(one, sorted(keys))
    if arrived and not sync:
        os.sync()
    remember_arrived(arrivals.cache, arrived)
    return arrived


def bring_folders(arrivals: Arrivals, keys: set[str]) -> tuple[set[str], set[str]]:
    """Of directory objects, those that the cache has, and those that have arrived as parts."""
    folders = {key for key in keys if is_folder(key)}
    lacking = unsound_keys(arrivals.cache, folders)
    return folders - lacking, arrivals.trip.carry(lambda key: receive(arrivals, key), sorted(lacking))


def _is_named_right(key: str, into: str, md5: str) -> bool:
    kind = kind_of(key)
    actual = md5 if kind == MD5 else md5_file(into, kind)
    return actual == md5_of(key).removesuffix(".dir")


def _sweep(folder: str) -> None:
    """Parts that nobody came back for in days make room."""
    oldest = time.time() - _KEEP_PARTS_S
    with os.scandir(folder) as entries:
        old = [entry.path for entry in entries if entry.name != ".lock" and entry.stat().st_mtime < oldest]
    for path in old:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
