"""Putting the project's files into DVC's cache: hashed and stored in one pass, whole objects or none."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tidegate.data.execbits import write_exec
from tidegate.data.hash import Found, Hashed, dir_object, find_files, hash_path, open_rows
from tidegate.data.links import SHARING, copy_file, write_all
from tidegate.data.listing import ChangedError, steadily
from tidegate.data.md5 import LARGE, MD5, md5_bytes, md5_while
from tidegate.data.objects import (
    ObjectCache,
    has_object,
    is_sound,
    make_folder,
    missing_objects,
    object_name,
    object_path,
    open_cache,
    read_tree,
    sound_table,
    unsound_objects,
)
from tidegate.data.sharing import Shared, cache_staging, full_path, link_kind, remember_placed, share
from tidegate.data.sound import remember_sound
from tidegate.data.staging import open_staging, staging_beside
from tidegate.data.statcache import is_settled, key_of_stat
from tidegate.errors import NotFoundError
from tidegate.store.files import sync_path

__all__ = [
    "ObjectCache",
    "add_path",
    "ensure_dvc",
    "has_object",
    "is_sound",
    "missing_objects",
    "object_path",
    "open_cache",
    "read_tree",
    "unsound_objects",
]

# a few small objects are made safe against power loss; many would take too long
_SYNC_FILES = 16
_SYNC_BYTES = 64 << 20
_READ_ONLY = 0o444


class _Saving(NamedTuple):
    """One save under way: from `top`, through temporary `names`, by `linking`; `made` are the new objects."""

    cache: ObjectCache
    top: str
    kind: str
    linking: str
    names: Iterator[str]
    sync: bool
    made: dict[str, os.stat_result]


class _Saved(NamedTuple):
    found: Found
    md5: str
    is_exec: bool
    is_proof: bool
    is_linked: bool


def ensure_dvc(root: Path) -> None:
    """Make `.dvc/` as `dvc init` does, unless it is there; outside git DVC must be told so."""
    folder = root / ".dvc"
    if not (folder / "config").exists():
        from tidegate.store.files import write_atomic

        folder.mkdir(exist_ok=True)
        in_git = any((above / ".git").exists() for above in (root, *root.parents))
        write_atomic(folder / ".gitignore", "/config.local\n/tmp\n/cache\n")
        write_atomic(folder / "config", "" if in_git else "[core]\n    no_scm = True\n")


def add_path(cache: ObjectCache, at: str, *, kind: str = MD5, link: bool = True) -> Hashed:
    """Hash a file or directory and put it into the cache, reading each file once at most.

    A directory's own object comes last, so its presence implies its files. Raises NotFoundError when nothing
    is there, UnavailableError when it keeps changing meanwhile.
    """
    top = full_path(cache, at, "")
    if not os.path.exists(top):  # noqa: PTH110
        raise NotFoundError(at, "does not exist, expected a file or a directory")
    add = _add_tree if os.path.isdir(top) else _add_file  # noqa: PTH112
    return steadily(at, lambda: add(cache, at, kind=kind, link=link))


def _add_file(cache: ObjectCache, at: str, *, kind: str, link: bool) -> Hashed:
    top = full_path(cache, at, "")
    status = os.stat(top)  # noqa: PTH116
    found = Found("", status.st_size, key_of_stat(status))
    # what is large may be remembered, what is small is read faster than asked for
    is_small = status.st_size < LARGE and kind == MD5 and stat.S_ISREG(status.st_mode)
    known = None if is_small else hash_path(cache.files, at, kind=kind)
    with _saving(cache, at, kind=kind, link=link) as saving:
        saved = _save_file(saving._replace(sync=True), found, known.md5 if known else None)
    _share(saving, at, [saved])
    return Hashed(saved.md5, found.size, isexec=saved.is_exec, kind=kind)


def _add_tree(cache: ObjectCache, at: str, *, kind: str, link: bool) -> Hashed:
    found = find_files(cache.files.root, at, cache.files.memory)
    rows = open_rows(cache.files, at, kind)
    with _saving(cache, at, kind=kind, link=link) as begun:
        saving = begun._replace(sync=len(found) <= _SYNC_FILES)
        saved = [_save_file(saving, one, rows.get(one.path, one.key)) for one in found]
        listed = dir_object([(one.found.path, one.md5) for one in saved])
        md5 = f"{md5_bytes(listed)}.dir"
        if not os.path.exists(object_name(cache, md5, kind=kind)):  # noqa: PTH110
            _write_object(saving, md5, listed)
    for one in saved:
        if one.is_proof:
            rows.put_settled(one.found.path, key=one.found.key, md5=one.md5)
    rows.keep([one.path for one in found])
    rows.save()
    write_exec(cache, md5, [one.found.path for one in saved if one.is_exec])
    _share(saving, at, saved)
    return Hashed(md5, sum(one.size for one in found), len(found), kind=kind)


@contextmanager
def _saving(cache: ObjectCache, at: str, *, kind: str, link: bool) -> Iterator[_Saving]:
    """What was made in the block is known to be sound after it."""
    folder = cache_staging(cache)
    linking = link_kind(cache, staging_beside(cache.files.root, at)) if link else "copy"
    made: dict[str, os.stat_result] = {}
    with open_staging(folder) as names:
        try:
            yield _Saving(cache, full_path(cache, at, ""), kind, linking, names, sync=False, made=made)
        finally:
            remember_sound(sound_table(cache), made)


def _save_file(saving: _Saving, one: Found, md5: str | None) -> _Saved:
    """Save one file whose md5 may be known; ChangedError when it is no longer what was found."""
    source = f"{saving.top}/{one.path}" if one.path else saving.top
    is_proof = is_settled(one.key, time.time_ns())
    data = None
    if md5 is None and one.size < LARGE and saving.kind == MD5:
        data = _read(source, one.size)
        md5 = md5_bytes(data)
    elif md5 is None:
        md5 = md5_while(source, one.key, saving.kind)
    status = os.stat(source)  # noqa: PTH116
    if md5 is None or key_of_stat(status) != one.key:
        raise ChangedError(source)
    is_linked = False
    if not os.path.exists(object_name(saving.cache, md5, kind=saving.kind)):  # noqa: PTH110
        is_linked = saving.linking == "hardlink" and _link_object(saving, source, md5=md5, before=status)
        if not is_linked:
            _copy_object(saving, source, md5=md5, one=one) if data is None else _write_object(
                saving, md5, data
            )
    if saving.cache.stored:
        saving.cache.stored(one.size)
    return _Saved(one, md5, bool(status.st_mode & stat.S_IXUSR), is_proof and not is_linked, is_linked)


def _read(source: str, size: int) -> bytes:
    handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    try:
        data = os.read(handle, size + 1)
        while len(data) < size and (more := os.read(handle, size + 1 - len(data))):
            data += more
        return data
    finally:
        os.close(handle)


def _write_object(saving: _Saving, md5: str, data: bytes) -> None:
    temporary = next(saving.names)
    writer = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)
    try:
        write_all(writer, data)
        if saving.sync:
            os.fsync(writer)
    finally:
        os.close(writer)
    _put(saving, temporary, md5)


def _copy_object(saving: _Saving, source: str, *, md5: str, one: Found) -> None:
    temporary = next(saving.names)
    copy_file(source, temporary, _READ_ONLY)
    if key_of_stat(os.stat(source)) != one.key:  # noqa: PTH116
        raise ChangedError(source)
    if saving.sync and one.size <= _SYNC_BYTES:
        sync_path(temporary)
    _put(saving, temporary, md5)


def _link_object(saving: _Saving, source: str, *, md5: str, before: os.stat_result) -> bool:
    """Let the cache share the project's own file, which saves copying it; not every file can be shared."""
    if os.path.islink(source) or before.st_nlink > 1 or before.st_mode & 0o111 or not before.st_size:  # noqa: PTH114
        return False
    temporary = next(saving.names)
    try:
        os.link(source, temporary)
        os.chmod(temporary, _READ_ONLY)  # noqa: PTH101
    except OSError:
        return False
    after = os.stat(temporary)  # noqa: PTH116
    if _content_key(after) != _content_key(before):
        raise ChangedError(source)
    _put(saving, temporary, md5)
    return True


def _content_key(status: os.stat_result) -> tuple[int, int, int]:
    """Without ctime, which linking changes."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _put(saving: _Saving, temporary: str, md5: str) -> None:
    """Give an object that is complete its name."""
    path = object_name(saving.cache, md5, kind=saving.kind)
    try:
        os.rename(temporary, path)  # noqa: PTH104
    except FileNotFoundError:
        make_folder(saving.cache, os.path.dirname(path))  # noqa: PTH120
        os.rename(temporary, path)  # noqa: PTH104
    status = os.stat(path)  # noqa: PTH116
    if stat.S_IMODE(status.st_mode) != _READ_ONLY:
        os.chmod(path, _READ_ONLY)  # noqa: PTH101
        status = os.stat(path)  # noqa: PTH116
    saving.made[path] = status


def _share(saving: _Saving, at: str, saved: list[_Saved]) -> None:
    """Make the project's files links to the cache, where such are configured."""
    if saving.linking not in SHARING:
        return
    left = [Shared(one.found.path, one.md5, one.found.key) for one in saved if not one.is_linked]
    share(saving.cache, at, left, kind=saving.kind)
    linked = [(one.found.path, one.md5) for one in saved if one.is_linked]
    remember_placed(saving.cache, at, linked, kind=saving.kind)
