"""How a batch gets through its model: at once when that is quick, in a thread, or by asking its process."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tidegate.domain.model import Told
from tidegate.serve.busypoll import BusyPoll
from tidegate.serve.costs import Costs
from tidegate.serve.job import Job, count_rows
from tidegate.serve.predict import Result, join_rows, predict_alone, predict_together, read_told
from tidegate.serve.record import Metrics

SLOW_S = 1e-3

# takes what the model said to each job
Done = Callable[[list[Job], Sequence[Result]], None]


class Runner:
    """Knows what batches cost and owns the threads for slow ones: one for all models here, one a remote model.

    A thread that waits for another process is nobody else's: it may hang.
    """

    def __init__(self, metrics: Metrics, poll: BusyPoll) -> None:
        self.costs = Costs()
        self._metrics = metrics
        self._poll = poll
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def run(self, loop: asyncio.AbstractEventLoop, jobs: list[Job], done: Done, *, is_alone: bool) -> None:
        """Ask the model of these jobs, and have `done` called now or later on the loop.

        `is_alone` says that nothing else waits, so that the loop may wait awake for what is quick.
        """
        if jobs[0].arm.model.is_remote:
            self._ask(loop, jobs, done, is_alone=is_alone)
        elif self.costs.expected_s(jobs[0].digest, count_rows(jobs)) > SLOW_S:
            self._run_in_thread(loop, jobs, done, predict_together)
        else:
            self._finish(jobs, done, *_predict(jobs, predict_together))

    def forget(self, digest: str) -> None:
        """Give back the thread of a bundle that is no longer served; its last batch finishes."""
        pool = self._pools.pop(digest, None)
        if pool is not None:
            pool.shutdown(wait=False)

    def close(self) -> None:
        """Let the running batches finish."""
        for pool in (self._pool, *self._pools.values()):
            pool.shutdown(wait=True)

    def _ask(self, loop: asyncio.AbstractEventLoop, jobs: list[Job], done: Done, *, is_alone: bool) -> None:
        """Ask a model's process, by a thread only where the question itself might block."""
        rows = join_rows([job.ask.rows for job in jobs])
        told = partial(self._told, loop, jobs, done, time.perf_counter())
        is_alone = is_alone and len(jobs) == 1
        if not jobs[0].arm.model.ask(rows, loop, told, awake=is_alone and self._poll.is_close):
            self._run_in_thread(loop, jobs, done, predict_together)
        elif is_alone:
            self._poll.await_model(loop, self.costs.expected_s(jobs[0].digest, len(rows)))

    def _told(
        self, loop: asyncio.AbstractEventLoop, jobs: list[Job], done: Done, began: float, told: Told
    ) -> None:
        """A model's process has answered all of a batch, or has failed on all of it."""
        self._poll.heard_model()
        results = read_told(told, [job.ask.rows for job in jobs])
        if results is None:
            self._run_in_thread(loop, jobs, done, predict_alone)
            return
        self._finish(jobs, done, results, time.perf_counter() - began)

    def _run_in_thread(
        self,
        loop: asyncio.AbstractEventLoop,
        jobs: list[Job],
        done: Done,
        predict: Callable[..., list[Result]],
    ) -> None:
        running = loop.run_in_executor(self._thread_of(jobs[0]), _predict, jobs, predict)
        running.add_done_callback(lambda future: self._finish(jobs, done, *future.result()))

    def _thread_of(self, job: Job) -> ThreadPoolExecutor:
        if not job.arm.model.is_remote:
            return self._pool
        if job.digest not in self._pools:
            name = f"predict-{job.digest[:8]}"
            self._pools[job.digest] = ThreadPoolExecutor(1, thread_name_prefix=name)
        return self._pools[job.digest]

    def _finish(self, jobs: list[Job], done: Done, results: list[Result], seconds: float) -> None:
        """Hand over the results, and count when they are gone: clients wait for nothing that they do not need."""
        done(jobs, results)
        rows = count_rows(jobs)
        self._metrics.batch(jobs[0].arm.version, rows, seconds=seconds)
        self.costs.learn(jobs[0].digest, rows, seconds=seconds)


def _predict(jobs: list[Job], predict: Callable[..., list[Result]]) -> tuple[list[Result], float]:
    """The results and how many seconds they took."""
    began = time.perf_counter()
    results = predict(jobs[0].arm.model, [job.ask.rows for job in jobs])
    return results, time.perf_counter() - began
