"""The engine behind every front: requests in, rows through the model in batches, logged, answered.

Batches have no timer: what arrived in the same turn of the event loop goes together, and so does what
arrived while a batch was running. A batch that is expected to take longer than SLOW_S runs in a thread.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tidegate.domain import Prediction
from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve.route import Answer, Arm, Model, Route, choose

if TYPE_CHECKING:
    import numpy as np

SLOW_S = 400e-6
MAX_WAITING_ROWS = 16_384
SMOOTHING = 0.2

Write = Callable[[Sequence[Prediction]], None]


class Ask(NamedTuple):
    """A request as the engine takes it: `rows` [n, columns], `unit` "" when its arm is not drawn by chance.

    `flags` are the marks of each row that the contract only flags; empty when there are none at all.
    """

    id: str
    unit: str
    rows: "np.ndarray"
    at: float
    flags: tuple[tuple[str, ...], ...] = ()


class Answered(NamedTuple):
    """A request's answer: ids, predictions and scores by row, and the arm that gave them."""

    ids: tuple[str, ...]
    predictions: list[Answer]
    scores: list[list[float]]
    arm: Arm


class ModelFailedError(TidegateError):
    """The model raised on these rows; the reply is a 500."""


class Job(NamedTuple):
    """A request that waits for its batch."""

    ask: Ask
    arm: Arm
    reply: "asyncio.Future[Answered]"


class Engine:
    """Owns the waiting requests and the thread for slow batches; lives on one event loop."""

    def __init__(self, write: Write) -> None:
        self.route: Route | None = None
        self._write = write
        self._waiting: list[Job] = []
        self._rows = 0
        self._busy: set[str] = set()
        self._row_s: dict[str, float] = {}
        self._is_due = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predict")

    def live(self) -> Route:
        """The route; UnavailableError while nothing is live."""
        if self.route is None:
            raise UnavailableError("", "nothing is live yet", hint="tidegate apply")
        return self.route

    async def answer(self, ask: Ask, *, arm: Arm | None = None) -> Answered:
        """Predict and log; `arm` is the one that the front has chosen, else the unit decides.

        Raises UnavailableError when too many rows wait and ModelFailedError when the model fails on these.
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

    def close(self) -> None:
        """Let the running batch finish; nothing new is taken."""
        self._pool.shutdown(wait=True)

    def _run_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        ready = [job for job in self._waiting if job.arm.model.digest not in self._busy]
        self._waiting = [job for job in self._waiting if job.arm.model.digest in self._busy]
        batches: dict[str, list[Job]] = {}
        for job in ready:
            batches.setdefault(job.arm.model.digest, []).append(job)
        for digest, jobs in batches.items():
            rows = sum(len(job.ask.rows) for job in jobs)
            if rows * self._row_s.get(digest, 0.0) > SLOW_S:
                self._busy.add(digest)
                task = loop.run_in_executor(self._pool, self._predict, jobs)
                task.add_done_callback(partial(self._back, loop, jobs))
            else:
                self._finish(jobs, self._predict(jobs))

    def _back(
        self, loop: asyncio.AbstractEventLoop, jobs: Sequence[Job], done: "asyncio.Future[list[Result]]"
    ) -> None:
        self._busy.discard(jobs[0].arm.model.digest)
        self._finish(jobs, done.result())
        if self._waiting:
            self._run_soon(loop)

    def _predict(self, jobs: Sequence[Job]) -> "list[Result]":
        model = jobs[0].arm.model
        began = time.perf_counter()
        results = predict_together(model, [job.ask.rows for job in jobs])
        took = (time.perf_counter() - began) / sum(len(job.ask.rows) for job in jobs)
        before = self._row_s.get(model.digest, took)
        self._row_s[model.digest] = before + SMOOTHING * (took - before)
        return results

    def _finish(self, jobs: Sequence[Job], results: "Sequence[Result]") -> None:
        """Log first, then reply: what was acknowledged is on disk."""
        now = time.time()
        endpoint = self.route.endpoint if self.route else ""
        done = [_answered(job, result) for job, result in zip(jobs, results, strict=True)]
        replies: list[Answered | Exception] = [*done]
        rows = (_rows(endpoint, job, one, now) for job, one in zip(jobs, done, strict=True))
        try:
            self._write([row for some in rows for row in some])
        except Exception as error:  # what the log cannot hold is not given, but nobody waits forever
            replies = [error for _ in jobs]
        for job, reply in zip(jobs, replies, strict=True):
            self._rows -= len(job.ask.rows)
            if job.reply.cancelled():
                continue
            if isinstance(reply, Answered):
                job.reply.set_result(reply)
            else:
                job.reply.set_exception(reply)


class Result(NamedTuple):
    """What the model said to one request; `problem` when it failed."""

    answers: list[Answer]
    scores: list[list[float]]
    problem: str = ""


def predict_together(model: Model, requests: "Sequence[np.ndarray]") -> list[Result]:
    """One call for all requests; when it fails, one call each, so that no neighbor suffers."""
    import numpy as np

    try:
        answers, scores = _ask(model, requests[0] if len(requests) == 1 else np.concatenate(requests))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a model raises the gateway goes on, a panic of Rust too
        if len(requests) == 1:
            return [Result([], [], str(error) or type(error).__name__)]
        return [result for rows in requests for result in predict_together(model, [rows])]
    results, start = [], 0
    for rows in requests:
        end = start + len(rows)
        results.append(Result(answers[start:end], scores[start:end]))
        start = end
    return results


def _ask(model: Model, rows: "np.ndarray") -> tuple[list[Answer], list[list[float]]]:
    answers, scores = model.predict(rows)
    if not len(answers) == len(scores) == len(rows):
        found = f"{len(answers)} answers and {len(scores)} rows of scores for {len(rows)} rows"
        raise TidegateError("", f"gave {found}, expected one each")
    return answers, scores.tolist()


def row_ids(request: str, n: int) -> tuple[str, ...]:
    """The ids of a request's rows: its own for a single one, else numbered from `.0`."""
    return (request,) if n == 1 else tuple(f"{request}.{i}" for i in range(n))


def _answered(job: Job, result: Result) -> Answered | ModelFailedError:
    if result.problem:
        return ModelFailedError("model", result.problem)
    return Answered(row_ids(job.ask.id, len(job.ask.rows)), result.answers, result.scores, job.arm)


def _rows(endpoint: str, job: Job, one: Answered | ModelFailedError, now: float) -> list[Prediction]:
    ask, arm = job.ask, job.arm
    latency_ms = (now - ask.at) * 1000
    inputs = ask.rows.tolist()
    failed = isinstance(one, ModelFailedError)
    return [
        Prediction(
            request,
            ask.at,
            ask.unit,
            endpoint,
            arm.model.digest,
            arm.role,
            tuple(inputs[i]),
            None if isinstance(one, ModelFailedError) else one.predictions[i],
            () if isinstance(one, ModelFailedError) else tuple(one.scores[i]),
            latency_ms,
            500 if failed else 200,
            ask.flags[i] if ask.flags else (),
        )
        for i, request in enumerate(row_ids(ask.id, len(inputs)))
    ]
