"""Carry things, one by one or many at once, and keep count of what arrived and what did not."""

from collections.abc import Callable, Collection
from contextlib import closing
from functools import partial
from typing import Literal, NamedTuple

from tidegate.data.crew import Crew
from tidegate.data.keys import md5_of
from tidegate.data.remote import Remote
from tidegate.errors import CorruptError

# so many failed attempts before the first success, and the rest is not tried
_GIVE_UP_AFTER = 16


class Progress(NamedTuple):
    """How far a transfer is: things done of those known so far, and bytes moved."""

    done: int
    total: int
    moved_bytes: int


Report = Callable[[Progress], None]


class Failure(NamedTuple):
    """What could not be brought: `missing` where it should come from, `corrupt`, or `failed` on the way."""

    name: str
    kind: Literal["missing", "corrupt", "failed"]
    reason: str


class Transfer(NamedTuple):
    """What was moved, what was there already, and everything that could not be brought."""

    moved: int = 0
    moved_bytes: int = 0
    present: int = 0
    failures: tuple[Failure, ...] = ()


class Trip:
    """One transfer with a remote: its workers and its counts."""

    def __init__(self, remote: Remote, jobs: int | None, progress: Report | None) -> None:
        from threading import Lock

        self.remote = remote
        self.failures: list[Failure] = []
        self.crew = Crew(jobs or remote.jobs, self._tell)
        self._progress = progress
        self._lock = Lock()
        self._moved = self._bytes = self._done = self._total = 0

    def carry(self, do: Callable[[str], int], keys: Collection[str]) -> set[str]:
        """Do it for each key, which tells the bytes that it moved; the keys that arrived."""
        self._total += len(keys)
        arrived: set[str] = set()
        tried: set[str] = set()
        failed_at_first = 0
        with closing(self.crew.work(partial(_attempt, do), keys)) as results:
            for key, result in results:
                self._done += 1
                tried.add(key)
                if isinstance(result, Failure):
                    self.failures.append(result)
                    failed_at_first += result.kind == "failed" and not arrived
                else:
                    arrived.add(key)
                self._tell()
                if failed_at_first >= _GIVE_UP_AFTER:
                    break
        untried = [key for key in keys if key not in tried]
        self.failures += [
            Failure(name_of(key), "failed", "not tried after the failures before") for key in untried
        ]
        self._moved += len(arrived)
        return arrived

    def received(self, length: int) -> None:
        """Count bytes, in whichever thread; StoppedError when the transfer has been stopped."""
        self.crew.check()
        with self._lock:
            self._bytes += length

    def finish(self, present: int) -> Transfer:
        """The result, when `present` things were there already."""
        return Transfer(self._moved, self._bytes, present, tuple(self.failures))

    def _tell(self) -> None:
        if self._progress:
            self._progress(Progress(self._done, self._total, self._bytes))


def name_of(key: str) -> str:
    """How people know a thing: an object by its md5, a run by its key."""
    return key if key.startswith("runs/") else md5_of(key)


def _attempt(do: Callable[[str], int], key: str) -> tuple[str, int | Failure]:
    try:
        return key, do(key)
    except FileNotFoundError:
        return key, Failure(name_of(key), "missing", "not in the remote")
    except CorruptError as error:
        return key, Failure(name_of(key), "corrupt", error.message)
    except OSError as error:
        return key, Failure(name_of(key), "failed", error.strerror or str(error))
