"""The application for any ASGI server: requests are read whole, within bounds of size and time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from msgspec.structs import replace

from tidegate.serve.reply import Reply, packed_body, reply_headers
from tidegate.serve.request import HttpError, Packed, Request, unpacked
from tidegate.serve.wire import Application

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_S = 30.0


class Asgi:
    """An ASGI application; bodies are at most `limit` bytes."""

    def __init__(self, app: Application, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        packing = dict(scope["headers"]).get(b"accept-encoding", b"")
        reply = await self._reply(scope, receive)
        body, coding = packed_body(reply.body, packing)
        headers = reply_headers(reply, len(body), coding=coding)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            head = _head(scope, limit=self._limit)
            denied = self._app.admit(head)
            return denied or await self._answer(await _read(head, receive, limit=self._limit))
        except HttpError as error:
            return self._app.refuse(error)

    async def _answer(self, request: Request) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def send(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        job = self._app.answer(request, send)
        try:
            return await future
        finally:
            if job is not None:
                job.leave()


def _head(scope: Scope, *, limit: int) -> Request:
    """The request without its body; HttpError 413 when that will be too large."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 20 or int(length) > limit:
        raise HttpError(413, f"the body has {length[:40].decode('latin-1')} bytes, the limit is {limit}")
    return Request(scope["method"], scope["path"], headers, b"", time.time())


async def _read(head: Request, receive: Receive, *, limit: int) -> Request:
    """The whole of an admitted request; HttpError 408, 413, 415 or 400: it is late, too large, packed, broken off."""
    body = unpacked(Packed(await _read_body(receive, limit=limit), head.headers), limit=limit)
    return replace(head, body=body, at=time.time(), is_admitted=True)


async def _read_body(receive: Receive, *, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(BODY_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HttpError(400, "the client left before its whole body had arrived")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise HttpError(413, f"the body is larger than the limit of {limit} bytes")
                more = message.get("more_body", False)
    except TimeoutError:
        raise HttpError(408, f"the body did not arrive within {BODY_S:.0f} s") from None
    return b"".join(chunks)
