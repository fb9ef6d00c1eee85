"""What became of requests: written to the prediction log first, then told; what was acknowledged is on disk."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tidegate.domain import Prediction
from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve.job import ANSWERED, WAITS, Answered, Job, LateError, ModelFailedError
from tidegate.serve.predict import Result
from tidegate.serve.route import Arm

# writes rows to the log; where the log waits for the disk, what it returns ends when they are there
Write = Callable[[Sequence[Prediction]], "Awaitable[None] | None"]


class Scribe:
    """Writes down and tells how jobs ended; `waiting_rows` are those of jobs that were not told yet."""

    def __init__(self, write: Write) -> None:
        self.waiting_rows = 0
        self._write = write

    def finish(self, jobs: list[Job], results: Sequence[Result], *, endpoint: str) -> None:
        """The model has answered, or has not."""
        now = time.time()
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
            self._tell(jobs, [error] * len(jobs))
            return
        if pending is None:
            self._tell(jobs, replies)
        else:
            written = asyncio.ensure_future(pending)
            written.add_done_callback(partial(self._written, jobs, replies))

    def drop(self, jobs: list[Job], *, endpoint: str) -> None:
        """Nobody waits for these any more, and no model was asked."""
        late = Result([], [], LateError("", "nobody waits for the answer"))
        self.finish(jobs, [late] * len(jobs), endpoint=endpoint)

    def refuse(self, request: str, unit: str, *, endpoint: str, arm: Arm, at: float) -> None:
        """Log, with status 400, a request that this arm does not take although the other one would."""
        latency_ms = (time.time() - at) * 1000
        digest = arm.model.digest
        row = Prediction(request, at, unit, endpoint, digest, arm.role, (), None, (), latency_ms, 400)
        self._write([row])

    def _written(
        self, jobs: list[Job], replies: list[Answered | Exception], done: "asyncio.Future[None]"
    ) -> None:
        error = done.exception()
        self._tell(jobs, replies if error is None else [_as_error(error)] * len(jobs))

    def _tell(self, jobs: list[Job], replies: list[Answered | Exception]) -> None:
        for job, reply in zip(jobs, replies, strict=True):
            self.waiting_rows -= job.size
            job.end(reply)


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
