"""The engine behind every front: requests in, rows through the model in batches, logged, answered.

Batches have no timer: what arrived in the same turn of the event loop goes together, and so does what
arrived while a batch was running. Where requests have come one at a time, the next one does not wait for the
end of its turn, which costs as much as the model does.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from tidegate.errors import UnavailableError
from tidegate.serve.busypoll import BusyPoll
from tidegate.serve.job import LATE, WAITS, Answered, Ask, Deliver, Job, LateError, count_rows
from tidegate.serve.predict import MAX_BATCH_ROWS, Result
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route, choose
from tidegate.serve.runner import Runner
from tidegate.serve.scribe import Scribe, Write

MAX_WAITING_ROWS = 16_384
EXPIRE_S = 0.02
# after so many turns with one request each, the first of a turn goes at once
LONE_TURNS = 16


class Engine:
    """Owns the waiting requests; lives on one event loop."""

    def __init__(self, write: Write, metrics: Metrics | None = None, poll: BusyPoll | None = None) -> None:
        self.route: Route | None = None
        self.poll = poll or BusyPoll()
        self.runner = Runner(metrics or Metrics(), self.poll)
        self._scribe = Scribe(write)
        self._waiting: list[Job] = []
        self._busy: dict[str, list[Job]] = {}
        self._is_watched = False
        self._is_due = False
        self._arrived = 0
        self._lone_turns = 0

    @property
    def waiting_rows(self) -> int:
        """How many rows are not answered yet."""
        return self._scribe.waiting_rows

    def live(self) -> Route:
        """The route; UnavailableError while nothing is live."""
        if self.route is None:
            raise UnavailableError("", "nothing is live yet", hint="tidegate apply")
        return self.route

    def submit(self, ask: Ask, arm: Arm, deliver: Deliver) -> Job:
        """Predict and log; `deliver` is called once, now or in a later turn of the loop, unless the job is left.

        It gets UnavailableError when the model's process is down, LateError at the deadline, and
        ModelFailedError when the model fails on these rows. Raises UnavailableError when too many rows wait.
        """
        size, waiting = len(ask.rows), self._scribe.waiting_rows
        if waiting + size > MAX_WAITING_ROWS and waiting:
            raise UnavailableError("", f"{waiting} rows are waiting, try again in a second")
        job = Job(ask, arm, deliver)
        self._waiting.append(job)
        self._scribe.waiting_rows += size
        self._arrived += 1
        if not self._is_due:
            loop = asyncio.get_running_loop()
            self._run_soon(loop)
            if self._lone_turns >= LONE_TURNS:
                self._start(loop)
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
        self._scribe.refuse(request, unit, endpoint=self.live().endpoint, arm=arm, at=at)

    def close(self) -> None:
        """Let the running batches finish; nothing new is taken."""
        self.runner.close()

    def _run_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """The turn is over: run what came in it."""
        self._is_due = False
        if self._arrived:
            self._lone_turns = self._lone_turns + 1 if self._arrived == 1 else 0
            self._arrived = 0
        if self._waiting:
            self._start(loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Batches of what waits, as far as its model is free."""
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
        """Ask the model what somebody still waits for; until it is back, its model is busy."""
        jobs = [job for job in batch if job.status == WAITS]
        if len(jobs) < len(batch):
            gone = [job for job in batch if job.status != WAITS]
            self._scribe.drop(gone, endpoint=self._endpoint)
        if not jobs:
            return
        self._busy[jobs[0].digest] = jobs
        self.runner.run(loop, jobs, partial(self._back, loop), is_alone=not self._waiting)
        if self._busy and not self._is_watched:
            self._watch(loop)

    def _back(self, loop: asyncio.AbstractEventLoop, jobs: list[Job], results: Sequence[Result]) -> None:
        del self._busy[jobs[0].digest]
        self._scribe.finish(jobs, results, endpoint=self._endpoint)
        if self._waiting:
            self._run_soon(loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the deadlines now and then while a model is busy; a quick batch is over before any."""
        self._is_watched = True
        loop.call_later(EXPIRE_S, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_watched = False
        now = time.monotonic()
        for job in (*self._waiting, *(job for jobs in self._busy.values() for job in jobs)):
            if job.ask.deadline <= now:
                job.end(LateError("", "the answer was not there at the request's deadline"), LATE)
        if self._busy:
            self._watch(loop)

    @property
    def _endpoint(self) -> str:
        return self.route.endpoint if self.route else ""


def _settle(future: "asyncio.Future[Answered]", found: Answered | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Answered):
        future.set_result(found)
    else:
        future.set_exception(found)


def _batches(jobs: list[Job]) -> list[list[Job]]:
    """Requests that go together, in their order: no batch is larger than MAX_BATCH_ROWS unless it is one request."""
    if count_rows(jobs) <= MAX_BATCH_ROWS:
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
