"""A model in a process of its own: it may crash, hang or run out of memory, and is then started again."""

import contextlib
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tidegate.domain.model import Answer, Done, Told
from tidegate.errors import TidegateError, UnavailableError, UsageError
from tidegate.project.runtime import Runtime
from tidegate.registry.runtime.answers import answers_of, file_of
from tidegate.registry.runtime.line import Heard, Line
from tidegate.registry.runtime.process import FILES, DiedError, Process
from tidegate.registry.runtime.wire import (
    CHUNK,
    Convert,
    Feature,
    Load,
    Loaded,
    Reply,
    Request,
    frame,
    pack_rows,
)

if TYPE_CHECKING:
    import asyncio

    import numpy as np

PATIENCE = 3
AT_ONCE = 2000
CELLS_AT_ONCE = 4_000_000
LONGEST_WAIT_S = 60.0


class Source(NamedTuple):
    """What a process loads: the format, the files by name, the one to begin with, and the features of a row."""

    format: str
    files: Mapping[str, bytes]
    name: str
    features: tuple[Feature, ...]


class Remote:
    """One model behind one process at a time; calls come one after the other.

    After a death it is started again in the background; until it is back, calls fail at once. A start that
    fails, and a death before the first answer, are tried again at once twice, then after ever longer waits.
    """

    def __init__(self, source: Source, settings: Runtime) -> None:
        self._source = source
        self._settings = settings
        self._text = frozenset(feature.start for feature in source.features if feature.is_text)
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._deaths = 0
        self._up = threading.Event()
        self._line: Line | None = None
        self._process, self.versions = _started(source, settings)
        self._up.set()

    def predict(self, rows: "np.ndarray") -> "tuple[list[Answer], np.ndarray]":
        """Answers and scores [n, classes] for rows [n, columns].

        Raises UnavailableError while the process is started again, DiedError when it ends during this call,
        UsageError when the model raises or gives anything but one answer and one row of scores a row.
        """
        step = max(1, min(AT_ONCE, CELLS_AT_ONCE // max(1, rows.shape[1])))
        if len(rows) > step:
            return self._in_parts(rows, step)
        request = Request(ask=pack_rows(rows, self._text))
        reply = self._ask(request, timeout=self._settings.timeout)
        found = answers_of(reply, len(rows))
        self._deaths = 0
        return found

    def ask(
        self, rows: "np.ndarray", loop: "asyncio.AbstractEventLoop", done: Done, *, awake: bool = False
    ) -> bool:
        """Send these rows without waiting; `awake` says that the next ones are likely to follow at once.

        `done` is called once, later, on `loop`, with what `predict` would return or the error it would raise.
        False, and `done` is never called, where that would block: many rows, another caller's turn, a process
        that is not up. Then `predict` is the way.
        """
        data = self._frame(rows, awake=awake)
        if not data or not self._turn.acquire(blocking=False):
            return False
        is_sent = self._up.is_set() and self._send(data, loop, partial(self._heard, loop, len(rows), done))
        if not is_sent:
            self._turn.release()
        return is_sent

    def _in_parts(self, rows: "np.ndarray", step: int) -> "tuple[list[Answer], np.ndarray]":
        """A whole table, in calls that each keep the deadline."""
        import numpy as np

        parts = [self.predict(rows[start : start + step]) for start in range(0, len(rows), step)]
        return [one for answers, _ in parts for one in answers], np.concatenate(
            [scores for _, scores in parts]
        )

    def convert(self, precision: str) -> bytes:
        """The model as an ONNX file; TidegateError, with the reason, when it cannot be one."""
        request = Request(convert=Convert("float64" if precision == "float64" else "float32"))
        try:
            reply = self._ask(request, timeout=self._settings.start_timeout)
        except DiedError:
            # whoever converts will ask again, and has the time
            self._up.wait(self._settings.start_timeout)
            raise
        return file_of(reply)

    @property
    def pid(self) -> int:
        """The id of the process that answers now, or answered last."""
        return self._process.pid

    def close(self) -> None:
        """End the process; it is not started again, and an `ask` that waits is told so."""
        self._closed.set()
        is_ours = self._line is not None and self._line.abandon(
            UnavailableError("model", "is served no longer")
        )
        if not is_ours:
            self._turn.acquire()
        try:
            self._up.clear()
            self._process.stop()
        finally:
            self._turn.release()

    def _ask(self, request: Request, *, timeout: float) -> Reply:
        with self._turn:
            if not self._up.is_set():
                raise UnavailableError("model", "its process is being started again, try again in a second")
            try:
                return self._process.ask(request, timeout=timeout)
            except DiedError:
                self._revive()
                raise

    def _frame(self, rows: "np.ndarray", *, awake: bool) -> bytes:
        """The question; nothing where it is too long to go out at once, or cannot be asked at all."""
        if rows.nbytes > CHUNK:
            return b""
        try:
            data = frame(Request(ask=pack_rows(rows, self._text), awake=awake))
        except (TypeError, ValueError):
            return b""
        return data if len(data) <= CHUNK else b""

    def _send(self, data: bytes, loop: "asyncio.AbstractEventLoop", heard: Heard) -> bool:
        """Whether it went out; the turn is the caller's."""
        if self._line is None or not self._line.is_on(loop):
            if self._line is not None:
                self._line.leave()
            try:
                self._line = self._process.line(loop)
            except OSError:
                # no descriptor is left
                return False
        return self._line.send(data, heard, timeout=self._settings.timeout)

    def _heard(self, loop: "asyncio.AbstractEventLoop", n: int, done: Done, found: Reply | Exception) -> None:
        """The end of an `ask`, whose turn this is, unless `close` has taken it."""
        if isinstance(found, Reply):
            self._turn.release()
            done(self._outcome(found, n))
        elif isinstance(found, TidegateError):
            done(found)
        else:
            # to end a process and to clear up after it takes longer than a loop may stand still
            threading.Thread(target=self._bury, args=(loop, done, found), name="bury", daemon=True).start()

    def _outcome(self, reply: Reply, n: int) -> Told:
        try:
            found = answers_of(reply, n)
        except UsageError as error:
            return error
        self._deaths = 0
        return found

    def _bury(self, loop: "asyncio.AbstractEventLoop", done: Done, error: Exception) -> None:
        died = self._process.died(error, timeout=self._settings.timeout)
        self._revive()
        self._turn.release()
        with contextlib.suppress(RuntimeError):
            # a loop that is closed has nobody left to tell
            loop.call_soon_threadsafe(done, died)

    def _revive(self) -> None:
        self._up.clear()
        self._deaths += 1
        if not self._closed.is_set():
            threading.Thread(target=self._start_again, name="revive", daemon=True).start()

    def _start_again(self) -> None:
        while not self._closed.wait(wait_s(self._deaths)):
            try:
                process, _ = _started(self._source, self._settings)
            except TidegateError:
                self._deaths += 1
                continue
            with self._turn:
                self._process = process
                if self._closed.is_set():
                    process.stop()
                else:
                    self._up.set()
            return


def wait_s(deaths: int) -> float:
    """How long to wait before the next start, after so many deaths in a row: twice not at all."""
    return 0.0 if deaths < PATIENCE else min(2.0 ** (deaths - PATIENCE), LONGEST_WAIT_S)


def _started(source: Source, settings: Runtime) -> tuple[Process, dict[str, str]]:
    """A process that has loaded the model, and the versions of its packages; UsageError when it cannot be loaded."""
    process = Process(source.files)
    load = Load(
        source.format,
        str(process.folder / FILES),
        source.name,
        source.features,
        settings.trust,
        int(settings.memory),
    )
    reply = process.ask(Request(load=load), timeout=settings.start_timeout)
    if isinstance(reply.loaded, Loaded):
        return process, reply.loaded.versions
    process.stop()
    raise UsageError(
        "model", f"cannot be loaded, {reply.failed.reason if reply.failed else 'it says nothing'}"
    )
