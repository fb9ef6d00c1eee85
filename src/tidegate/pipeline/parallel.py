"""Run stages side by side, as far as the graph, `-j` and the machine allow; a thread for each."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tidegate.pipeline.course import Course
from tidegate.pipeline.execute import interruptible
from tidegate.pipeline.graph import active
from tidegate.pipeline.job import Job, Step
from tidegate.pipeline.schedule import Grant, State, next_grant, refuse_impossible, this_machine


def run_side_by_side(job: Job, keys: tuple[str, ...], course: Course) -> Iterator[Step]:
    """Bring the stages up to date, several at once; steps come in the order of finishing.

    The first failure lets what runs finish and then is raised, unless the request says to go on. An interrupt
    ends what runs.
    """
    with interruptible(), ThreadPoolExecutor(course.request.jobs, thread_name_prefix="stage") as pool:
        floor = _Floor(job, keys, course, pool)
        try:
            while floor.fill():
                yield from floor.finished()
        except BaseException:
            job.journal.stop()
            raise
    if floor.last and floor.last.error:
        raise floor.last.error


class _Floor:
    """Stages that wait and stages at work; `last` is the failure after which no other stage begins."""

    def __init__(self, job: Job, keys: tuple[str, ...], course: Course, pool: ThreadPoolExecutor) -> None:
        self._job, self._course, self._pool = job, course, pool
        self._graph = active(job.project.graph, job.project.stages)
        self._machine = this_machine()
        self._waiting = [job.project.stages[key] for key in keys]
        self._work: dict[Future[Step], Grant] = {}
        self.last: Step | None = None
        refuse_impossible(self._waiting, self._machine)

    def fill(self) -> bool:
        """Begin what may begin now; whether anything is at work."""
        while not self.last and len(self._work) < self._course.request.jobs and self._begin_next():
            pass
        return bool(self._work)

    def finished(self) -> Iterator[Step]:
        """Wait for a stage to finish and take note of it."""
        done, _ = wait(self._work, return_when=FIRST_COMPLETED)
        for future in done:
            del self._work[future]
            step = self._course.follow(future.result())
            if self._course.is_over(step):
                self.last = self.last or step
            else:
                yield step
        self._waiting = [stage for stage in self._waiting if stage.key not in self._course.barred]

    def _begin_next(self) -> bool:
        state = State(tuple(self._waiting), tuple(self._work.values()))
        grant = next_grant(state, self._graph, self._machine)
        if grant is None:
            return False
        self._waiting.remove(grant.stage)
        names = {"CUDA_VISIBLE_DEVICES": ",".join(grant.gpus)} if grant.stage.resources.gpus else {}
        self._work[self._pool.submit(self._course.attempt, self._job, grant.stage.key, names)] = grant
        return True
