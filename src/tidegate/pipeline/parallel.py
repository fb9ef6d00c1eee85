"""Run stages side by side, as far as the graph, `-j` and the machine allow; a thread for each."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tidegate.errors import TidegateError
from tidegate.pipeline.execute import interruptible
from tidegate.pipeline.graph import active
from tidegate.pipeline.job import Job, Request, Step
from tidegate.pipeline.reproduce import Course, bring_up_to_date
from tidegate.pipeline.schedule import Grant, State, next_grant, refuse_impossible, this_machine

Work = dict[Future[Step], Grant]


def run_side_by_side(job: Job, keys: tuple[str, ...], request: Request) -> Iterator[Step]:
    """Bring the stages up to date, at most `request.jobs` at once; steps come in the order of finishing.

    The first failure lets what runs finish and then is raised, unless the request says to go on. An interrupt
    ends what runs.
    """
    machine = this_machine()
    stages = [job.project.stages[key] for key in keys]
    refuse_impossible(stages, machine)
    graph = active(job.project.graph, job.project.stages)
    course = Course(job.project, request)
    waiting, work, failures = list(stages), Work(), list[TidegateError]()
    with interruptible(), ThreadPoolExecutor(request.jobs, thread_name_prefix="stage") as pool:
        try:
            while waiting or work:
                while not failures and len(work) < request.jobs:
                    state = State(tuple(waiting), tuple(work.values()))
                    grant = next_grant(state, graph, machine)
                    if grant is None:
                        break
                    waiting.remove(grant.stage)
                    work[pool.submit(_attempt, job, grant, course)] = grant
                if not work:
                    break
                for step in _finished(work):
                    if step.error and request.on_error == "stop":
                        failures.append(step.error)
                    yield course.follow(step)
                waiting = [stage for stage in waiting if stage.key not in course.barred]
        except BaseException:
            job.journal.stop()
            raise
    if failures:
        raise failures[0]


def _finished(work: Work) -> list[Step]:
    done, _ = wait(work, return_when=FIRST_COMPLETED)
    for future in done:
        del work[future]
    return [future.result() for future in done]


def _attempt(job: Job, grant: Grant, course: Course) -> Step:
    key = grant.stage.key
    environment = {"CUDA_VISIBLE_DEVICES": ",".join(grant.gpus)} if grant.stage.resources.gpus else {}
    try:
        force = key in course.forced or job.options.force
        return bring_up_to_date(job, key, force=force, environment=environment)
    except TidegateError as error:
        return Step(key, "failed", error=error)
