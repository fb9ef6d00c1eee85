"""The reading end: Parquet and the decoded tail together; a cursor passes every row once, compacted or not.

A cursor names how far the files that count have been read: a segment to its offset, a Parquet file to its
size. Rows of a segment that has become part of a Parquet file carry its number and their offset, so a cursor
that stands inside the segment goes on inside the Parquet file.
"""

import heapq
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tidegate.domain import Label, Prediction
from tidegate.store.predictions.entry import row_ids
from tidegate.store.predictions.files import (
    LABELS,
    PREDICTIONS,
    STREAMS,
    LogFile,
    list_files,
    parse_name,
    reading,
)
from tidegate.store.predictions.frames import is_damaged, read_frames
from tidegate.store.predictions.rows import Row, Search, decode, decode_entries

Cursor = Mapping[str, int]


def cursor_at(folder: Path, at: float) -> Cursor:
    """Where to start for the rows of time `at` and later: after the files that were done before it."""
    with reading(folder):
        files = [file for stream in STREAMS for file in list_files(folder, stream)]
        done = [(file, file.path.stat()) for file in files]
    return {
        file.name: stat.st_size if file.is_segment else file.size for file, stat in done if stat.st_mtime < at
    }


def read_predictions(folder: Path, cursor: Cursor | None = None) -> tuple[list[Prediction], Cursor]:
    """Predictions logged since `cursor` (from the start without one) by time, and the new cursor."""
    return _read(folder, PREDICTIONS, Prediction, cursor or {})


def read_labels(folder: Path, cursor: Cursor | None = None) -> tuple[list[Label], Cursor]:
    """Labels since `cursor`, as read_predictions."""
    return _read(folder, LABELS, Label, cursor or {})


def recent_predictions(folder: Path, n: int) -> list[Prediction]:
    """The last `n` predictions, newest first."""
    return find_predictions(folder, Search(n))


def find_predictions(folder: Path, search: Search) -> list[Prediction]:
    """The newest predictions that are searched for, newest first."""
    newest: list[Prediction] = []
    with reading(folder):
        files = [(file.path.stat().st_mtime, file) for file in list_files(folder, PREDICTIONS)]
        for written, file in sorted(files, key=lambda pair: (pair[0], pair[1].first), reverse=True):
            is_full = len(newest) >= search.n and (not search.n or newest[-1].at > written)
            if is_full or written < search.since:
                break
            # of rows at the same time the later written are the newest, they come first already
            newest = heapq.nlargest(search.n, [*newest, *_found(file, search)], key=lambda row: row.at)
    return newest


def known_requests(folder: Path, requests: Collection[str]) -> set[str]:
    """Those of the requests that have a logged prediction."""
    wanted, known = set(requests), set[str]()
    with reading(folder):
        files = list_files(folder, PREDICTIONS)
        for file in files:
            known |= wanted & set(_requests(file.path) if file.is_segment else ())
        compacted = [file.path for file in files if not file.is_segment]
        if compacted:
            from tidegate.store.predictions.parquet import requests_among

            known |= requests_among(compacted, wanted - known)
    return known


def damaged_segments(folder: Path) -> list[str]:
    """Segments with a frame whose checksum differs; rows before it are read, rows after it are not."""
    with reading(folder):
        files = [file for stream in STREAMS for file in list_files(folder, stream)]
        return [file.name for file in files if file.is_segment and is_damaged(file.path)]


def _found(file: LogFile, search: Search) -> list[Prediction]:
    """What is searched for in one file, newest first."""
    if not file.is_segment:
        from tidegate.store.predictions.parquet import search_parquet

        return search_parquet(file.path, search)
    payloads = (frame.payload for frame in read_frames(file.path) if frame.payload)
    rows = (row for payload in payloads for row in decode(payload, Prediction))
    fits = (row for row in rows if row.at >= search.since and search.request in ("", row.request))
    # of the rows of a segment only as many stay in memory as are shown
    newest = heapq.nlargest(search.n, enumerate(fits), key=lambda pair: (pair[1].at, pair[0]))
    return [row for _, row in newest]


def _requests(path: Path) -> Iterator[str]:
    payloads = (frame.payload for frame in read_frames(path) if frame.payload)
    entries = (entry for payload in payloads for entry in decode_entries(payload))
    return (name for entry in entries for name in row_ids(entry.request, entry.n))


def _read(folder: Path, stream: str, kind: type[Row], cursor: Cursor) -> tuple[list[Row], Cursor]:
    rows: list[Row] = []
    moved: dict[str, int] = {}
    with reading(folder):
        for file in list_files(folder, stream):
            end = cursor.get(file.name, 0)
            if file.is_segment:
                fresh, end = _read_segment(file.path, kind, end)
                rows += fresh
            elif end != file.size:
                rows += _unread(file, kind, cursor)
                end = file.size
            if end:
                moved[file.name] = end
    rows.sort(key=lambda row: row.at)
    return rows, moved


def _read_segment(path: Path, kind: type[Row], offset: int) -> tuple[list[Row], int]:
    """The rows of a segment from `offset` on, and where to go on."""
    rows: list[Row] = []
    if path.stat().st_size > offset:
        for frame in read_frames(path, offset):
            offset = frame.end
            rows += decode(frame.payload, kind) if frame.payload else []
    return rows, offset


def _unread(file: LogFile, kind: type[Row], cursor: Cursor) -> list[Row]:
    """The rows of a Parquet file that a cursor has not passed in the files that became it."""
    parts = [(parse_name(file.path.with_name(name)), end) for name, end in cursor.items()]
    passed = [(part, end) for part, end in parts if part and file.covers(part)]
    if sum(end for _, end in passed) == file.size:
        return []
    from tidegate.store.predictions.parquet import read_parquet

    return read_parquet(file.path, kind, passed)
