"""Requests as the application takes them: whole and unpacked."""

import secrets
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tidegate.errors import TidegateError
from tidegate.serve.parse import check_request_id

# zlib's own words for what it unpacks: gzip's frame, or zlib's
WINDOWS = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class Request(msgspec.Struct, frozen=True, gc=False):
    """A whole request; header names are lower case, `at` is when it had come.

    `is_admitted` where it was found to be allowed before its body came, which took its part of the key's rate.
    """

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes
    at: float
    is_admitted: bool = False


class Packed(NamedTuple):
    """A body as it came, and the headers that say how it is packed."""

    body: bytes
    headers: Mapping[bytes, bytes]


class HttpError(TidegateError):
    """A refusal with its HTTP status; `allow` names the method that a 405 would take."""

    def __init__(self, status: int, message: str, *, allow: str = "") -> None:
        super().__init__("", message)
        self.status = status
        self.allow = allow


_fresh_ids: list[str] = []


def fresh_id() -> str:
    """The id of a request whose client gave none: 64 bits at random, for which the system is asked many at once."""
    if not _fresh_ids:
        digits = secrets.token_hex(8 * 256)
        _fresh_ids.extend(digits[i : i + 16] for i in range(0, len(digits), 16))
    return _fresh_ids.pop()


def request_id(request: Request) -> str:
    """The id that the client gave, or a new one."""
    given = request.headers.get(b"x-request-id")
    return check_request_id(given.decode("latin-1")) if given is not None else fresh_id()


def unpacked(packed: Packed, *, limit: int) -> bytes:
    """The body as it was before it was packed; HttpError 413, 415 or 400 for what is too large or broken."""
    coding = packed.headers.get(b"content-encoding", b"").lower().strip()
    return packed.body if coding in (b"", b"identity") else _unpack(packed.body, coding, limit=limit)


def _unpack(body: bytes, coding: bytes, *, limit: int) -> bytes:
    """A packed body; never more than `limit` bytes of it."""
    window = WINDOWS.get(coding)
    if window is None:
        name = coding[:40].decode("latin-1")
        raise HttpError(415, f"content-encoding `{name}`, expected gzip, deflate or identity")
    unpacker = zlib.decompressobj(window)
    try:
        found = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise HttpError(400, f"the body is not {coding.decode()}") from None
    if len(found) > limit:
        raise HttpError(413, f"the unpacked body is larger than the limit of {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise HttpError(400, f"the body is not one whole {coding.decode()} stream")
    return found
