"""The rollout in a person's hands: what is known about it, and moving it."""

import time
from collections.abc import Callable
from pathlib import Path

from tidegate.domain import TERMINAL_PHASES, Record, Rollout
from tidegate.errors import ConflictError, NotFoundError
from tidegate.flow.evidence import watch_rollout
from tidegate.flow.release import change, move_entries
from tidegate.project import load_config
from tidegate.rollout.decide import Move, abort, pause, promote, resume
from tidegate.rollout.measure import Evidence
from tidegate.rollout.plan import Expected, remaining
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger
from tidegate.store.state import State

MOVES: dict[str, tuple[Callable[[Rollout, float, str], Move], str]] = {
    "pause": (pause, "paused by hand"),
    "resume": (resume, "resumed by hand"),
    "promote": (promote, "promoted by hand"),
    "abort": (abort, "aborted by hand"),
}


class Status(Record, frozen=True):
    """A rollout and, while it is in progress, its evidence by now and what an equal candidate still needs."""

    rollout: Rollout
    evidence: Evidence | None = None
    remaining: tuple[Expected, ...] = ()


def status(root: Path) -> Status:
    """The newest rollout; NotFoundError before the first one."""
    layout = Layout(root)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
    if not state.rollouts:
        raise NotFoundError("rollout", "there was none yet", hint="tidegate plan && tidegate apply")
    rollout = state.rollouts[-1]
    if rollout.phase in TERMINAL_PHASES:
        return Status(rollout)
    watch = watch_rollout(load_config(root), layout, rollout)
    evidence = watch.evidence(time.time())
    return Status(rollout, evidence, remaining(watch.settings, rollout, evidence))


def steer(root: Path, name: str) -> Rollout:
    """Move the rollout in progress; `name` is one of MOVES. ConflictError when it cannot be moved so."""
    now = time.time()
    with open_ledger(Layout(root).ledger) as ledger:
        change(ledger, lambda state: move_entries(_moved(state, name, now=now), state))
        return ledger.state().rollouts[-1]


def _moved(state: State, name: str, *, now: float) -> Move:
    if state.rollout is None:
        raise ConflictError(f"rollout {name}", "no rollout is in progress", hint="tidegate ps")
    decide, because = MOVES[name]
    return decide(state.rollout, now, because)
