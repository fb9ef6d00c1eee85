"""A remote that an fsspec file system speaks to: S3, Google Cloud Storage, Azure and SSH."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from posixpath import dirname
from typing import Any, TypeVar

from tidegate.data.config import RemoteConfig
from tidegate.data.config_keys import scheme_of
from tidegate.data.remote import Received
from tidegate.data.wire import Backend, cheapest_check, gather, ranges, reads, redact, shown_url, translated

R = TypeVar("R")

# for so few keys, asking for each is never worse than looking around first
_ASK_EACH = 8


def open_fsspec(config: RemoteConfig) -> "FsspecRemote":
    """Connect to the remote; the error of a missing package names what to install."""
    from tidegate.data.backends import BACKENDS

    backend = BACKENDS[scheme_of(config.url)]
    return FsspecRemote(config, backend, make_file_system(config, backend))


def make_file_system(config: RemoteConfig, backend: Backend) -> Any:
    """The file system object; its errors name the remote, never a secret."""
    from tidegate.errors import UnavailableError, missing_extra

    where = f"remote {config.name}"
    try:
        with translated(config, backend):
            return backend.make(config)
    except ImportError:
        raise missing_extra(where, backend.extra) from None
    except OSError as error:
        raise UnavailableError(
            where, str(error), hint=f"tidegate remote modify {config.name} OPTION"
        ) from None


class FsspecRemote:
    """Objects below a url; called from several threads, which fsspec's own loop serves."""

    is_buffered = False

    def __init__(self, config: RemoteConfig, backend: Backend, system: Any) -> None:
        self.where = shown_url(config.url)
        self.jobs = int(config.options.get("jobs", 4 * (os.cpu_count() or 1)))
        self._config = config
        self._backend = backend
        self._system = system
        self._base = path_of(config.url)

    def have(self, keys: Collection[str]) -> set[str]:
        """Ask for each key, list the folders that would hold them, or list all: whatever takes fewest requests."""
        if len(keys) <= _ASK_EACH:
            return self._ask_each(keys)
        folders: dict[str, set[str]] = {}
        for key in keys:
            folders.setdefault(dirname(key), set()).add(key)
        first = max(folders, key=lambda folder: len(folders[folder]))
        sample = self._listed(first)
        found = folders.pop(first).intersection(sample)
        left = set[str]().union(*folders.values())
        way = cheapest_check(len(left), len(folders), per_folder=len(sample), jobs=self.jobs)
        if way == "each":
            return found | self._ask_each(left)
        places = folders if way == "folders" else {dirname(folder) for folder in folders}
        return found.union(*(left.intersection(part) for part in self._each(self._listed, places)))

    def get(self, key: str, into: str, *, received: Received) -> str:
        """Piece by piece, so that an interrupted transfer goes on where it was."""
        path = self._at(key)
        pieces = ranges if self._backend.is_ranged else reads
        with translated(self._config, self._backend):
            return gather(lambda start: pieces(self._system, path, start), into, received)

    def put(self, source: str, key: str) -> None:
        """Where a file would grow in place, it does so under another name."""
        target = self._at(key)
        made = target
        if not self._backend.is_atomic:
            made = f"{dirname(target)}/.{target.rpartition('/')[2]}.{os.urandom(4).hex()}.tmp"
        try:
            with translated(self._config, self._backend):
                self._system.put_file(source, made)
                if made != target:
                    self._system.mv(made, target)
        except FileNotFoundError as error:
            # not the file, which is being read, but the bucket or the folder to write to
            raise PermissionError(redact(error, self._config)) from None

    def list(self, prefix: str) -> list[str]:
        """All keys below the prefix, none for one that is not there."""
        start = len(self._base.lstrip("/")) + 1
        try:
            with translated(self._config, self._backend):
                found = self._system.find(self._at(prefix).rstrip("/"))
        except FileNotFoundError:
            return []
        keys = [path.lstrip("/")[start:] for path in found]
        return [key for key in keys if not key.rpartition("/")[2].startswith(".")]

    def remove(self, key: str) -> None:
        """Delete the object."""
        try:
            with translated(self._config, self._backend):
                self._system.rm_file(self._at(key))
        except FileNotFoundError:
            return

    def _at(self, key: str) -> str:
        return f"{self._base}/{key}"

    def _listed(self, folder: str) -> Sequence[str]:
        return self.list(f"{folder}/" if folder else "")

    def _ask_each(self, keys: Collection[str]) -> set[str]:
        return {key for key, is_there in self._each(lambda key: (key, self._is_there(key)), keys) if is_there}

    def _is_there(self, key: str) -> bool:
        with translated(self._config, self._backend):
            return bool(self._system.exists(self._at(key)))

    def _each(self, do: Callable[[str], R], keys: Collection[str]) -> Iterator[R]:
        from tidegate.data.crew import Crew

        crew = Crew(min(self.jobs, len(keys)) or 1, lambda: None)
        return crew.work(lambda key: crew.patiently(lambda: do(key)), sorted(keys))


def path_of(url: str) -> str:
    """What the file system calls the url: bucket and prefix, or the path on a host."""
    scheme = scheme_of(url)
    rest = url.partition("://")[2].rstrip("/")
    return f"/{rest.partition('/')[2]}".rstrip("/") if scheme == "ssh" else rest
