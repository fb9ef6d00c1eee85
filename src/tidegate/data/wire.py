"""What every remote behind a network shares: pieces into files, errors without secrets, few requests."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

from tidegate.data.config import RemoteConfig
from tidegate.data.config_keys import SECRET_KEYS
from tidegate.data.links import write_all
from tidegate.data.remote import Received

CHUNK = 16 << 20
# objects that one request lists
PAGE = 1000
_ALL_FOLDERS = 256
_HASH_CHUNK = 1 << 20


class Backend(NamedTuple):
    """A file system of fsspec: the extra that brings it, what makes it, and the errors that are its own.

    Errors in `refused` will not go away by trying again. `is_ranged` says that part of a file can be asked for
    without opening it; `is_atomic`, that a file appears whole.
    """

    extra: str
    make: Callable[[RemoteConfig], Any]
    errors: tuple[str, ...]
    refused: tuple[str, ...] = ()
    is_ranged: bool = True
    is_atomic: bool = True


@contextmanager
def translated(config: RemoteConfig, backend: Backend) -> Iterator[None]:
    """Turn what a backend raises into FileNotFoundError, PermissionError or ConnectionError without secrets."""
    refused = _classes(PermissionError, backend.refused)
    failed = _classes(OSError, backend.errors)
    try:
        yield
    except FileNotFoundError:
        raise
    except refused as error:
        raise PermissionError(redact(error, config)) from None
    except failed as error:
        if isinstance(error, OSError) and _is_local(error):
            raise
        raise ConnectionError(redact(error, config)) from None


def redact(error: BaseException, config: RemoteConfig) -> str:
    """What an error says, on one line, without any secret option, signed query or password in a url."""
    said = " ".join(str(error).split()) or type(error).__name__
    for key, value in config.options.items():
        if key in SECRET_KEYS and value:
            said = said.replace(value, "***")
    return shown_url(re.sub(r"\?[^\s'\"]*=[^\s'\"]*", "?***", said))[:300]


def shown_url(url: str) -> str:
    """A url without the password that may stand in it."""
    return re.sub(r"(://[^/@:\s]*):[^/@\s]*@", r"\1:***@", url)


class Gathering:
    """A file to which bytes are appended, and the md5 of all of it, also of what was there before."""

    def __init__(self, into: str, received: Received) -> None:
        import hashlib

        self.size = 0
        self._received = received
        self._digest = hashlib.md5(usedforsecurity=False)
        self._handle = os.open(into, os.O_RDWR | os.O_CREAT, 0o666)

    def __enter__(self) -> "Gathering":
        while part := os.read(self._handle, _HASH_CHUNK):
            self._digest.update(part)
            self.size += len(part)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        self._digest.update(piece)
        write_all(self._handle, piece)
        self.size += len(piece)
        self._received(len(piece))

    def restart(self) -> None:
        """Forget what is there."""
        import hashlib

        os.lseek(self._handle, 0, os.SEEK_SET)
        os.ftruncate(self._handle, 0)
        self.size = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    def md5(self) -> str:
        """The md5 of all bytes in the file."""
        return self._digest.hexdigest()


def gather(pieces: Callable[[int], Iterator[bytes]], into: str, received: Received) -> str:
    """Append pieces, asked for from where the file ends; the md5 of all of it."""
    with Gathering(into, received) as gathering:
        for piece in pieces(gathering.size):
            gathering.add(piece)
        return gathering.md5()


def ranges(system: Any, path: str, start: int) -> Iterator[bytes]:
    """The bytes from `start`, by one request for a small file; the end is where a request brings less."""
    while True:
        piece = _range(system, path, start)
        if piece:
            yield piece
        if len(piece) < CHUNK:
            return
        start += len(piece)


def reads(system: Any, path: str, start: int) -> Iterator[bytes]:
    """The bytes from `start` of a file that has to be opened."""
    with system.open(path, "rb") as file:
        file.seek(start)
        while piece := file.read(CHUNK):
            yield piece


def cheapest_check(
    keys: int, folders: int, *, per_folder: int, jobs: int
) -> Literal["each", "folders", "all"]:
    """How to find out with the fewest requests which of the keys are there.

    `per_folder` objects were seen in one folder, and hashes spread evenly. Pages of one listing come one after
    the other, so listing all has to save more.
    """
    pages = -(-per_folder // PAGE) or 1
    every = -(-per_folder * _ALL_FOLDERS // PAGE) or 1
    by_folder = folders * pages
    if every * jobs <= min(keys, by_folder):
        return "all"
    return "each" if keys <= by_folder else "folders"


def _range(system: Any, path: str, start: int) -> bytes:
    """Asking beyond the end is an error in most protocols, so then the size decides."""
    try:
        data: bytes = system.cat_file(path, start=start, end=start + CHUNK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        if system.info(path)["size"] != start:
            raise
        return b""
    return data


def load(name: str) -> Any:
    """What `module:Name` stands for, imported now; ImportError when its package is not installed."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@cache
def _classes(first: type[BaseException], names: tuple[str, ...]) -> tuple[type[BaseException], ...]:
    """A module that is not even there raises nothing."""
    found = [first]
    for name in names:
        with suppress(ImportError):
            found.append(load(name))
    return tuple(found)


def _is_local(error: OSError) -> bool:
    """A disk that is full or read-only is on this side."""
    from tidegate.data.crew import HOPELESS

    return error.errno in HOPELESS
