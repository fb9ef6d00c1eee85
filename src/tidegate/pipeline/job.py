"""What passes between those who bring stages up to date and those who watch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from tidegate.errors import TidegateError
from tidegate.pipeline.plan import Reason
from tidegate.pipeline.targets import PLAIN, Choice

if TYPE_CHECKING:
    from tidegate.pipeline.journal import Journal
    from tidegate.pipeline.project import Project

Action = Literal["running", "ran", "restored", "saved", "skipped", "stale", "failed"]
Scope = Literal["upstream", "single", "pipeline", "all", "downstream"]
OnError = Literal["stop", "keep_going", "ignore"]


class Step(NamedTuple):
    """What happens to one stage, and why; `running` is reported before the commands start."""

    stage: str
    action: Action
    reasons: tuple[Reason, ...] = ()
    seconds: float = 0.0
    error: TidegateError | None = None


class Listener(NamedTuple):
    """Who follows a run: told of each step and of what else happens, given each stage's output as it appears, asked.

    `accept` is given a stage that ran, or whose data arrived or changed, and its outs before any of them is recorded;
    what it raises fails the stage.
    """

    step: Callable[[Step], None]
    output: Callable[[str, bytes], None]
    note: Callable[[str], None]
    confirm: Callable[[str], bool] = lambda text: True
    accept: Callable[[str, Sequence[str]], None] = lambda stage, outs: None


class Options(NamedTuple):
    """How a stale stage is brought up to date.

    `commit` saves outs to the cache, `run_cache` may restore a result seen before, `pull` fetches what is missing
    from the remote, `allow_missing` lets be what is only not here, `force` runs what did not change and deletes
    local changes of outs instead of moving them aside, `ask` has each run confirmed.
    """

    force: bool = False
    commit: bool = True
    run_cache: bool = True
    pull: bool = False
    allow_missing: bool = False
    ask: bool = False


class Request(NamedTuple):
    """What `repro` is asked for: which stages, in which order and how; `here` is where the words were typed."""

    words: tuple[str, ...] = ()
    here: str = ""
    choice: Choice = PLAIN
    scope: Scope = "upstream"
    options: Options = Options()
    on_error: OnError = "stop"
    force_downstream: bool = False
    jobs: int = 1


class Job(NamedTuple):
    """What bringing stages up to date needs."""

    project: "Project"
    journal: "Journal"
    listener: Listener
    options: Options
    here: str = ""


QUIET = Listener(lambda step: None, lambda stage, data: None, lambda text: None)
