"""A model in a process of its own: it may crash, hang or run out of memory, and is then started again."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tidegate.errors import TidegateError, UnavailableError, UsageError
from tidegate.project.runtime import Runtime
from tidegate.registry.named import Answer
from tidegate.registry.runtime.process import FILES, DiedError, Process
from tidegate.registry.runtime.wire import (
    Answered,
    Convert,
    Converted,
    Feature,
    Load,
    Loaded,
    Request,
    pack_rows,
    unpack,
)

if TYPE_CHECKING:
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
        answers, scores = _checked(reply, len(rows))
        self._deaths = 0
        return answers, scores

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
        if not isinstance(reply, Converted):
            raise UsageError("model", "gave something else than an ONNX file")
        return reply.model

    @property
    def pid(self) -> int:
        """The id of the process that answers now, or answered last."""
        return self._process.pid

    def close(self) -> None:
        """End the process; it is not started again."""
        self._closed.set()
        with self._turn:
            self._up.clear()
            self._process.stop()

    def _ask(self, request: Request, *, timeout: float) -> "Answered | Converted":
        with self._turn:
            if not self._up.is_set():
                raise UnavailableError("model", "its process is being started again, try again in a second")
            try:
                reply = self._process.ask(request, timeout=timeout)
            except DiedError:
                self._revive()
                raise
        if reply.failed is not None:
            raise UsageError("model", reply.failed.reason)
        found = reply.answered or reply.converted
        if found is None:
            raise UsageError("model", "its process said nothing")
        return found

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


def _checked(reply: "Answered | Converted", n: int) -> "tuple[list[Answer], np.ndarray]":
    """The arrays of a reply; UsageError unless there is one answer and one row of scores a row."""
    if not isinstance(reply, Answered):
        raise UsageError("model", "gave something else than answers")
    try:
        scores = unpack(reply.scores)
        answers = reply.answers if isinstance(reply.answers, list) else unpack(reply.answers)
    except ValueError as error:
        raise UsageError("model", f"gave {error}") from None
    if len(answers) != n or scores.ndim != 2 or len(scores) != n or getattr(answers, "ndim", 1) != 1:
        shape = [len(answers)] if isinstance(answers, list) else list(answers.shape)
        found = f"answers of shape {shape} and scores of shape {list(scores.shape)} for {n} rows"
        raise UsageError("model", f"gave {found}, expected one each")
    return list(answers) if isinstance(answers, list) else answers.tolist(), scores
