"""The socket to a model's process on an event loop: a question goes out and its reply comes in, and nobody waits."""

import asyncio
import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable

import msgspec

from tidegate.registry.runtime.wire import CHUNK, Reply, decode

# called once, on the loop, with what came back or with why nothing sensible did
Heard = Callable[[Reply | Exception], None]


class Line:
    """One end of a socket, on one loop; one question at a time, and only while nobody else reads the socket.

    It has a descriptor of its own, so that a loop never watches one that another thread has closed. The loop
    watches it for good; what comes when nothing was asked is a thread's reply or the end, and ends the line.
    """

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = os.dup(connection.fileno())
        self._end = weakref.finalize(self, os.close, self._fd)
        os.set_blocking(self._fd, False)
        self._lock = threading.Lock()
        self._heard: Heard | None = None
        self._found = bytearray()
        self._rest = b""
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        loop.add_reader(self._fd, self._read)

    def is_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it can be used on this loop."""
        return self._loop is loop and self._end.alive

    def send(self, frame: bytes, heard: Heard, *, timeout: float) -> bool:
        """Send a question, and call `heard` within `timeout` seconds; False, and no call, where nothing goes out."""
        try:
            sent = os.write(self._fd, frame)
        except OSError:
            return False
        self._heard = heard
        self._until = self._loop.time() + timeout
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._look)
        if sent < len(frame):
            # some systems give a socket room for little
            self._rest = frame[sent:]
            self._loop.add_writer(self._fd, self._write)
        return True

    def abandon(self, error: Exception) -> bool:
        """From any thread: tell this to the one that asked, and nothing else; False when nothing is asked."""
        heard = self._take()
        if heard is None:
            return False
        with contextlib.suppress(RuntimeError):
            # a loop that is closed has nobody left to tell
            self._loop.call_soon_threadsafe(heard, error)
        return True

    def leave(self) -> None:
        """From any thread: give up the loop."""
        try:
            self._loop.call_soon_threadsafe(self._close)
        except RuntimeError:
            # it is closed, and watches nothing any more
            self._end()

    def _take(self) -> Heard | None:
        """The one that waits: whoever takes it tells it."""
        with self._lock:
            heard, self._heard = self._heard, None
            return heard

    def _write(self) -> None:
        try:
            self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._tell(error)
            return
        if not self._rest:
            self._loop.remove_writer(self._fd)

    def _read(self) -> None:
        if self._heard is None:
            self._close()
            return
        try:
            found = self._more()
        except BlockingIOError:
            return
        except (EOFError, OSError, ValueError, msgspec.MsgspecError) as error:
            self._tell(error)
            return
        if found is not None:
            self._tell(found)

    def _more(self) -> Reply | None:
        part = os.read(self._fd, CHUNK)
        if not part:
            raise EOFError
        self._found += part
        return decode(self._found, Reply)

    def _look(self) -> None:
        """One timer for many questions: it is set again when it rings, not at every question."""
        self._timer = None
        if self._heard is None:
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        else:
            self._tell(TimeoutError())

    def _tell(self, found: Reply | Exception) -> None:
        heard = self._take()
        self._found = bytearray()
        if isinstance(found, Exception):
            self._close()
        if heard is not None:
            heard(found)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._end.alive:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._end()
