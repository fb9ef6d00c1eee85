"""HTTP/1.1 on a socket: requests are assembled, this keeps the order of replies and the bounds of time.

A server on uvicorn spends two thirds of its time between the socket and the application; this front gives the
application whole requests and writes each reply at once. Anything else can host the same application (`asgi`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from tidegate.serve.assembly import Assembly, Budget, Heads, unpack
from tidegate.serve.busypoll import BusyPoll
from tidegate.serve.reply import Reply, packed_body, render_head
from tidegate.serve.request import HttpError, Request

if TYPE_CHECKING:
    import ssl
    from socket import socket

MAX_PIPELINED = 16
MAX_CONNECTIONS = 4096
# connections too many that are told so; each takes an open file a while
MAX_TOLD = 64
LINGER_S = 2.0
HEAD_S = 10.0
BODY_S = 30.0
IDLE_S = 75.0
WRITE_S = 30.0
LAST_CALL_S = 0.25
SWEEP_S = 0.5
HIGH_WATER_BYTES = 1 << 20
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Leavable(Protocol):
    """An answer that is on its way."""

    def leave(self) -> None:
        """Nobody waits for it any more."""


class Application(Protocol):
    """What answers: it never raises."""

    def admit(self, head: Request) -> Reply | None:
        """The reply to a request whose body need not come, as its head says; None where it may."""

    def answer(self, request: Request, send: Callable[[Reply], None]) -> Leavable | None:
        """Have `send` called with the reply to a whole request, now or, unless it is left before, later."""

    def refuse(self, error: HttpError) -> Reply:
        """The reply to a request that did not come whole."""


class Denied(NamedTuple):
    """A request that is answered without its body."""

    head: Request
    reply: Reply


class Limits(NamedTuple):
    """How large a body may be, how long a running request may take after the end, how many connections there are."""

    body_bytes: int
    drain_s: float
    connections: int = MAX_CONNECTIONS


class Front:
    """A listening socket and its connections; `stop` answers what runs and then closes."""

    def __init__(self, app: Application, limits: Limits, poll: BusyPoll | None = None) -> None:
        self.app = app
        self.limits = limits
        self.poll = poll or BusyPoll()
        self.budget = Budget(limits.body_bytes)
        self.heads = Heads()
        self.connections: set[Connection] = set()
        self.is_stopping = False
        self.date = b""
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    async def start(self, listening: "socket", tls: "ssl.SSLContext | None" = None) -> None:
        """Accept connections of this socket."""
        self._loop = asyncio.get_running_loop()
        self._sweep()
        self._server = await self._loop.create_server(
            lambda: Connection(self, self._loop),
            sock=listening,
            ssl=tls,
            backlog=2048,
            ssl_handshake_timeout=HEAD_S if tls else None,
            ssl_shutdown_timeout=LINGER_S if tls else None,
        )

    async def stop(self) -> None:
        """Accept nothing more, let running requests end within the drain time, then cut the rest.

        A client may be sending while its connection is idle here, so idle ones are closed LAST_CALL_S later.
        """
        self.is_stopping = True
        # who has connected already is taken
        await asyncio.sleep(0)
        if self._server:
            self._server.close()
        now = self._loop.time()
        while self.connections and self._loop.time() < now + self.limits.drain_s:
            if self._loop.time() >= now + LAST_CALL_S:
                self._finish()
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        if self._sweeper:
            self._sweeper.cancel()

    def _finish(self) -> None:
        for connection in list(self.connections):
            connection.finish()

    def _sweep(self) -> None:
        """Close what is slow or idle; the date of replies is told once a sweep."""
        now = self._loop.time()
        self.date = formatdate(time.time(), usegmt=True).encode()
        for connection in list(self.connections):
            connection.check(now)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)


class Connection(asyncio.Protocol):
    """One client: requests come whole or not at all, replies go in their order, one request runs at a time."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop) -> None:
        self._front = front
        self._loop = loop
        self._assembly = Assembly(front.budget, front.heads, self._take, self._admit)
        self._transport: asyncio.Transport
        self._waiting: deque[Request | Denied | HttpError] = deque()
        self._running: Request | None = None
        self._answer: Leavable | None = None
        self._keeps = True
        self._is_over = self._is_deaf = self._is_blocked = self._is_full = self._is_ended = False
        self._is_running = False
        self._since = loop.time()
        self._blocked_at = 0.0

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._front.connections.add(self)
        most, n = self._front.limits.connections, len(self._front.connections)
        if n > most + MAX_TOLD:
            self.abort()
        elif n > most:
            self._refuse(HttpError(503, f"more than {most} connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what runs for it is not waited for."""
        self._front.connections.discard(self)
        self._is_over = self._is_deaf = True
        self._assembly.drop()
        self._front.budget.give(_bytes_of(self._waiting))
        self._waiting.clear()
        if self._answer:
            self._answer.leave()
        self._release()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._is_deaf:
            return
        if not self._assembly.is_open:
            self._since = self._loop.time()
            self._front.poll.asked()
        try:
            self._assembly.feed(data)
        except HttpError as error:
            self._refuse(error)
            return
        if self._assembly.is_over:
            # a server may answer as if the client had not offered another protocol
            self._keeps, self._is_deaf = False, True

    def eof_received(self) -> bool:
        """The client sends nothing more; what it asked before is still answered."""
        self._keeps, self._is_ended = False, True
        # over TLS a connection cannot be half closed
        return self._transport.can_write_eof() and not self._is_idle()

    def pause_writing(self) -> None:
        """The client does not read its replies."""
        self._is_blocked = True
        self._blocked_at = self._loop.time()

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_blocked = False
        self._next()

    # what the front calls

    def check(self, now: float) -> None:
        """Close a connection that is slow in sending, or in reading, or idle."""
        is_reading = self._assembly.is_open and not self._is_deaf
        if self._is_over and now - self._since > LINGER_S and not self._is_blocked:
            self._transport.close()
        elif self._is_blocked and now - self._blocked_at > WRITE_S:
            self.abort()
        elif is_reading and now - self._since > (BODY_S if self._assembly.has_head else HEAD_S):
            self._refuse(HttpError(408, "the request did not arrive in time"))
        elif not (is_reading or self._is_over) and self._is_idle() and now - self._since > IDLE_S:
            self._transport.close()

    def finish(self) -> None:
        """Close after the request that runs, at once when none does."""
        self._keeps = False
        if self._is_idle() and not (self._assembly.is_open or self._is_over):
            self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._is_over = self._is_deaf = True
        self._transport.abort()

    # requests and replies

    def _take(self, request: Request | HttpError, *, keeps: bool) -> None:
        """A request is whole."""
        self._keeps = self._keeps and keeps
        self._waiting.append(request)
        self._next()
        if self._waiting and not self._is_full and self._has_enough():
            self._is_full = True
            self._transport.pause_reading()

    def _has_enough(self) -> bool:
        """Whether no more is read until what waits has been answered."""
        return len(self._waiting) >= MAX_PIPELINED or _bytes_of(self._waiting) > self._front.limits.body_bytes

    def _admit(self, head: Request) -> bool:
        """Whether the body of a request may come; its client may wait for that word before it sends it."""
        if self._is_over:
            return False
        reply = self._front.app.admit(head)
        if reply is not None:
            self._refuse(Denied(head, reply))
        elif head.headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(CONTINUE)
        return reply is None

    def _is_idle(self) -> bool:
        return self._running is None and not self._waiting

    def _next(self) -> None:
        """Run what waits, one after the other, until one takes its time or the client does not read."""
        if self._is_running:
            # a reply that came at once: the loop below goes on
            return
        self._is_running = True
        try:
            while self._waiting and self._running is None and not (self._is_blocked or self._is_over):
                self._run(self._waiting.popleft())
        finally:
            self._is_running = False

    def _run(self, found: Request | Denied | HttpError) -> None:
        request = found if isinstance(found, Denied) else unpack(found, self._front.budget)
        if self._is_full and not self._has_enough():
            self._is_full = False
            self._transport.resume_reading()
        if isinstance(request, Denied):
            self._write(request.reply, is_head=request.head.method == "HEAD")
            return
        if isinstance(request, HttpError):
            self._write(self._front.app.refuse(request))
            return
        self._running = request
        answer = self._front.app.answer(request, partial(self._answered, request))
        # it may have been answered already
        if answer is not None and self._running is request:
            self._answer = answer

    def _answered(self, request: Request, reply: Reply) -> None:
        # a client that is gone has nothing running
        if self._running is request:
            self._release()
            self._write(reply, request.headers.get(b"accept-encoding", b""), is_head=request.method == "HEAD")

    def _release(self) -> None:
        """Nothing runs any more."""
        if self._running is not None:
            self._front.budget.give(len(self._running.body))
        self._running = self._answer = None

    def _write(self, reply: Reply, packing: bytes = b"", *, is_head: bool = False) -> None:
        body, coding = packed_body(reply.body, packing)
        is_last = not self._waiting and (not self._keeps or self._front.is_stopping)
        head = render_head(reply, len(body), coding=coding, date=self._front.date, is_last=is_last)
        self._transport.write(head if is_head else head + body)
        self._since = self._loop.time()
        self._front.poll.replied(self._loop)
        if is_last:
            self._close()
        else:
            self._next()

    def _refuse(self, refused: Denied | HttpError) -> None:
        """Say, after the replies that are due, what is wrong with bytes that are no whole request, and close.

        Where a next request would begin is unknown.
        """
        self._keeps, self._is_deaf = False, True
        self._assembly.drop()
        self._waiting.append(refused)
        self._next()

    def _close(self) -> None:
        """End, but read on a moment: a client that still sends would lose the reply to a reset."""
        self._is_over = self._is_deaf = True
        self._since = self._loop.time()
        if self._transport.can_write_eof() and not self._is_ended:
            self._transport.write_eof()
        else:
            self._transport.close()


def _bytes_of(requests: Iterable[Request | Denied | HttpError]) -> int:
    return sum(len(one.body) for one in requests if isinstance(one, Request))
