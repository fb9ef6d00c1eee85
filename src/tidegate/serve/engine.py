"""The engine behind every front: requests in, rows through the model in batches, logged, answered.

Batches have no timer: what arrived in the same turn of the event loop goes together, and so does what
arrived while a batch was running. A batch that is expected to take longer than SLOW_S runs in a thread; a
model that answers from another process is asked without one where that does not block.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tidegate.domain import Prediction
from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve.busypoll import BusyPoll
from tidegate.serve.costs import Costs
from tidegate.serve.predict import (
    MAX_BATCH_ROWS,
    Result,
    join_rows,
    predict_alone,
    predict_together,
    read_told,
)
from tidegate.serve.record import Metrics
from tidegate.serve.route import Answer, Arm, Route, Told, choose

if TYPE_CHECKING:
    import numpy as np

SLOW_S = 1e-3
MAX_WAITING_ROWS = 16_384
EXPIRE_S = 0.02
WAITS, ANSWERED, LATE, GONE = 0, 200, 504, 499

# writes rows to the log; where the log waits for the disk, what it returns ends when they are there
Write = Callable[[Sequence[Prediction]], "Awaitable[None] | None"]
# takes the answer to a request, or why there is none; never raises
Deliver = Callable[["Answered | Exception"], None]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A request as the engine takes it: `rows` [n, columns], `unit` "" when its arm is not drawn by chance.

    `flags` are the marks of each row that the contract only flags; empty when there are none at all. At
    `deadline`, in monotonic seconds, nobody waits for the answer any more.
    """

    id: str
    unit: str
    rows: "np.ndarray"
    at: float
    flags: tuple[tuple[str, ...], ...] = ()
    deadline: float = math.inf


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A request's answer: ids and predictions by row, scores [rows, classes], and the arm that gave them."""

    ids: tuple[str, ...]
    predictions: list[Answer]
    scores: list[list[float]]
    arm: Arm


class ModelFailedError(TidegateError):
    """The model raised on these rows; the reply is a 500."""


class LateError(TidegateError):
    """The request's deadline passed before its answer was there; the reply is a 504."""


class Job:
    """A request that waits for its batch; `status` says how that ended, WAITS until then."""

    __slots__ = ("_deliver", "arm", "ask", "digest", "size", "status")

    def __init__(self, ask: Ask, arm: Arm, deliver: Deliver) -> None:
        self.ask = ask
        self.arm = arm
        self.digest = arm.model.digest
        self.size = len(ask.rows)
        self.status = WAITS
        self._deliver = deliver

    def leave(self) -> None:
        """Nobody waits for the answer any more; nothing is delivered."""
        self.status = self.status or GONE

    def end(self, found: "Answered | Exception", status: int = ANSWERED) -> None:
        """Deliver, unless somebody has left or was told already."""
        if self.status == WAITS:
            self.status = status
            self._deliver(found)


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
        self.poll = BusyPoll()
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

    def submit(self, ask: Ask, arm: Arm, deliver: Deliver) -> Job:
        """Predict and log; `deliver` is called once, in a later turn of the loop, unless the job is left.

        It gets UnavailableError when the model's process is down, LateError at the deadline, and
        ModelFailedError when the model fails on these rows. Raises UnavailableError when too many rows wait.
        """
        size = len(ask.rows)
        if self._rows + size > MAX_WAITING_ROWS and self._rows:
            raise UnavailableError("", f"{self._rows} rows are waiting, try again in a second")
        job = Job(ask, arm, deliver)
        self._waiting.append(job)
        self._rows += size
        if not self._is_due:
            self._run_soon(asyncio.get_running_loop())
        return job

    async def answer(self, ask: Ask, *, arm: Arm | None = None) -> Answered:
        """The same for who can wait; `arm` is the one that the front has chosen, else the unit decides."""
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        job = self.submit(ask, arm or choose(self.live(), ask.unit), partial(_settle, future))
        try:
            return await future
        finally:
            job.leave()

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
            for batch in _batches(jobs):
                if digest in self._busy:
                    self._waiting += batch
                else:
                    self._run_batch(loop, batch)

    def _run_batch(self, loop: asyncio.AbstractEventLoop, batch: list[Job]) -> None:
        """Answer at once what is quick; what is not keeps its model busy until it is back."""
        jobs = [job for job in batch if job.status == WAITS]
        if len(jobs) < len(batch):
            self._drop([job for job in batch if job.status != WAITS])
        if not jobs:
            return
        model = jobs[0].arm.model
        if model.is_remote:
            self._ask_remote(loop, jobs)
        elif self.costs.expected_s(model.digest, _rows_of(jobs)) > SLOW_S:
            self._run_in_thread(loop, jobs, predict_together)
        else:
            self._finish(jobs, self._predict(jobs, predict_together))

    def _ask_remote(self, loop: asyncio.AbstractEventLoop, jobs: list[Job]) -> None:
        """Ask a model's process, by a thread only where the question itself might block."""
        told = partial(self._told, loop, jobs, time.perf_counter())
        self._hold(loop, jobs)
        rows = join_rows([job.ask.rows for job in jobs])
        if not jobs[0].arm.model.ask(rows, loop, told, awake=self.poll.is_close):
            self._run_in_thread(loop, jobs, predict_together)
        elif len(jobs) == 1 and not self._waiting:
            self.poll.await_model(loop, self.costs.expected_s(jobs[0].digest, len(rows)))

    def _told(self, loop: asyncio.AbstractEventLoop, jobs: list[Job], began: float, told: Told) -> None:
        """A model's process has answered all of a batch, or has failed on all of it."""
        self.poll.heard_model()
        results = read_told(told, [job.ask.rows for job in jobs])
        if results is None:
            self._run_in_thread(loop, jobs, predict_alone)
            return
        self._count(jobs, time.perf_counter() - began)
        self._back(loop, jobs, results)

    def _run_in_thread(
        self, loop: asyncio.AbstractEventLoop, jobs: list[Job], predict: Callable[..., list[Result]]
    ) -> None:
        self._hold(loop, jobs)
        done = loop.run_in_executor(self._thread_of(jobs[0]), self._predict, jobs, predict)
        done.add_done_callback(lambda done: self._back(loop, jobs, done.result()))

    def _hold(self, loop: asyncio.AbstractEventLoop, jobs: list[Job]) -> None:
        """The model of these is busy; deadlines are looked at now and then meanwhile, a quick batch needs none."""
        self._busy[jobs[0].digest] = jobs
        if not self._is_watched:
            self._is_watched = True
            loop.call_later(EXPIRE_S, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_watched = False
        now = time.monotonic()
        for job in (*self._waiting, *(job for jobs in self._busy.values() for job in jobs)):
            if job.ask.deadline <= now:
                job.end(LateError("", "the answer was not there at the request's deadline"), LATE)
        if self._busy:
            self._is_watched = True
            loop.call_later(EXPIRE_S, self._expire, loop)

    def _thread_of(self, job: Job) -> ThreadPoolExecutor:
        """A thread that waits for another process is nobody else's: it may hang."""
        if not job.arm.model.is_remote:
            return self._pool
        if job.digest not in self._pools:
            name = f"predict-{job.digest[:8]}"
            self._pools[job.digest] = ThreadPoolExecutor(1, thread_name_prefix=name)
        return self._pools[job.digest]

    def _back(self, loop: asyncio.AbstractEventLoop, jobs: list[Job], results: Sequence[Result]) -> None:
        self._busy.pop(jobs[0].digest, None)
        self._finish(jobs, results)
        if self._waiting:
            self._run_soon(loop)

    def _predict(self, jobs: list[Job], predict: Callable[..., list[Result]]) -> list[Result]:
        began = time.perf_counter()
        results = predict(jobs[0].arm.model, [job.ask.rows for job in jobs])
        self._count(jobs, time.perf_counter() - began)
        return results

    def _count(self, jobs: list[Job], seconds: float) -> None:
        rows = _rows_of(jobs)
        self._metrics.batch(jobs[0].arm.version, rows, seconds=seconds)
        self.costs.learn(jobs[0].digest, rows, seconds=seconds)

    def _drop(self, jobs: list[Job]) -> None:
        """Log what nobody waits for any more; the model is not asked."""
        self._finish(jobs, [Result([], [], LateError("", "nobody waits for the answer"))] * len(jobs))

    def _finish(self, jobs: list[Job], results: Sequence[Result]) -> None:
        """Log first, then reply: what was acknowledged is on disk."""
        now = time.time()
        endpoint = self.route.endpoint if self.route else ""
        replies: list[Answered | Exception] = []
        rows: list[Prediction] = []
        for job, result in zip(jobs, results, strict=True):
            ids = row_ids(job.ask.id, job.size)
            reply = _reply_of(job, ids, result)
            replies.append(reply)
            rows += _logged(job, ids, reply, endpoint=endpoint, now=now)
        try:
            pending = self._write(rows)
        except Exception as error:  # what the log cannot hold is not given, but nobody waits forever
            self._reply(jobs, [error] * len(jobs))
            return
        if pending is None:
            self._reply(jobs, replies)
        else:
            written = asyncio.ensure_future(pending)
            written.add_done_callback(partial(self._written, jobs, replies))

    def _written(
        self, jobs: list[Job], replies: "list[Answered | Exception]", done: "asyncio.Future[None]"
    ) -> None:
        error = done.exception()
        self._reply(jobs, replies if error is None else [_as_error(error)] * len(jobs))

    def _reply(self, jobs: list[Job], replies: "list[Answered | Exception]") -> None:
        for job, reply in zip(jobs, replies, strict=True):
            self._rows -= job.size
            job.end(reply)


def _settle(future: "asyncio.Future[Answered]", found: Answered | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Answered):
        future.set_result(found)
    else:
        future.set_exception(found)


def _rows_of(jobs: list[Job]) -> int:
    # most requests are alone in their turn
    return jobs[0].size if len(jobs) == 1 else sum([job.size for job in jobs])


def _batches(jobs: list[Job]) -> list[list[Job]]:
    """Requests that go together, in their order: no batch is larger than MAX_BATCH_ROWS unless it is one request."""
    if _rows_of(jobs) <= MAX_BATCH_ROWS:
        return [jobs]
    found: list[list[Job]] = [[]]
    size = 0
    for job in jobs:
        if found[-1] and size + job.size > MAX_BATCH_ROWS:
            found.append([])
            size = 0
        found[-1].append(job)
        size += job.size
    return found


def _as_error(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else UnavailableError("", "the gateway is stopping")


def row_ids(request: str, n: int) -> tuple[str, ...]:
    """The ids of a request's rows: its own for a single one, else numbered from `.0`."""
    return (request,) if n == 1 else tuple(f"{request}.{i}" for i in range(n))


def _reply_of(job: Job, ids: tuple[str, ...], result: Result) -> Answered | TidegateError:
    if result.error is None:
        return Answered(ids, result.answers, result.scores, job.arm)
    if isinstance(result.error, UnavailableError | LateError):
        return result.error
    said = str(result.error).removeprefix("model: ")
    return ModelFailedError("model", said or type(result.error).__name__)


def _status(job: Job, reply: Answered | TidegateError) -> int:
    """What the client is told, as far as it still listens."""
    if job.status != WAITS:
        return job.status
    if isinstance(reply, Answered):
        return ANSWERED
    return 503 if isinstance(reply, UnavailableError) else 500


def _logged(
    job: Job, ids: tuple[str, ...], reply: Answered | TidegateError, *, endpoint: str, now: float
) -> list[Prediction]:
    """A request's rows as they stand in the log."""
    ask, status = job.ask, _status(job, reply)
    latency_ms = (now - ask.at) * 1000
    digest, role, flags = job.digest, job.arm.role, ask.flags
    answered = reply if isinstance(reply, Answered) and status == ANSWERED else None
    return [
        Prediction(
            ids[i],
            ask.at,
            ask.unit,
            endpoint,
            digest,
            role,
            tuple(inputs),
            answered.predictions[i] if answered else None,
            tuple(answered.scores[i]) if answered else (),
            latency_ms,
            status,
            flags[i] if flags else (),
        )
        for i, inputs in enumerate(ask.rows.tolist())
    ]
