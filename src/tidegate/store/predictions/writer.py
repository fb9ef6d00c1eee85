"""The writing end: rows go out in one write(2) before the reply, and never with what is marked as personal."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidegate.domain import Label
from tidegate.store.predictions.entry import Entry
from tidegate.store.predictions.files import LABELS, PREDICTIONS, open_segment
from tidegate.store.predictions.frames import make_frame
from tidegate.store.predictions.redact import redact

if TYPE_CHECKING:
    import asyncio

SEGMENT_BYTES = 16 << 20
ROTATE_S = 3600.0


class Keeping(NamedTuple):
    """How a writer keeps rows: synced for power loss, for how long in one segment, units hashed by a key."""

    is_synced: bool = False
    rotate_s: float = ROTATE_S
    unit_key: bytes = b""


PLAIN = Keeping()


@dataclass(slots=True)
class Segment:
    """An open segment, when it was begun, and how many bytes this process has written to it."""

    handle: int
    born: float
    size: int = 0


class PredictionLog:
    """The writing end for one worker; every start opens segments of its own, so nothing is overwritten.

    When the disk is full the rows are dropped, the first time with a word on standard error, and the gap
    is counted in `dropped`: serving goes on.
    """

    def __init__(self, folder: Path, worker: str, keeping: Keeping = PLAIN) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._folder = folder
        self._worker = worker
        self._keeping = keeping
        self._masks: dict[str, frozenset[int]] = {}
        self._hides = bool(keeping.unit_key)
        self._segments: dict[str, Segment] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._sync = None
        if keeping.is_synced:
            from tidegate.store.predictions.sync import GroupSync

            self._sync = GroupSync(folder, self._drop)

    def hide(self, bundle: str, positions: Iterable[int]) -> None:
        """From now on write the inputs at these positions of the bundle's rows as None."""
        self._masks[bundle] = frozenset(positions)
        self._hides = bool(self._keeping.unit_key) or any(self._masks.values())

    def write(self, entries: Sequence[Entry]) -> "asyncio.Future[None] | None":
        """Append predictions as one frame; when this returns they survive the death of the process.

        What it returns ends when they survive a power cut too; None when there is nothing to wait for.
        """
        if self._hides:
            entries = redact(entries, self._masks, unit_key=self._keeping.unit_key)
        n = entries[0].n if len(entries) == 1 else sum([entry.n for entry in entries])
        return self._write(PREDICTIONS, entries, n)

    def write_labels(self, rows: Sequence[Label]) -> "asyncio.Future[None] | None":
        """Append late labels as one frame, as `write`."""
        return self._write(LABELS, rows, len(rows))

    def rotate(self, now: float) -> None:
        """Close segments that are old enough, so that they can be compacted although nobody writes."""
        for stream, segment in list(self._segments.items()):
            if now - segment.born >= self._keeping.rotate_s:
                self._leave(stream)

    def close(self) -> None:
        """Close the open segments, synced if this log is."""
        for stream in list(self._segments):
            self._leave(stream)
        if self._sync:
            self._sync.close()

    def _write(
        self, stream: str, items: Sequence[Entry] | Sequence[Label], n: int
    ) -> "asyncio.Future[None] | None":
        """Append what holds `n` rows."""
        if not items:
            return None
        frame = make_frame(self._encode(items))
        try:
            segment = self._segment(stream)
            written = os.write(segment.handle, frame)
            if written < len(frame):
                os.ftruncate(segment.handle, segment.size)
                raise OSError("the disk is full")
        except OSError as error:
            self._drop(n, error)
            return None
        waiting = self._sync.note(segment.handle, n) if self._sync else None
        segment.size += written
        if segment.size >= SEGMENT_BYTES or time.time() - segment.born >= self._keeping.rotate_s:
            self._leave(stream)
        return waiting

    def _segment(self, stream: str) -> Segment:
        segment = self._segments.get(stream)
        if segment is None:
            handle = open_segment(self._folder, stream, self._worker)
            segment = self._segments[stream] = Segment(handle, time.time())
        return segment

    def _leave(self, stream: str) -> None:
        handle = self._segments.pop(stream).handle
        if self._sync:
            self._sync.leave(handle)
        else:
            os.close(handle)

    def _drop(self, rows: int, error: OSError) -> None:
        if not self.dropped:
            print(f"prediction log: {error}, rows are dropped until this is mended", file=sys.stderr)  # noqa: T201
        self.dropped += rows
