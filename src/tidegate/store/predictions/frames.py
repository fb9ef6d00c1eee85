"""The frames of a segment: whole or not there.

A frame is three little-endian u32 (length of the payload, crc32 of these four bytes, crc32 of the payload)
and the payload, the msgpack of a list of entries or labels. A frame goes out in one write(2), so kill -9 loses
no acknowledged row; a torn last frame is dropped, never guessed. The length has a checksum of its own, or a
damaged one would pass for a torn tail.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

LENGTH = struct.Struct("<I")
HEAD = struct.Struct("<III")
BUFFER = 1 << 20


class Frame(NamedTuple):
    """A frame as it was read: None for one that is damaged, and the offset to go on from."""

    payload: bytes | None
    end: int


def make_frame(payload: bytes) -> bytes:
    """The bytes of a frame."""
    size = len(payload)
    return HEAD.pack(size, zlib.crc32(LENGTH.pack(size)), zlib.crc32(payload)) + payload


def read_frames(path: Path, offset: int = 0) -> Iterator[Frame]:
    """The whole frames from `offset` on; a damaged one is the last, and goes on at the end of the file.

    Memory holds one frame at a time, however large the segment is.
    """
    with path.open("rb", buffering=BUFFER) as file:
        file.seek(offset)
        while frame := _next_frame(file, offset):
            yield frame
            if frame.payload is None:
                return
            offset = frame.end


def is_damaged(path: Path) -> bool:
    """Whether a frame of this segment differs from its checksum."""
    return any(frame.payload is None for frame in read_frames(path))


def _next_frame(file: BinaryIO, offset: int) -> Frame | None:
    """The frame that begins at `offset`, where the file stands; None at the end and for a torn one."""
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    if LENGTH.pack(zlib.crc32(head[: LENGTH.size])) != head[LENGTH.size : 2 * LENGTH.size]:
        return _damage(file, head)
    length = LENGTH.unpack_from(head)[0]
    payload = file.read(length)
    if len(payload) < length:
        return None
    is_whole = LENGTH.pack(zlib.crc32(payload)) == head[2 * LENGTH.size :]
    return Frame(payload, offset + HEAD.size + length) if is_whole else _damage(file, head)


def _damage(file: BinaryIO, head: bytes) -> Frame | None:
    """Zeros to the end are what a power cut leaves of a frame whose data never arrived; anything else is damage."""
    has_more = any(head) or any(any(block) for block in iter(lambda: file.read(BUFFER), b""))
    return Frame(None, file.seek(0, 2)) if has_more else None
