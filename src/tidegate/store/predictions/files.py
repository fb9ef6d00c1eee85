"""The files of the log and which of them count.

    predictions-gateway-0-1764000000000000.seg                             a segment: framed rows, appended to
    predictions-gateway-0-1764000000000000-1764003600000000-81920.parquet   what segments became

A segment's number is the microsecond it was begun in, so no name comes twice. A Parquet file holds every
segment of its writer from the first number to the last, as many bytes of them as it says. What lies inside the
range of another Parquet file does not count any more: that is what a compaction killed half-way leaves behind.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import ConflictError
from tidegate.store.lock import try_flock

PREDICTIONS = "predictions"
LABELS = "labels"
STREAMS = (PREDICTIONS, LABELS)
RUN_BYTES = 64 << 20
SNAPSHOT = ".query-"
SWAP_WAIT_S = 60.0
POLL_S = 0.02

_SEGMENT = re.compile(r"(predictions|labels)-(.+)-(\d+)\.seg")
_PARQUET = re.compile(r"(predictions|labels)-(.+)-(\d+)-(\d+)-(\d+)\.parquet")


class LogFile(NamedTuple):
    """A file of the log by its name; `size` is that of the segments it holds, unknown (0) for a segment."""

    path: Path
    stream: str
    worker: str
    first: int
    last: int
    size: int

    @property
    def name(self) -> str:
        """The name in the folder."""
        return self.path.name

    @property
    def is_segment(self) -> bool:
        """Whether rows may still be appended to it."""
        return self.path.suffix == ".seg"

    def covers(self, other: "LogFile") -> bool:
        """Whether the range of this file has the other's in it."""
        is_mine = self.stream == other.stream and self.worker == other.worker
        return is_mine and self.first <= other.first and other.last <= self.last


def parse_name(path: Path) -> LogFile | None:
    """The file that a path names; None for what is none of the log's."""
    return _parse(str(path))


@lru_cache(maxsize=16_384)
def _parse(text: str) -> LogFile | None:
    """Remembered, because the monitor lists the folder several times a second."""
    path = Path(text)
    if found := _SEGMENT.fullmatch(path.name):
        return LogFile(path, found[1], found[2], int(found[3]), int(found[3]), 0)
    if found := _PARQUET.fullmatch(path.name):
        return LogFile(path, found[1], found[2], int(found[3]), int(found[4]), int(found[5]))
    return None


def size_of(file: LogFile) -> int:
    """The bytes of the segments that a file is or holds."""
    return file.path.stat().st_size if file.is_segment else file.size


def parquet_of(parts: Sequence[LogFile], size: int) -> LogFile:
    """The file that the parts of one writer become, in the order of their numbers."""
    stream, worker = parts[0].stream, parts[0].worker
    first, last = parts[0].first, parts[-1].last
    name = f"{stream}-{worker}-{first:016d}-{last:016d}-{size}.parquet"
    return LogFile(parts[0].path.with_name(name), stream, worker, first, last, size)


def list_files(folder: Path, stream: str) -> list[LogFile]:
    """The files of a stream that count, oldest first; none where nothing was logged."""
    return sorted(_split(folder, stream)[0], key=lambda file: (file.first, file.last, file.name))


def stale_files(folder: Path, stream: str) -> list[LogFile]:
    """The files of a stream that do not count any more, because another holds their rows."""
    return _split(folder, stream)[1]


def _split(folder: Path, stream: str) -> tuple[list[LogFile], list[LogFile]]:
    """The files that count and those that do not; ranges of one writer are disjoint or one inside the other."""
    live: list[LogFile] = []
    stale: list[LogFile] = []
    worker, reach = "", -1
    for file in sorted(
        _all_files(folder, stream), key=lambda file: (file.worker, file.first, -file.last, file.is_segment)
    ):
        if file.worker != worker:
            worker, reach = file.worker, -1
        (stale if file.last <= reach else live).append(file)
        reach = reach if file.is_segment else max(reach, file.last)
    return live, stale


def _all_files(folder: Path, stream: str) -> list[LogFile]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        parsed = [_parse(entry.path) for entry in entries if entry.name.startswith(stream)]
    return [file for file in parsed if file]


def open_segment(folder: Path, stream: str, worker: str) -> int:
    """A new segment, open for appending and locked as long as this process has it open."""
    known = [file.last for file in _all_files(folder, stream)]
    number = max(time.time_ns() // 1000, *(last + 1 for last in known), 0)
    while True:
        path = folder / f"{stream}-{worker}-{number:016d}.seg"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            number += 1
            continue
        if try_flock(handle) and os.fstat(handle).st_nlink:
            return handle
        # a process that slept in between finds its file taken for one that its writer has left
        os.close(handle)


def is_closed(file: LogFile) -> bool:
    """Whether no process appends to it; the lock of a writer ends with its process, however that ends."""
    if not file.is_segment:
        return True
    handle = os.open(file.path, os.O_RDONLY)
    try:
        return try_flock(handle)
    finally:
        os.close(handle)


def bytes_of(files: Iterable[LogFile]) -> int:
    """How large the files are together."""
    return sum(file.path.stat().st_size for file in files)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """While the block runs no file is taken away; writers go on."""
    if not folder.is_dir():
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def swapping(folder: Path) -> Iterator[None]:
    """Wait until nobody reads, then keep readers out while the block takes files away; keep it short.

    Raises ConflictError when somebody reads for longer than a minute.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + SWAP_WAIT_S
        while not try_flock(handle):
            if time.monotonic() >= end:
                raise ConflictError(
                    "log", f"somebody has been reading it for {SWAP_WAIT_S:.0f} s", hint="wait"
                )
            time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)
