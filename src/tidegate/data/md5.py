"""The md5 of bytes and of files: of the bytes as they are, or, for entries of DVC 2, with LF line ends."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.data.statcache import key_of_stat

if TYPE_CHECKING:
    from hashlib import _Hash

MD5 = "md5"
DOS2UNIX = "md5-dos2unix"

# hashlib lets other threads run while it works on large buffers, so only large files gain by them
LARGE = 1 << 20
# DVC 2 looked for text, and for line ends, in each piece of this size by itself
_PIECE = 1 << 20
_SAMPLE = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_MOST_BINARY = 0.30
# a pipe put in a file's place must not block
_READ = os.O_RDONLY | os.O_NONBLOCK


def md5_bytes(data: bytes) -> str:
    """The md5 of bytes, in hexadecimal; DVC's name for content, not a protection."""
    return _md5(data).hexdigest()


def md5_file(path: Path | str, kind: str = MD5) -> str:
    """The md5 of a file, in hexadecimal."""
    handle = os.open(path, _READ)
    try:
        return md5_handle(handle, os.fstat(handle).st_size, kind)
    finally:
        os.close(handle)


def md5_while(path: str, key: str, kind: str = MD5) -> str | None:
    """The md5 of a file for which `key` holds before and after; None when it does not."""
    handle = os.open(path, _READ)
    try:
        md5 = md5_handle(handle, int(key.partition(" ")[0]), kind)
        return md5 if key_of_stat(os.fstat(handle)) == key else None
    finally:
        os.close(handle)


def md5_handle(handle: int, size: int, kind: str) -> str:
    """The md5 of an open file that is about this large; a small one takes a single read."""
    digest = _md5()
    if size < LARGE and kind == MD5:
        data = os.read(handle, size + 1)
        digest = _md5(data)
        if len(data) == size:
            return digest.hexdigest()
    for piece in _pieces(handle, min(size + 1, _PIECE) if size else _PIECE):
        digest.update(_with_unix_ends(piece) if kind == DOS2UNIX else piece)
    return digest.hexdigest()


def _md5(data: bytes = b"") -> "_Hash":
    import hashlib

    return hashlib.md5(data, usedforsecurity=False)


def _pieces(handle: int, length: int) -> Iterator[memoryview]:
    """The rest of the file, in pieces that are all full but the last; each is overwritten by the next."""
    buffer = memoryview(bytearray(length))
    with open(handle, "rb", buffering=0, closefd=False) as file:
        while filled := file.readinto(buffer):
            yield buffer[:filled]


def _with_unix_ends(piece: memoryview) -> bytes:
    data = bytes(piece)
    return data.replace(b"\r\n", b"\n") if _is_text(data[:_SAMPLE]) else data


def _is_text(sample: bytes) -> bool:
    return b"\0" not in sample and len(sample.translate(None, _TEXT)) <= _MOST_BINARY * len(sample)
