"""What became of requests: written to the prediction log first, then told; what was acknowledged is on disk."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve.job import ANSWERED, WAITS, Answered, Job, LateError, ModelFailedError
from tidegate.serve.predict import Result
from tidegate.serve.route import Arm
from tidegate.store.predictions.entry import Entry, pack_cells, row_ids

# writes rows to the log; where the log waits for the disk, what it returns ends when they are there
Write = Callable[[Sequence[Entry]], "Awaitable[None] | None"]


class Scribe:
    """Writes down and tells how jobs ended; `waiting_rows` are those of jobs that were not told yet."""

    def __init__(self, write: Write) -> None:
        self.waiting_rows = 0
        self._write = write

    def finish(self, jobs: list[Job], results: Sequence[Result], *, endpoint: str) -> None:
        """The model has answered, or has not."""
        now = time.time()
        replies: list[Answered | Exception] = []
        entries: list[Entry] = []
        for job, result in zip(jobs, results, strict=True):
            reply = _reply_of(job, result)
            replies.append(reply)
            entries.append(_logged(job, reply, endpoint=endpoint, now=now))
        try:
            pending = self._write(entries)
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
        entry = Entry(request, 1, at, unit, endpoint, digest, arm.role, b"", (), (), latency_ms, 400)
        self._write([entry])

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


def _reply_of(job: Job, result: Result) -> Answered | TidegateError:
    error = result.error
    if error is None:
        return Answered(row_ids(job.ask.id, job.size), result.answers, result.scores, job.arm)
    if isinstance(error, UnavailableError | LateError):
        return error
    return ModelFailedError("model", str(error).removeprefix("model: ") or type(error).__name__)


def _status(job: Job, reply: Answered | TidegateError) -> int:
    """What the client is told, as far as it still listens."""
    if job.status != WAITS:
        return job.status
    if isinstance(reply, Answered):
        return ANSWERED
    return 503 if isinstance(reply, UnavailableError) else 500


def _logged(job: Job, reply: Answered | TidegateError, *, endpoint: str, now: float) -> Entry:
    """A request as it stands in the log."""
    ask, status = job.ask, _status(job, reply)
    answered = reply if isinstance(reply, Answered) and status == ANSWERED else None
    return Entry(
        ask.id,
        job.size,
        ask.at,
        ask.unit,
        endpoint,
        job.digest,
        job.arm.role,
        pack_cells(ask.rows),
        answered.predictions if answered else (),
        answered.scores if answered else (),
        (now - ask.at) * 1000,
        status,
        ask.flags,
    )
