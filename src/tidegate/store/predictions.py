"""The prediction log: append-only segments of framed rows, one writer a file, many readers.

A frame is three little-endian u32 (length of the payload, crc32 of these four bytes, crc32 of the payload)
and the payload, the msgpack of a list of rows. A frame goes out in one write(2), so kill -9 loses no
acknowledged row; a torn last frame is dropped, never guessed. The length has a checksum of its own, or a
damaged one would pass for a torn tail.
"""

import os
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from tidegate.domain import Label, Prediction

LENGTH = struct.Struct("<I")
HEAD = struct.Struct("<III")
SEGMENT_BYTES = 64 << 20
PREDICTIONS = "predictions"
LABELS = "labels"

Row = TypeVar("Row", Prediction, Label)
Cursor = Mapping[str, int]


class Batch(NamedTuple, Generic[Row]):
    """Rows of one segment, where reading them stopped, and whether a frame there is damaged."""

    rows: list[Row]
    offset: int
    is_damaged: bool


class PredictionLog:
    """The writing end for one worker; every start opens segments of its own, so nothing is overwritten.

    When the disk is full the rows are dropped, the first time with a word on standard error, and the gap
    is counted in `dropped`: serving goes on.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._folder = folder
        self._worker = worker
        self._files: dict[str, int] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    def write(self, rows: Sequence[Prediction]) -> None:
        """Append predictions as one frame; when this returns they survive the death of the process."""
        self._write(PREDICTIONS, rows)

    def write_labels(self, rows: Sequence[Label]) -> None:
        """Append late labels as one frame."""
        self._write(LABELS, rows)

    def close(self) -> None:
        """Close the open segments."""
        for handle in self._files.values():
            os.close(handle)
        self._files.clear()

    def _write(self, stream: str, rows: Sequence[Prediction] | Sequence[Label]) -> None:
        if not rows:
            return
        payload = self._encode(rows)
        frame = _head(payload) + payload
        try:
            handle = self._handle(stream)
            start = os.lseek(handle, 0, os.SEEK_END)
            if os.write(handle, frame) < len(frame):
                os.ftruncate(handle, start)
                raise OSError("the disk is full")
        except OSError as error:
            self._drop(len(rows), error)
            return
        if start + len(frame) >= SEGMENT_BYTES:
            os.close(self._files.pop(stream))

    def _handle(self, stream: str) -> int:
        if stream not in self._files:
            self._files[stream] = _new_segment(self._folder, stream, self._worker)
        return self._files[stream]

    def _drop(self, rows: int, error: OSError) -> None:
        if not self.dropped:
            print(f"prediction log: {error}, rows are dropped until this is mended", file=sys.stderr)  # noqa: T201
        self.dropped += rows


def cursor_at(folder: Path, at: float) -> Cursor:
    """Where to start for the rows of time `at` and later: after the segments that were done before it."""
    done = [path for path in folder.glob("*.seg") if path.stat().st_mtime < at]
    return {path.name: path.stat().st_size for path in done}


def read_predictions(folder: Path, cursor: Cursor | None = None) -> tuple[list[Prediction], Cursor]:
    """Predictions logged since `cursor` (from the start without one) by time, and the new cursor."""
    rows, moved = _read(folder, PREDICTIONS, Prediction, cursor or {})
    return rows, moved


def read_labels(folder: Path, cursor: Cursor | None = None) -> tuple[list[Label], Cursor]:
    """Labels since `cursor`, as read_predictions."""
    rows, moved = _read(folder, LABELS, Label, cursor or {})
    return rows, moved


def recent_predictions(folder: Path, n: int) -> list[Prediction]:
    """The last `n` predictions, newest first."""
    newest: list[Prediction] = []
    for name in reversed(_segments(folder, PREDICTIONS)):
        batch = _read_segment(folder / name, Prediction, 0)
        newest = sorted([*batch.rows, *newest], key=lambda row: row.at)
        newest = newest[max(0, len(newest) - n) :]
    return newest[::-1]


def damaged_segments(folder: Path) -> list[str]:
    """Segments with a frame whose checksum differs; rows before it are read, rows after it are not."""
    found = [name for name in _segments(folder, PREDICTIONS) if _damaged(folder / name, Prediction)]
    return found + [name for name in _segments(folder, LABELS) if _damaged(folder / name, Label)]


def _damaged(path: Path, kind: type[Row]) -> bool:
    return _read_segment(path, kind, 0).is_damaged


def _read(folder: Path, stream: str, kind: type[Row], cursor: Cursor) -> tuple[list[Row], Cursor]:
    rows: list[Row] = []
    moved = dict(cursor)
    for name in _segments(folder, stream):
        path = folder / name
        if path.stat().st_size > moved.get(name, 0):
            batch = _read_segment(path, kind, moved.get(name, 0))
            rows += batch.rows
            moved[name] = batch.offset
    rows.sort(key=lambda row: row.at)
    return rows, moved


def _read_segment(path: Path, kind: type[Row], offset: int) -> Batch[Row]:
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    rows: list[Row] = []
    end = 0
    for payload, after in _frames(data):
        if payload is None:
            return Batch(rows, offset + len(data), True)
        rows += msgspec.msgpack.decode(payload, type=list[kind])  # type: ignore[valid-type]
        end = after
    return Batch(rows, offset + end, False)


def _frames(data: bytes) -> Iterator[tuple[bytes | None, int]]:
    """Payloads with the offset after each; None for a complete frame with a wrong checksum, then nothing."""
    at = 0
    while at + HEAD.size <= len(data):
        head = data[at : at + HEAD.size]
        start, at = at + HEAD.size, at + HEAD.size + LENGTH.unpack_from(head)[0]
        payload = data[start:at]
        is_sound = _checked(head[: LENGTH.size]) == head[: 2 * LENGTH.size]
        if is_sound and at > len(data):
            return
        if not is_sound or _head(payload) != head:
            # zeros to the end are what a power cut leaves of a frame whose data never arrived
            if any(data[start - HEAD.size :]):
                yield None, at
            return
        yield payload, at


def _head(payload: bytes) -> bytes:
    return _checked(LENGTH.pack(len(payload))) + LENGTH.pack(zlib.crc32(payload))


def _checked(length: bytes) -> bytes:
    return length + LENGTH.pack(zlib.crc32(length))


def _segments(folder: Path, stream: str) -> list[str]:
    return sorted(
        (path.name for path in folder.glob(f"{stream}-*.seg")), key=lambda name: name.split("-")[::-1]
    )


def _new_segment(folder: Path, stream: str, worker: str) -> int:
    number = len(_segments(folder, stream))
    while True:
        path = folder / f"{stream}-{worker}-{number:08d}.seg"
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            number += 1
