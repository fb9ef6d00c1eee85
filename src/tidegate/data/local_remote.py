"""A remote that is a directory: plain system calls, since there are thousands of files."""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from tidegate.data.config import RemoteConfig
from tidegate.data.links import copy_file, link, write_all
from tidegate.data.md5 import LARGE, md5_bytes, md5_file
from tidegate.data.remote import Received

# for fewer keys in a folder, asking for each is cheaper than listing it
_LIST_FROM = 4
_MODE = 0o444


def open_local(config: RemoteConfig) -> "LocalRemote":
    """The directory that a remote's url names, be it there already or not."""
    folder = config.url.removeprefix("file://").rstrip("/") or "/"
    return LocalRemote(folder, jobs=int(config.options.get("jobs", 1)))


class LocalRemote:
    """Files below a directory; each appears whole, by a rename."""

    is_buffered = True

    def __init__(self, folder: str, *, jobs: int = 1) -> None:
        """On a local disk, threads only take turns; a network disk may gain by more jobs."""
        self.where = folder
        self.jobs = jobs

    def have(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that are files here."""
        folders: dict[str, list[str]] = {}
        for key in keys:
            folder, _, name = key.rpartition("/")
            folders.setdefault(folder, []).append(name)
        return {
            f"{folder}/{name}" if folder else name
            for folder, names in folders.items()
            for name in _present(f"{self.where}/{folder}", names)
        }

    def get(self, key: str, into: str, *, received: Received) -> str:
        """Small files take one read; large ones are cloned where the file system can, and hashed after."""
        source = f"{self.where}/{key}"
        with suppress(FileNotFoundError):
            os.unlink(into)  # noqa: PTH108
        size = os.stat(source).st_size  # noqa: PTH116
        md5 = _copy_small(source, into) if size < LARGE else _copy_large(source, into)
        received(size)
        return md5

    def put(self, source: str, key: str) -> None:
        """A killed process leaves a hidden file behind, never half an object."""
        target = f"{self.where}/{key}"
        folder, _, name = target.rpartition("/")
        made = f"{folder}/.{name}.{os.getpid()}.tmp"
        if not os.path.isdir(folder):  # noqa: PTH112
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        try:
            _copy(source, made)
            os.chmod(made, 0o644 if key.startswith("runs/") else _MODE)  # noqa: PTH101
            os.rename(made, target)  # noqa: PTH104
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(made)  # noqa: PTH108
            raise

    def list(self, prefix: str) -> list[str]:
        """Hidden files are other processes' work in progress."""
        start = len(self.where) + 1
        return [
            f"{folder}/{name}"[start:]
            for folder, _, names in os.walk(f"{self.where}/{prefix}".rstrip("/"))
            for name in names
            if not name.startswith(".")
        ]

    def remove(self, key: str) -> None:
        """Delete the file."""
        Path(self.where, key).unlink(missing_ok=True)


def _present(folder: str, names: list[str]) -> Iterable[str]:
    if len(names) < _LIST_FROM:
        return [name for name in names if os.path.isfile(f"{folder}/{name}")]  # noqa: PTH113
    try:
        return set(names).intersection(os.listdir(folder))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _copy_small(source: str, into: str) -> str:
    with open(source, "rb", buffering=0) as file:  # noqa: PTH123 -- a path object costs more
        data = file.read()
    writer = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(writer, data)
    finally:
        os.close(writer)
    return md5_bytes(data)


def _copy_large(source: str, into: str) -> str:
    _copy(source, into)
    return md5_file(into)


def _copy(source: str, target: str) -> None:
    """Trying to clone costs a call or two, which only large files are worth."""
    if os.stat(source).st_size < LARGE:  # noqa: PTH116
        copy_file(source, target)
    else:
        link(source, target, kind="reflink")
