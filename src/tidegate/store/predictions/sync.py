"""Group commit: one fdatasync serves every frame that was written while the one before was running."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tidegate.store.files import sync_path

Drop = Callable[[int, OSError], None]


class Round(NamedTuple):
    """What one sync makes durable: rows by segment, segments to close then, and whether one has a new name."""

    rows: dict[int, int]
    left: set[int]
    has_new: bool


class Loss(NamedTuple):
    """Rows that a sync could not make durable, and why."""

    rows: int
    error: OSError


class GroupSync:
    """Owns the thread that syncs; `drop` is told of rows that could not be made durable."""

    def __init__(self, folder: Path, drop: Drop) -> None:
        self._folder = folder
        self._drop = drop
        self._next = Round({}, set(), False)
        self._named: set[int] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._is_running = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="log-sync")

    def note(self, handle: int, rows: int) -> "asyncio.Future[None] | None":
        """Rows were written to an open segment; done when they are durable, or counted as dropped.

        Without an event loop the sync happens here and now.
        """
        noted = self._next.rows
        noted[handle] = noted.get(handle, 0) + rows
        if handle not in self._named:
            self._named.add(handle)
            self._next = self._next._replace(has_new=True)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._count(_sync(self._folder, self._take()))
            return None
        waiting = loop.create_future()
        self._waiting.append(waiting)
        if not self._is_running:
            self._start(loop)
        return waiting

    def leave(self, handle: int) -> None:
        """A segment gets no more rows: close it, after the sync that it still needs or is in."""
        self._named.discard(handle)
        if self._is_running or handle in self._next.rows:
            self._next.left.add(handle)
        else:
            os.close(handle)

    def close(self) -> None:
        """Sync what is left, and end the thread."""
        self._pool.shutdown(wait=True)
        self._count(_sync(self._folder, self._take()))

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_running = True
        waiting, self._waiting = self._waiting, []
        task = loop.run_in_executor(self._pool, _sync, self._folder, self._take())
        task.add_done_callback(partial(self._end, loop, waiting))

    def _take(self) -> Round:
        taken, self._next = self._next, Round({}, set(), False)
        return taken

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: list["asyncio.Future[None]"],
        done: "asyncio.Future[list[Loss]]",
    ) -> None:
        self._is_running = False
        self._count(done.result())
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if self._waiting or self._next.left:
            self._start(loop)

    def _count(self, losses: list[Loss]) -> None:
        for loss in losses:
            self._drop(loss.rows, loss.error)


def _sync(folder: Path, todo: Round) -> list[Loss]:
    """Make one round durable; what failed."""
    losses = []
    for handle, rows in todo.rows.items():
        try:
            _datasync(handle)
        except OSError as error:
            losses.append(Loss(rows, error))
    for handle in todo.left:
        os.close(handle)
    try:
        if todo.has_new:
            sync_path(folder)
    except OSError as error:
        losses.append(Loss(sum(todo.rows.values()), error))
    return losses


def _datasync(handle: int) -> None:
    """Data and size are enough; a system without fdatasync syncs all."""
    getattr(os, "fdatasync", os.fsync)(handle)
