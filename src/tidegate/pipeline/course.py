"""The way of a run from stage to stage: bring one up to date, and note what that means for those to come."""

from collections.abc import Iterator, Mapping

from tidegate.errors import TidegateError
from tidegate.pipeline.graph import active, reverse
from tidegate.pipeline.job import Job, Request, Step
from tidegate.pipeline.plan import Reason
from tidegate.pipeline.project import Project, explain_stage, explain_without_missing


class Course:
    """What the steps so far mean for the stages to come: which are forced, and which cannot run any more."""

    def __init__(self, project: Project, request: Request) -> None:
        self.request = request
        self._users = reverse(active(project.graph, project.stages))
        self._forced: set[str] = set()
        self.barred: set[str] = set()

    def attempt(self, job: Job, key: str, environment: Mapping[str, str] = {}) -> Step:
        """Bring one stage up to date, whose needs are; what goes wrong becomes part of the step."""
        force = key in self._forced or job.options.force
        try:
            return bring_up_to_date(job, key, force=force, environment=environment)
        except TidegateError as error:
            return Step(key, "failed", error=error)

    def follow(self, step: Step) -> Step:
        """Take note of a step and pass it on."""
        if step.error and self.request.on_error == "keep_going":
            self.barred.update(_downstream(self._users, step.stage))
        if self.request.force_downstream and step.action in ("ran", "restored", "saved"):
            self._forced.update(self._users[step.stage])
        return step

    def is_over(self, step: Step) -> bool:
        """Whether the run ends with this step."""
        return step.error is not None and self.request.on_error == "stop"


def bring_up_to_date(job: Job, key: str, *, force: bool, environment: Mapping[str, str] = {}) -> Step:
    """Skip, restore or run one stage, whose needs are up to date."""
    stage = job.project.stages[key]
    reasons = (Reason("forced"),) if force and not stage.frozen else explain_stage(job.project, key)
    if job.options.allow_missing:
        reasons = explain_without_missing(job.project, key, reasons)
    if not reasons:
        return Step(key, "skipped")
    from tidegate.pipeline.work import renew

    return renew(job, stage, reasons, environment)


def _downstream(users: Mapping[str, tuple[str, ...]], key: str) -> Iterator[str]:
    """Everything that needs a stage, directly or not."""
    seen: set[str] = set()
    waiting = list(users[key])
    while waiting:
        user = waiting.pop()
        if user not in seen:
            seen.add(user)
            waiting += users[user]
            yield user
