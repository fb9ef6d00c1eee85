"""From the bytes of a connection to whole requests: httptools parses, this bounds what is kept."""

import time
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import unquote

import httptools
import msgspec

from tidegate.serve.request import HttpError, Packed, Request, unpacked

MAX_TARGET_BYTES = 8_192
MAX_HEADER_BYTES = 65_536
MAX_HEADERS = 128
BODIES = 32
END = b"\r\n\r\n"
MAX_HEADS = 512
MAX_HEAD_BYTES = 2_048
# a proxy before this may have looked at the other one
ONCE = frozenset(
    (b"authorization", b"x-api-key", b"content-encoding", b"content-type", b"host", b"x-request-id")
)


class Budget:
    """What bodies may take in memory: each of them, and all that a worker has at once, still packed or already not."""

    def __init__(self, body_bytes: int) -> None:
        self.body_bytes = body_bytes
        self._left = body_bytes * BODIES

    def take(self, size: int) -> None:
        """Count bytes in; HttpError 503 where all together would be too many."""
        if size > self._left:
            raise HttpError(503, "the bodies of all requests are too large together, try again in a second")
        self._left -= size

    def give(self, size: int) -> None:
        """Count bytes out again."""
        self._left += size


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a request's line and headers say: more may follow on the connection, and `size` is that of the body."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    size: int


class Heads:
    """What was read of heads lately: a client repeats its own, byte by byte, and then nothing need be parsed."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, head: bytes) -> Head | None:
        """What these bytes say, as far as that is known."""
        return self._known.get(head)

    def keep(self, head: bytes, said: Head) -> None:
        """Remember it in the place of the oldest."""
        if len(head) <= MAX_HEAD_BYTES:
            while len(self._known) >= MAX_HEADS:
                self._known.pop(next(iter(self._known)))
            self._known[head] = said


class Take(Protocol):
    """Who takes requests as they become whole, their bodies as packed as they came, or what is wrong with one.

    `keeps` is whether more may follow.
    """

    def __call__(self, request: Request | HttpError, *, keeps: bool) -> None:
        """One request."""


class Admit(Protocol):
    """Who says, once for each request whose body does not come along with its head, whether it may come.

    After a no nothing more must be fed.
    """

    def __call__(self, head: Request) -> bool:
        """One request, still without its body."""


class Assembly:
    """The request that is coming in; its `on_` methods are what httptools calls.

    `is_open` while a request has begun and is not whole, `has_head` once its headers are, `is_over` when the
    client offered another protocol, after which no more requests can be read.
    """

    def __init__(self, budget: Budget, heads: Heads, take: Take, admit: Admit) -> None:
        self.is_open = self.has_head = self.is_over = self._is_admitted = False
        self._body: list[bytes] = []
        self._budget = budget
        self._limit = budget.body_bytes
        self._heads = heads
        self._last: Head | None = None
        self._keeps = True
        self._size = 0
        self._take = take
        self._admit = admit
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """More bytes; HttpError 400, 413, 414 or 431 for what is no request or too large."""
        if self.is_open or not self._keeps:
            self._parse(data)
            return
        end = data.find(END) + len(END)
        head, size = data[:end], len(data) - end
        known = self._heads.find(head)
        if known is not None and known.size == size:
            self._budget.take(size)
            request = Request(known.method, known.path, known.headers, data[end:], time.time())
            self._take(request, keeps=True)
            return
        self._last = None
        self._parse(data)
        # one whole request and nothing else, so that its head ends where it seems to
        if self._last is not None and not self.is_open and self._last.size == size:
            self._heads.keep(head, self._last)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_over = True
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise (
                cause if isinstance(cause, HttpError) else HttpError(400, "the request is malformed")
            ) from None
        except httptools.HttpParserError:
            raise HttpError(400, "this is not HTTP/1.1") from None
        if self.is_open and self.has_head and not self._is_admitted:
            self._is_admitted = self._admit(self._request(b""))

    def drop(self) -> None:
        """Nothing more comes: give back what the body of an unfinished request took."""
        self._budget.give(self._size)
        self._body, self._size = [], 0

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = self._header_count = self._size = 0
        self._body = []
        self.is_open, self.has_head, self._is_admitted = True, False, False

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url
        if len(self._target) > MAX_TARGET_BYTES:
            raise HttpError(414, f"the target is longer than {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header; what comes after the body says nothing about it."""
        self._header_bytes += len(name) + len(value)
        self._header_count += 1
        if self._header_bytes > MAX_HEADER_BYTES or self._header_count > MAX_HEADERS:
            raise HttpError(431, f"more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes of them")
        if self.has_head:
            return
        lower = name.lower()
        if lower in ONCE and lower in self._headers:
            raise HttpError(400, f"`{lower.decode()}` comes twice")
        self._headers[lower] = value

    def on_headers_complete(self) -> None:
        """The body is next."""
        self.has_head = True
        length = self._headers.get(b"content-length", b"0")
        if len(length) > 20 or int(length) > self._limit:
            found = length[:40].decode("latin-1")
            raise HttpError(413, f"the body has {found} bytes, the limit is {self._limit}")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        size = len(body)
        if self._size + size > self._limit:
            raise HttpError(413, f"the body is larger than the limit of {self._limit} bytes")
        self._budget.take(size)
        self._size += size
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.is_open = False
        request, self._keeps = self._whole(), self._parser.should_keep_alive()
        if self._keeps and isinstance(request, Request):
            self._last = Head(request.method, request.path, request.headers, len(request.body))
        self._take(request, keeps=self._keeps)

    def _whole(self) -> Request | HttpError:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        # an idle connection holds nothing; who takes the request gives back what its body took
        self._body, self._size = [], 0
        try:
            return self._request(body)
        except HttpError as error:
            self._budget.give(len(body))
            return error

    def _request(self, body: bytes) -> Request:
        method = self._parser.get_method().decode("latin-1")
        try:
            path = unquote(self._target.split(b"?", 1)[0].decode("ascii"))
        except UnicodeDecodeError:
            raise HttpError(400, "the target is not ASCII") from None
        return Request(method, path, self._headers, body, time.time(), self._is_admitted)


def unpack(request: Request | HttpError, budget: Budget) -> Request | HttpError:
    """The request with its body unpacked, or why not.

    It is time for that only at the request's turn: of many small bodies, each may become as large as the limit.
    """
    if isinstance(request, HttpError) or b"content-encoding" not in request.headers:
        return request
    size = len(request.body)
    try:
        body = unpacked(Packed(request.body, request.headers), limit=budget.body_bytes)
        budget.take(len(body) - size)
    except HttpError as error:
        budget.give(size)
        return error
    return msgspec.structs.replace(request, body=body)
