"""How large the log is, and what goes because it is too old or too much."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tidegate.store.lock import hold
from tidegate.store.predictions.files import (
    STREAMS,
    LogFile,
    bytes_of,
    is_closed,
    list_files,
    reading,
    swapping,
)


class Limits(NamedTuple):
    """How old rows may become and how large the folder; 0 is without limit."""

    retain_s: float = 0.0
    max_bytes: int = 0


class Trimmed(NamedTuple):
    """What was deleted, and whether for its age or for the size of the folder."""

    name: str
    bytes: int
    newest: float
    reason: str


class Size(NamedTuple):
    """What the folder holds of one stream; `closed_bytes` are those of segments that wait to be compacted."""

    stream: str
    segments: int
    segment_bytes: int
    closed_bytes: int
    open_segments: int
    parquet: int
    parquet_bytes: int
    oldest: float | None


def trim(folder: Path, limits: Limits, *, now: float) -> list[Trimmed]:
    """Delete closed files whose newest row is too old, then the oldest ones until the folder is small enough."""
    with hold(folder / "compact.lock", what="log compact", wait_s=0), swapping(folder):
        files = [file for stream in STREAMS for file in list_files(folder, stream)]
        gone = list(_surplus([(file, file.path.stat()) for file in files], limits, now))
        for one in gone:
            (folder / one.name).unlink()
    return gone


def _surplus(
    files: Iterable[tuple[LogFile, os.stat_result]], limits: Limits, now: float
) -> Iterator[Trimmed]:
    """What has to go, oldest first; a segment that is written to stays."""
    by_age = sorted(files, key=lambda pair: pair[1].st_mtime)
    left = sum(stat.st_size for _, stat in by_age)
    for file, stat in by_age:
        is_old = limits.retain_s and stat.st_mtime < now - limits.retain_s
        is_much = limits.max_bytes and left > limits.max_bytes
        if (is_old or is_much) and is_closed(file):
            left -= stat.st_size
            yield Trimmed(file.name, stat.st_size, stat.st_mtime, "age" if is_old else "size")


def log_size(folder: Path) -> list[Size]:
    """What the folder holds, by stream."""
    with reading(folder):
        return [_size(stream, list_files(folder, stream)) for stream in STREAMS]


def _size(stream: str, files: Sequence[LogFile]) -> Size:
    segments = [file for file in files if file.is_segment]
    parquet = [file for file in files if not file.is_segment]
    oldest = min((file.first / 1e6 for file in files), default=None)
    closed = [file for file in segments if is_closed(file)]
    sizes = (bytes_of(segments), bytes_of(closed))
    is_open = len(segments) - len(closed)
    return Size(stream, len(segments), *sizes, is_open, len(parquet), bytes_of(parquet), oldest)
