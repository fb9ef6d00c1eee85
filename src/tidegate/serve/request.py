"""Requests at the HTTP door: read whole, within bounds of size and time, and unpacked."""

import asyncio
import secrets
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from tidegate.errors import TidegateError
from tidegate.serve.parse import check_request_id

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

BODY_S = 30.0
# zlib's own words for what it unpacks: gzip's frame, or zlib's
WINDOWS = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class Request(NamedTuple):
    """A whole request; header names are lower case, `at` is when it had come."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes
    at: float


class HttpError(TidegateError):
    """A refusal with its HTTP status; `allow` names the method that a 405 would take."""

    def __init__(self, status: int, message: str, *, allow: str = "") -> None:
        super().__init__("", message)
        self.status = status
        self.allow = allow


async def read_request(scope: Scope, receive: Receive, *, limit: int) -> Request:
    """The whole request; HttpError 408, 413, 415 or 400 when it is late, too large, packed or broken off."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 20 or int(length) > limit:
        raise HttpError(413, f"the body has {length[:40].decode('latin-1')} bytes, the limit is {limit}")
    body = await _read_body(receive, limit=limit)
    coding = headers.get(b"content-encoding")
    if coding and coding.lower() != b"identity":
        body = _unpack(body, coding.lower().strip(), limit=limit)
    return Request(scope["method"], scope["path"], headers, body, time.time())


def request_id(request: Request) -> str:
    """The id that the client gave, or a new one."""
    given = request.headers.get(b"x-request-id")
    return check_request_id(given.decode("latin-1")) if given is not None else secrets.token_hex(8)


async def _read_body(receive: Receive, *, limit: int) -> bytes:
    message = await _first(receive)
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise HttpError(413, f"the body is larger than the limit of {limit} bytes")
        return body
    return await _rest(message, receive, limit=limit)


async def _first(receive: Receive) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(BODY_S):
            return await receive()
    except TimeoutError:
        raise _late() from None


async def _rest(first: MutableMapping[str, Any], receive: Receive, *, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, message = 0, first
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                if message["type"] == "http.disconnect":
                    raise HttpError(400, "the client left before its whole body had arrived")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise HttpError(413, f"the body is larger than the limit of {limit} bytes")
                if not message.get("more_body", False):
                    return b"".join(chunks)
                message = await receive()
    except TimeoutError:
        raise _late() from None


def _late() -> HttpError:
    return HttpError(408, f"the body did not arrive within {BODY_S:.0f} s")


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
