"""DVC's hash of a file or a directory: md5 of the bytes, or of the list of files.

Nothing is read twice: the md5 of a file is remembered under its stat, that of a directory under the stats of
all its files. What changes while it is read is read again, and never remembered.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from errno import ELOOP, ENOENT, ENOTDIR
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import NamedTuple

from tidegate.data.ignore import ignored_below
from tidegate.data.listing import ChangedError, Found, find_files, found_in, refuse_special, steadily
from tidegate.data.md5 import LARGE, MD5, md5_bytes, md5_file, md5_while
from tidegate.data.statcache import StatCache, TreeRows, is_settled, key_of_stat, settles_at
from tidegate.data.walk import folders_key, scan

__all__ = [
    "Files",
    "Found",
    "Hashed",
    "dir_object",
    "find_files",
    "hash_path",
    "list_tree",
    "md5_bytes",
    "md5_file",
    "remember",
]

# waiting for the clock's next tick pays when reading again would take longer than this many files
_WORTH_WAITING = 1000
_NOTHING_THERE = {ENOENT, ENOTDIR, ELOOP}
_PATIENCE_NS = 50_000_000


class Hashed(NamedTuple):
    """What dvc.lock says about a path; `nfiles` only of a directory, whose md5 ends in `.dir`.

    The kind `md5-dos2unix` is that of entries of DVC 2: text files are hashed with their line ends as LF.
    """

    md5: str
    size: int
    nfiles: int | None = None
    isexec: bool = False
    kind: str = MD5


class Files(NamedTuple):
    """The files of the project at `root`, and the memory that saves reading them twice."""

    root: Path
    memory: StatCache


def hash_path(files: Files, at: str, *, kind: str = MD5) -> Hashed | None:
    """The hash of a file or directory, `at` as seen from the root; None when nothing is there.

    Raises UsageError for what has no hash, and UnavailableError when it keeps changing while it is read.
    """
    return steadily(at, lambda: _hash_path(files, at, kind))


def list_tree(files: Files, at: str, *, kind: str = MD5) -> list[tuple[str, str]]:
    """Path and md5 of every file inside a directory, sorted by path."""
    return steadily(at, lambda: _list_hashed(files, at, find_files(files.root, at, files.memory), kind=kind))


def remember(files: Files, at: str, entries: Iterable[tuple[str, str]], *, kind: str = MD5) -> None:
    """Note the md5 of files in the directory `at` that the caller has just written and nobody changed since.

    For a single file the entry is `("", md5)`. A file written within the clock's grain is noted only if it is
    worth waiting for.
    """
    top = os.path.join(files.root, at)  # noqa: PTH118
    seen = list(_stat_each(top, entries))
    now = _wait_for_clock([key for _, _, key in seen])
    rows = open_rows(files, at, kind)
    for name, md5, key in seen:
        if is_settled(key, now):
            if name:
                rows.put_settled(name, key=key, md5=md5)
            else:
                files.memory.put_settled(f"file {kind}", at, key=key, value=md5)
    rows.save()


def dir_object(entries: Iterable[tuple[str, str]]) -> bytes:
    """The object that stands for a directory, byte for byte as DVC writes it."""
    rows = [
        f'{{"md5": "{md5}", "relpath": {encode_basestring_ascii(path)}}}' for path, md5 in sorted(entries)
    ]
    return f"[{', '.join(rows)}]".encode("ascii")


def _hash_path(files: Files, at: str, kind: str) -> Hashed | None:
    full = os.path.join(files.root, at)  # noqa: PTH118 -- this runs for every path of a no-change run
    try:
        status = os.stat(full)  # noqa: PTH116
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None
        raise
    if stat.S_ISDIR(status.st_mode):
        return _hash_tree(files, at, kind)
    refuse_special(files.root, at, status.st_mode)
    md5 = _md5_remembered(files.memory, at, full=full, key=key_of_stat(status), kind=kind)
    return Hashed(md5, status.st_size, isexec=bool(status.st_mode & stat.S_IXUSR), kind=kind)


def _md5_remembered(memory: StatCache, at: str, *, full: str, key: str, kind: str) -> str:
    known = memory.get(f"file {kind}", at, key)
    if isinstance(known, str):
        return known
    is_proof = is_settled(key, time.time_ns())
    md5 = _read(full, key, kind)
    if is_proof:
        memory.put_settled(f"file {kind}", at, key=key, value=md5)
    return md5


def _hash_tree(files: Files, at: str, kind: str) -> Hashed:
    """A directory is unchanged when the stats of all its files are; only otherwise is each one looked up."""
    top = os.path.join(files.root, at)  # noqa: PTH118
    folders = list(scan(top, ignored_below(files.root, at, files.memory)))
    key = folders_key(folders)
    is_proof = is_settled(key, time.time_ns())
    match files.memory.get(f"tree {kind}", at, key):
        case [str(md5), int(size), int(nfiles)]:
            return Hashed(md5, size, nfiles, kind=kind)
    found = found_in(files.root, at, folders)
    folders.clear()
    entries = _list_hashed(files, at, found, kind=kind)
    hashed = Hashed(
        f"{md5_bytes(dir_object(entries))}.dir", sum(one.size for one in found), len(found), kind=kind
    )
    if is_proof:
        files.memory.put_settled(f"tree {kind}", at, key=key, value=hashed[:3])
    return hashed


def _list_hashed(files: Files, at: str, found: list[Found], *, kind: str) -> list[tuple[str, str]]:
    """Path and md5 of each file; only those that the rows of this directory do not know are read."""
    rows = open_rows(files, at, kind)
    known = {one.path: rows.get(one.path, one.key) for one in found}
    unknown = [one for one in found if known[one.path] is None]
    try:
        for one, md5, is_proof in _read_all(os.path.join(files.root, at), unknown, kind):  # noqa: PTH118
            known[one.path] = md5
            if is_proof:
                rows.put_settled(one.path, key=one.key, md5=md5)
    finally:
        rows.keep(known)
        rows.save()
    return [(path, md5) for path, md5 in known.items() if md5 is not None]


def open_rows(files: Files, at: str, kind: str) -> TreeRows:
    """The remembered md5s of the files in the directory `at`."""
    name = md5_bytes(f"{kind} {at}".encode("utf-8", "surrogateescape"))
    return TreeRows(files.memory.path.parent / "trees" / f"{name}.json")


def _read_all(top: str, unknown: list[Found], kind: str) -> Iterator[tuple[Found, str, bool]]:
    """Each file with its md5 and whether its key proves it; several large ones are read at the same time."""
    start = time.time_ns()
    all_proof = all(settles_at(one.key) < start for one in unknown)

    def read(one: Found) -> tuple[Found, str, bool]:
        is_proof = all_proof or is_settled(one.key, time.time_ns())
        return one, _read(f"{top}/{one.path}", one.key, kind), is_proof

    large = [one for one in unknown if one.size >= LARGE]
    if len(large) < 2:
        yield from map(read, unknown)
        return
    from concurrent.futures import ThreadPoolExecutor

    yield from map(read, (one for one in unknown if one.size < LARGE))
    with ThreadPoolExecutor(min(len(large), os.cpu_count() or 1)) as pool:
        yield from pool.map(read, large)


def _stat_each(top: str, entries: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    for name, md5 in entries:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield name, md5, key_of_stat(os.stat(f"{top}/{name}" if name else top))  # noqa: PTH116


def _read(full: str, key: str, kind: str) -> str:
    md5 = md5_while(full, key, kind)
    if md5 is None:
        raise ChangedError(full)
    return md5


def _wait_for_clock(keys: list[str]) -> int:
    """The time now, after the clock's next tick if enough of the files were written within this one."""
    now = time.time_ns()
    settle = [settles_at(key) for key in keys]
    late = [at for at in settle if now <= at < now + _PATIENCE_NS]
    if len(late) < _WORTH_WAITING:
        return now
    time.sleep((max(late) - now) / 1e9 + 0.001)
    return time.time_ns()
