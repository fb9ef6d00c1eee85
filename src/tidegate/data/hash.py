"""DVC's hash of a file or a directory: md5 of the bytes, or of the list of files."""

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tidegate.data.ignore import IGNORE_FILE, ignored_below
from tidegate.data.statcache import StatCache, key_of_stat
from tidegate.errors import UsageError


class Hashed(NamedTuple):
    """What dvc.lock says about a path; `nfiles` only of a directory, whose md5 ends in `.dir`.

    The kind `md5-dos2unix` is that of entries of DVC 2: text files are hashed with their line ends as LF.
    """

    md5: str
    size: int
    nfiles: int | None = None
    isexec: bool = False
    kind: str = "md5"


class Found(NamedTuple):
    """A file inside a directory: its path from there and the stat of its content."""

    path: str
    stat: os.stat_result


class Files(NamedTuple):
    """The files of the project at `root`, and the memory that saves reading them twice."""

    root: Path
    memory: StatCache


def hash_path(files: Files, path: str, *, kind: str = "md5") -> Hashed | None:
    """The hash of a file or directory at `path` from the root; None when nothing is there."""
    full = os.path.join(files.root, path)  # noqa: PTH118 -- this runs for every path of a no-change run
    try:
        status = os.stat(full)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(status.st_mode):
        return _hash_tree(files, path)
    md5 = _md5_remembered(files.memory, path, full, key=key_of_stat(status))
    return Hashed(md5, status.st_size, isexec=bool(status.st_mode & stat.S_IXUSR), kind=kind)


def list_tree(files: Files, path: str, *, kind: str = "md5") -> list[tuple[str, str]]:
    """Path and md5 of every file inside a directory, sorted by path."""
    return _list_hashed(files, path, find_files(files.root, path))


def dir_object(entries: Iterable[tuple[str, str]]) -> bytes:
    """The object that stands for a directory, byte for byte as DVC writes it."""
    listed = [{"md5": md5, "relpath": path} for path, md5 in sorted(entries)]
    return json.dumps(listed).encode()


def md5_bytes(data: bytes) -> str:
    """The md5 of bytes, in hexadecimal; DVC's name for content, not a protection."""
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_file(path: Path) -> str:
    """The md5 of a file's bytes, in hexadecimal."""
    import hashlib

    with path.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def find_files(root: Path, folder: str) -> list[Found]:
    """Every file in a directory that DVC tracks: links to files followed, links to directories left out.

    Raises UsageError for a broken link, and for a `.dvcignore` inside, which DVC refuses as well.
    """
    top = os.path.join(root, folder)  # noqa: PTH118
    ignored = ignored_below(root, folder)
    found, inner = [], [""]
    while inner:
        inside = inner.pop()
        for entry in _entries(f"{top}/{inside}"):
            path = f"{inside}{entry.name}"
            is_dir = entry.is_dir()
            if ignored(f"{folder}/{path}" + "/" * is_dir):
                continue
            if not is_dir:
                found.append(Found(path, _stat_of(entry, folder)))
            elif not entry.is_symlink():
                inner.append(f"{path}/")
    return sorted(found)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _stat_of(entry: os.DirEntry[str], folder: str) -> os.stat_result:
    if entry.name == IGNORE_FILE:
        raise UsageError(folder, f"{IGNORE_FILE} inside a tracked directory, expected it above")
    try:
        return entry.stat()
    except FileNotFoundError:
        raise UsageError(folder, f"`{entry.name}` is a broken link, expected a file") from None


def _hash_tree(files: Files, path: str) -> Hashed:
    """A directory is unchanged when the stats of all its files are; only otherwise is each one looked up."""
    found = find_files(files.root, path)
    signature = _signature(found)
    known = files.memory.get("tree", path, signature)
    if known:
        return Hashed(*known)
    entries = _list_hashed(files, path, found)
    md5 = md5_bytes(dir_object(entries)) + ".dir"
    hashed = Hashed(md5, sum(one.stat.st_size for one in found), len(found))
    files.memory.put("tree", path, key=signature, value=hashed[:3])
    return hashed


def _signature(found: list[Found]) -> str:
    """A key in the form of key_of_stat: count, newest times, and a digest of all the stats."""
    import hashlib

    lines = "\n".join([f"{one.path}\0{key_of_stat(one.stat)}" for one in found])
    newest = max([max(one.stat.st_mtime_ns, one.stat.st_ctime_ns) for one in found], default=0)
    digest = hashlib.blake2b(lines.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return f"{len(found)} {newest} {newest} {digest}"


def _list_hashed(files: Files, path: str, found: list[Found]) -> list[tuple[str, str]]:
    """The rows of one directory live in a file of their own, read only when the directory changed."""
    top = os.path.join(files.root, path)  # noqa: PTH118
    rows = StatCache(files.memory.path.parent / "trees" / f"{md5_bytes(path.encode())}.json")
    entries = [
        (one.path, _md5_remembered(rows, one.path, f"{top}/{one.path}", key=key_of_stat(one.stat)))
        for one in found
    ]
    rows.save()
    return entries


def _md5_remembered(memory: StatCache, name: str, full: str, *, key: str) -> str:
    known = memory.get("file", name, key)
    if known:
        return str(known)
    md5 = md5_file(Path(full))
    memory.put("file", name, key=key, value=md5)
    return md5
