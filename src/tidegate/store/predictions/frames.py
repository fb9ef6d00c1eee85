"""The frames of a segment: whole or not there.

A frame is three little-endian u32 (length of the payload, crc32 of these four bytes, crc32 of the payload)
and the payload, the msgpack of a list of rows. A frame goes out in one write(2), so kill -9 loses no
acknowledged row; a torn last frame is dropped, never guessed. The length has a checksum of its own, or a
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
    return _head(payload) + payload


def read_frames(path: Path, offset: int = 0) -> Iterator[Frame]:
    """The whole frames from `offset` on; a damaged one is the last, and goes on at the end of the file.

    Memory holds one frame at a time, however large the segment is.
    """
    with path.open("rb", buffering=BUFFER) as file:
        file.seek(offset)
        while len(head := file.read(HEAD.size)) == HEAD.size:
            length = LENGTH.unpack_from(head)[0]
            is_sound = _checked(head[: LENGTH.size]) == head[: 2 * LENGTH.size]
            payload = file.read(length) if is_sound else b""
            if is_sound and len(payload) < length:
                return
            offset += HEAD.size + length
            if not is_sound or _head(payload) != head:
                # zeros to the end are what a power cut leaves of a frame whose data never arrived
                if any(head) or any(payload) or _has_more_than_zeros(file):
                    yield Frame(None, file.seek(0, 2))
                return
            yield Frame(payload, offset)


def is_damaged(path: Path) -> bool:
    """Whether a frame of this segment differs from its checksum."""
    return any(frame.payload is None for frame in read_frames(path))


def _has_more_than_zeros(file: BinaryIO) -> bool:
    return any(any(block) for block in iter(lambda: file.read(BUFFER), b""))


def _head(payload: bytes) -> bytes:
    return _checked(LENGTH.pack(len(payload))) + LENGTH.pack(zlib.crc32(payload))


def _checked(length: bytes) -> bytes:
    return length + LENGTH.pack(zlib.crc32(length))
