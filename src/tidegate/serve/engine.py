"""The engine behind every front: requests in, rows through the model in batches, logged, answered.

Batches have no timer: what arrived in the same turn of the event loop goes together, and so does what
arrived while a batch was running. A batch that is expected to take longer than SLOW_S runs in a thread, and
so does every batch of a model that answers from another process.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tidegate.domain import Prediction
from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve.costs import Costs
from tidegate.serve.predict import MAX_BATCH_ROWS, Result, predict_together
from tidegate.serve.record import Metrics
from tidegate.serve.route import Answer, Arm, Route, choose

if TYPE_CHECKING:
    import numpy as np

SLOW_S = 1e-3
MAX_WAITING_ROWS = 16_384
EXPIRE_S = 0.02
LATE, GONE = 504, 499

# writes rows to the log; where the log waits for the disk, what it returns ends when they are there
Write = Callable[[Sequence[Prediction]], "Awaitable[None] | None"]


class Ask(NamedTuple):
    """A request as the engine takes it: `rows` [n, columns], `unit` "" when its arm is not drawn by chance.

    `flags` are the marks of each row that the contract only flags; empty when there are none at all. At
    `deadline`, on the clock of the event loop, nobody waits for the answer any more.
    """

    id: str
    unit: str
    rows: "np.ndarray"
    at: float
    flags: tuple[tuple[str, ...], ...] = ()
    deadline: float = math.inf


class Answered(NamedTuple):
    """A request's answer: ids and predictions by row, scores [rows, classes], and the arm that gave them."""

    ids: tuple[str, ...]
    predictions: list[Answer]
    scores: list[list[float]]
    arm: Arm


class ModelFailedError(TidegateError):
    """The model raised on these rows; the reply is a 500."""


class LateError(TidegateError):
    """The request's deadline passed before its answer was there; the reply is a 504."""


class Job(NamedTuple):
    """A request that waits for its batch."""

    ask: Ask
    arm: Arm
    reply: "asyncio.Future[Answered]"

    @property
    def digest(self) -> str:
        """The bundle that it waits for."""
        return self.arm.model.digest


class Engine:
    """Owns the waiting requests and the threads for slow batches; lives on one event loop."""

    def __init__(self, write: Write, metrics: Metrics | None = None) -> None:
        self.route: Route | None = None
        self._write = write
        self._metrics = metrics or Metrics()
        self._waiting: list[Job] = []
        self._rows = 0
        self._busy: dict[str, list[Job]] = {}
        self._is_watched = False
        self.costs = Costs()
        self._is_due = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._pools: dict[str, ThreadPoolExecutor] = {}

    @property
    def waiting_rows(self) -> int:
        """How many rows are not answered yet."""
        return self._rows

    def live(self) -> Route:
        """The route; UnavailableError while nothing is live."""
        if self.route is None:
            raise UnavailableError("", "nothing is live yet", hint="tidegate apply")
        return self.route

    async def answer(self, ask: Ask, *, arm: Arm | None = None) -> Answered:
        """Predict and log; `arm` is the one that the front has chosen, else the unit decides.

        Raises UnavailableError when too many rows wait or the model's process is down, LateError at the
        deadline, and ModelFailedError when the model fails on these.
        """
        chosen = arm or choose(self.live(), ask.unit)
        if self._rows + len(ask.rows) > MAX_WAITING_ROWS and self._rows:
            raise UnavailableError("", f"{self._rows} rows are waiting, try again in a second")
        loop = asyncio.get_running_loop()
        job = Job(ask, chosen, loop.create_future())
        self._waiting.append(job)
        self._rows += len(ask.rows)
        self._run_soon(loop)
        return await job.reply

    def refuse(self, request: str, unit: str, *, arm: Arm, at: float) -> None:
        """Log, with status 400, a request that this arm does not take although the other one would."""
        latency_ms = (time.time() - at) * 1000
        endpoint, digest = self.live().endpoint, arm.model.digest
        row = Prediction(request, at, unit, endpoint, digest, arm.role, (), None, (), latency_ms, 400)
        self._write([row])

    def forget(self, digest: str) -> None:
        """Give back the thread of a bundle that is no longer served; its last batch finishes."""
        pool = self._pools.pop(digest, None)
        if pool is not None:
            pool.shutdown(wait=False)

    def close(self) -> None:
        """Let the running batches finish; nothing new is taken."""
        for pool in (self._pool, *self._pools.values()):
            pool.shutdown(wait=True)

    def _run_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        ready, self._waiting = self._waiting, []
        queues: dict[str, list[Job]] = {}
        for job in ready:
            if job.digest in self._busy:
                self._waiting.append(job)
            else:
                queues.setdefault(job.digest, []).append(job)
        for digest, jobs in queues.items():
            self._run_model(loop, digest, jobs)

    def _run_model(self, loop: asyncio.AbstractEventLoop, digest: str, jobs: list[Job]) -> None:
        """Answer at once what is quick; while a slow batch runs, the rest waits."""
        for batch in _batches(jobs):
            if digest in self._busy:
                self._waiting += batch
                continue
            live = [job for job in batch if not job.reply.done()]
            self._drop([job for job in batch if job.reply.done()])
            rows = sum(len(job.ask.rows) for job in live)
            model_is_remote = batch[0].arm.model.is_remote
            if live and (model_is_remote or self.costs.expected_s(digest, rows) > SLOW_S):
                self._busy[digest] = live
                self._expire_soon(loop)
                task = loop.run_in_executor(
                    self._thread_of(digest, is_remote=model_is_remote), self._predict, live
                )
                task.add_done_callback(partial(self._back, loop, live))
            elif live:
                self._finish(live, self._predict(live))

    def _expire_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the deadlines now and then while a slow batch runs: a quick one is over before any."""
        if not self._is_watched:
            self._is_watched = True
            loop.call_later(EXPIRE_S, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_watched = False
        now = loop.time()
        for job in (*self._waiting, *(job for jobs in self._busy.values() for job in jobs)):
            if job.ask.deadline <= now and not job.reply.done():
                job.reply.set_exception(LateError("", "the answer was not there at the request's deadline"))
        if self._busy:
            self._expire_soon(loop)

    def _thread_of(self, digest: str, *, is_remote: bool) -> ThreadPoolExecutor:
        """A thread that waits for another process is nobody else's: it may hang."""
        if not is_remote:
            return self._pool
        if digest not in self._pools:
            self._pools[digest] = ThreadPoolExecutor(1, thread_name_prefix=f"predict-{digest[:8]}")
        return self._pools[digest]

    def _back(
        self, loop: asyncio.AbstractEventLoop, jobs: Sequence[Job], done: "asyncio.Future[list[Result]]"
    ) -> None:
        self._busy.pop(jobs[0].digest, None)
        self._finish(jobs, done.result())
        if self._waiting:
            self._run_soon(loop)

    def _predict(self, jobs: Sequence[Job]) -> list[Result]:
        model = jobs[0].arm.model
        began, busy = time.perf_counter(), time.thread_time()
        results = predict_together(model, [job.ask.rows for job in jobs])
        rows = sum(len(job.ask.rows) for job in jobs)
        self._metrics.batch(jobs[0].arm.version, rows, seconds=time.perf_counter() - began)
        self.costs.learn(model.digest, rows, seconds=time.thread_time() - busy)
        return results

    def _drop(self, jobs: Sequence[Job]) -> None:
        """Log what nobody waits for any more; the model is not asked."""
        if jobs:
            self._finish(jobs, [Result([], [], LateError("", "nobody waits for the answer"))] * len(jobs))

    def _finish(self, jobs: Sequence[Job], results: Sequence[Result]) -> None:
        """Log first, then reply: what was acknowledged is on disk."""
        now = time.time()
        endpoint = self.route.endpoint if self.route else ""
        replies = [_reply_of(job, result) for job, result in zip(jobs, results, strict=True)]
        rows = [
            row
            for job, reply in zip(jobs, replies, strict=True)
            for row in _rows(endpoint, job, reply, now=now)
        ]
        try:
            pending = self._write(rows)
        except Exception as error:  # what the log cannot hold is not given, but nobody waits forever
            self._reply(jobs, [error for _ in jobs])
            return
        if pending is None:
            self._reply(jobs, replies)
        else:
            written = asyncio.ensure_future(pending)
            written.add_done_callback(partial(self._written, jobs, replies))

    def _written(
        self, jobs: Sequence[Job], replies: "Sequence[Answered | Exception]", done: "asyncio.Future[None]"
    ) -> None:
        error = done.exception()
        self._reply(jobs, replies if error is None else [_as_error(error) for _ in jobs])

    def _reply(self, jobs: Sequence[Job], replies: "Sequence[Answered | Exception]") -> None:
        for job, reply in zip(jobs, replies, strict=True):
            self._rows -= len(job.ask.rows)
            if job.reply.done():
                continue
            if isinstance(reply, Answered):
                job.reply.set_result(reply)
            else:
                job.reply.set_exception(reply)


def _batches(jobs: Sequence[Job]) -> list[list[Job]]:
    """Requests that go together, in their order: no batch is larger than MAX_BATCH_ROWS unless it is one request."""
    if sum(len(job.ask.rows) for job in jobs) <= MAX_BATCH_ROWS:
        return [list(jobs)]
    found: list[list[Job]] = [[]]
    size = 0
    for job in jobs:
        if found[-1] and size + len(job.ask.rows) > MAX_BATCH_ROWS:
            found.append([])
            size = 0
        found[-1].append(job)
        size += len(job.ask.rows)
    return found


def _as_error(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else UnavailableError("", "the gateway is stopping")


def row_ids(request: str, n: int) -> tuple[str, ...]:
    """The ids of a request's rows: its own for a single one, else numbered from `.0`."""
    return (request,) if n == 1 else tuple(f"{request}.{i}" for i in range(n))


def _reply_of(job: Job, result: Result) -> Answered | TidegateError:
    if result.error is None:
        ids = row_ids(job.ask.id, len(job.ask.rows))
        return Answered(ids, result.answers, result.scores, job.arm)
    if isinstance(result.error, UnavailableError | LateError):
        return result.error
    said = str(result.error).removeprefix("model: ")
    return ModelFailedError("model", said or type(result.error).__name__)


def _status(job: Job, reply: Answered | TidegateError) -> int:
    """What the client is told, as far as it still listens."""
    if job.reply.done():
        return GONE if job.reply.cancelled() else LATE
    if isinstance(reply, Answered):
        return 200
    return 503 if isinstance(reply, UnavailableError) else 500


def _rows(endpoint: str, job: Job, reply: Answered | TidegateError, *, now: float) -> list[Prediction]:
    ask, arm, status = job.ask, job.arm, _status(job, reply)
    latency_ms = (now - ask.at) * 1000
    inputs, digest, role = ask.rows.tolist(), arm.model.digest, arm.role
    answered = reply if isinstance(reply, Answered) and status == 200 else None
    return [
        Prediction(
            request,
            ask.at,
            ask.unit,
            endpoint,
            digest,
            role,
            tuple(inputs[i]),
            answered.predictions[i] if answered else None,
            tuple(answered.scores[i]) if answered else (),
            latency_ms,
            status,
            ask.flags[i] if ask.flags else (),
        )
        for i, request in enumerate(row_ids(ask.id, len(inputs)))
    ]
