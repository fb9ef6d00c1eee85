"""Files of the project that are links to cache objects: made so, and made private again."""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from functools import cache as cache_once
from typing import NamedTuple

from tidegate.data.hash import find_files, remember
from tidegate.data.links import SHARING, copy_file, link, working_kind
from tidegate.data.listing import ChangedError
from tidegate.data.md5 import MD5
from tidegate.data.objects import ObjectCache, make_folder, object_name
from tidegate.data.staging import open_staging, staging_beside
from tidegate.data.statcache import key_of_stat

_SHARED_FILE = 0o664
# hashing this much takes longer than a tick of the clock; for many files `remember` waits by itself
_MUCH = 16 << 20
_MANY = 1000
_TICK_S = 0.025


class Shared(NamedTuple):
    """A file in the project, its path from the out, and the object with the same content."""

    path: str
    md5: str
    key: str


def link_kind(cache: ObjectCache, beside: str) -> str:
    """The configured kind of link that works between the cache and the folder `beside`."""
    return _probed(cache.links, cache_staging(cache), beside=beside)


@cache_once
def _probed(links: tuple[str, ...], folder: str, *, beside: str) -> str:
    """The disks are asked once per process."""
    with open_staging(folder) as here, open_staging(beside) as there:
        return working_kind(links, next(here), target=next(there))


def cache_staging(cache: ObjectCache) -> str:
    """The folder in the cache, out of DVC's sight, for objects in the making."""
    folder = f"{cache.folder}/tidegate/staging"
    make_folder(cache, folder)
    return folder


def share(cache: ObjectCache, at: str, shared: Iterable[Shared], *, kind: str = MD5) -> None:
    """Replace files by links to their objects, if such links are configured; an executable file stays its own.

    Raises ChangedError for a file that is not what its key says.
    """
    beside = staging_beside(cache.files.root, at)
    linking = link_kind(cache, beside)
    if linking not in SHARING:
        return
    done = []
    with open_staging(beside) as names:
        for one in shared:
            path = full_path(cache, at, one.path)
            target = object_name(cache, one.md5, kind=kind)
            if _is_private(path, target, key=one.key, linking=linking):
                link(target, temporary := next(names), kind=linking)
                os.rename(temporary, path)  # noqa: PTH104
                done.append((one.path, one.md5))
    remember_placed(cache, at, done, kind=kind)


def remember_placed(cache: ObjectCache, at: str, entries: list[tuple[str, str]], *, kind: str) -> None:
    """Note the md5 of files just put in place, so that they are not hashed again.

    A stat proves something only after the clock's next tick: for little content it is not worth the wait.
    """
    if len(entries) < _MANY:
        size = sum(os.stat(full_path(cache, at, path)).st_size for path, _ in entries)  # noqa: PTH116
        if size >= _MUCH:
            time.sleep(_TICK_S)
    remember(cache.files, at, entries, kind=kind)


def unlink_shared(cache: ObjectCache, at: str) -> None:
    """Make every file at `at` a private, writable copy, so that writing to it does not reach the cache."""
    top = full_path(cache, at, "")
    if not os.path.exists(top):  # noqa: PTH110
        return
    inner = [one.path for one in find_files(cache.files.root, at)] if os.path.isdir(top) else [""]  # noqa: PTH112
    with open_staging(staging_beside(cache.files.root, at)) as names:
        for path in inner:
            make_private(cache, full_path(cache, at, path), names=names)


def make_private(cache: ObjectCache, path: str, *, names: Iterator[str]) -> None:
    """Make one file a private, writable copy; a file that is one already is only made writable."""
    status = os.stat(path)  # noqa: PTH116
    if not os.path.islink(path) and status.st_nlink == 1:  # noqa: PTH114
        if not status.st_mode & stat.S_IWUSR:
            os.chmod(path, status.st_mode | stat.S_IWUSR)  # noqa: PTH101
        return
    copy_file(path, temporary := next(names))
    mode = _SHARED_FILE if cache.shared else stat.S_IMODE(os.stat(temporary).st_mode)  # noqa: PTH116
    os.chmod(temporary, mode | status.st_mode & 0o111)  # noqa: PTH101
    os.rename(temporary, path)  # noqa: PTH104


def is_linked(path: str, target: str, *, kind: str) -> bool:
    """Whether the file is this kind of link to the object; a copy and a reflink look alike."""
    status = os.lstat(path)
    if kind == "symlink":
        return stat.S_ISLNK(status.st_mode) and os.readlink(path) == os.path.abspath(target)  # noqa: PTH100, PTH115
    if kind == "hardlink" and status.st_size:
        return os.path.samestat(status, os.stat(target))  # noqa: PTH116
    return not stat.S_ISLNK(status.st_mode) and status.st_nlink == 1


def full_path(cache: ObjectCache, at: str, inner: str) -> str:
    """The path of a file inside the out at `at`; of the out itself for an empty one."""
    top = os.path.join(cache.files.root, at)  # noqa: PTH118
    return f"{top}/{inner}" if inner else top


def _is_private(path: str, target: str, *, key: str, linking: str) -> bool:
    status = os.stat(path)  # noqa: PTH116
    if key_of_stat(status) != key:
        raise ChangedError(path)
    return not status.st_mode & 0o111 and not is_linked(path, target, kind=linking)
