"""Apply and rollback: doing exactly what a plan says, and flipping traffic back."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.domain import ModelVersion, Record, Release, Rollout
from tidegate.errors import ConflictError, NotFoundError, UsageError
from tidegate.project import load_config
from tidegate.registry.load import open_bundle
from tidegate.registry.releases import previous_bundle
from tidegate.rollout.decide import Move, abort
from tidegate.rollout.plan import Expected
from tidegate.store.exchange import decided
from tidegate.store.layout import Layout
from tidegate.store.ledger import Entry, Ledger, open_ledger
from tidegate.store.state import State

ATTEMPTS = 20
SHORTEST_DIGEST = 4

Action = Literal["release", "rollout", "nothing"]


class Plan(Record, frozen=True):
    """What `apply` will do, exactly; `basis` is the number of the release it was planned on.

    `changes` maps a parameter to its values in the live and in the planned bundle, `parts` names the
    files in which the two differ, `notes` say how the model got its form.
    """

    id: str
    at: float
    action: Action
    endpoint: str
    bundle: str
    version: int
    decision: str
    commit: str
    basis: int
    stable: str | None
    steps: tuple[float, ...]
    changes: dict[str, tuple[object, object]]
    parts: tuple[str, ...]
    expected: tuple[Expected, ...]
    notes: tuple[str, ...] = ()


class Applied(Record, frozen=True):
    """What `apply` did: a release when nothing was live, else a rollout; neither when it was done before."""

    plan: Plan
    release: Release | None = None
    rollout: Rollout | None = None


class RolledBack(Record, frozen=True):
    """Where traffic went: the rollout that was aborted, and the release that took over, if any."""

    bundle: str
    rollout: Rollout | None = None
    release: Release | None = None


def plan_path(layout: Layout) -> Path:
    """Where `plan` writes and `apply` reads when no file is named."""
    return layout.run / "plan.json"


def read_plan(path: Path) -> Plan:
    """The plan in a file; NotFoundError without one, UsageError for one that is not a plan."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError:
        raise NotFoundError(path.name, "no plan to apply", hint="tidegate plan") from None
    except msgspec.MsgspecError as error:
        raise UsageError(path.name, f"not a plan: {error}", hint="tidegate plan") from None


def apply(root: Path, path: Path | None = None) -> Applied:
    """Do what the plan says, once: repeated after success it changes nothing.

    Raises ConflictError for a stale plan or one without a verdict, CorruptError for a bundle that differs from
    its manifest.
    """
    config = load_config(root)
    layout = Layout(root)
    planned = read_plan(path or plan_path(layout))
    open_bundle(layout.bundles, planned.bundle, keys=layout.keys, require=config.sign.require)
    now = time.time()
    applied = Applied(planned)

    def entries_of(state: State) -> list[Entry]:
        nonlocal applied
        applied = _apply(state, planned, now=now)
        return _entries(state, applied)

    with open_ledger(layout.ledger) as ledger:
        _require_verdict(ledger, planned)
        change(ledger, entries_of)
    return applied


def rollback(root: Path, *, to: str | None = None) -> RolledBack:
    """Send all traffic back: abort the rollout in progress, else release the previous bundle anew.

    `to` names a bundle (by the start of its digest) or a version, which is released; naming what is live only
    ends the rollout in progress, if there is one.
    Raises NotFoundError when there is nothing to go back to.
    """
    now = time.time()
    done = RolledBack("")

    def entries_of(state: State) -> list[Entry]:
        nonlocal done
        done = _rollback(state, to, now=now)
        return _rollback_entries(done)

    with open_ledger(Layout(root).ledger) as ledger:
        change(ledger, entries_of)
    return done


def _apply(state: State, planned: Plan, *, now: float) -> Applied:
    if planned.action == "nothing" or _is_applied(state, planned):
        return Applied(planned)
    _refuse_stale(state, planned)
    if planned.action == "release":
        return Applied(planned, release=Release(1, planned.bundle, planned.endpoint, "first", now))
    return Applied(planned, rollout=_started(planned, now=now))


def _require_verdict(ledger: Ledger, planned: Plan) -> None:
    """A plan is a file that anybody may have edited; the verdict it cites is in the ledger."""
    cited = [event for event in decided(ledger) if event.hash == planned.decision]
    if not cited or cited[0].body["verdict"] != "pass":
        raise ConflictError(
            "apply", "the plan cites no verdict that passed", hint="tidegate gate && tidegate plan"
        )


def _started(planned: Plan, *, now: float) -> Rollout:
    return Rollout(
        id=planned.id,
        endpoint=planned.endpoint,
        stable=planned.stable or "",
        candidate=planned.bundle,
        steps=planned.steps,
        step=0,
        weight=planned.steps[0],
        phase="running",
        started=now,
        stepped=now,
    )


def _is_applied(state: State, planned: Plan) -> bool:
    first = planned.action == "release" and any(r.bundle == planned.bundle for r in state.releases)
    return first or any(rollout.id == planned.id for rollout in state.rollouts)


def _refuse_stale(state: State, planned: Plan) -> None:
    number = state.live.number if state.live else 0
    if number != planned.basis or state.rollout:
        found = f"planned on release {planned.basis}, release {number} is live by now"
        found = found if number != planned.basis else "a rollout has started since"
        raise ConflictError("apply", f"the plan is stale: {found}", hint="tidegate plan")


def _entries(state: State, applied: Applied) -> list[Entry]:
    planned = applied.plan
    if not (applied.release or applied.rollout):
        return []
    entries = [] if state.version_of(planned.bundle) else [_registration(planned)]
    if applied.release:
        return [*entries, Entry("release.applied", planned.endpoint, msgspec.to_builtins(applied.release))]
    return [*entries, Entry("rollout.started", planned.id, msgspec.to_builtins(applied.rollout))]


def _registration(planned: Plan) -> Entry:
    version = ModelVersion(
        planned.endpoint, planned.version, planned.bundle, planned.commit, planned.decision
    )
    return Entry("bundle.registered", planned.endpoint, msgspec.to_builtins(version))


def _rollback(state: State, to: str | None, *, now: float) -> RolledBack:
    """The rollout in progress ends either way: it compares with what is about to change."""
    live = state.live
    if live is None:
        raise NotFoundError("rollback", "nothing is live", hint="tidegate ps")
    ended = abort(state.rollout, now, "rolled back by hand").rollout if state.rollout else None
    target = _named(state, to) if to else live.bundle if ended else previous_bundle(state)
    if target is None:
        raise NotFoundError("rollback", "nothing came before what is live", hint="tidegate ps")
    if target == live.bundle:
        return RolledBack(target, rollout=ended)
    return RolledBack(target, ended, Release(live.number + 1, target, live.endpoint, "rollback", now))


def _named(state: State, name: str) -> str:
    """The bundle of a version number, or else the one whose digest begins so; too short a start is no name."""
    versions = {
        version.digest for version in state.versions if name in (str(version.version), f"v{version.version}")
    }
    begun = {version.digest for version in state.versions if version.digest.startswith(name)}
    found = versions or (begun if len(name) >= SHORTEST_DIGEST else set())
    if len(found) == 1:
        return found.pop()
    problem = f"`{name}` names {len(found)} registered bundles, it must name one"
    raise NotFoundError("rollback --to", problem, hint="tidegate bundle ls")


def move_entries(move: Move, state: State | None = None, evidence: object = None) -> list[Entry]:
    """A rollout's move as entries; a promotion, which needs `state`, also releases the candidate."""
    moved = move.rollout
    body = {"rollout": msgspec.to_builtins(moved), "evidence": msgspec.to_builtins(evidence)}
    entries = [Entry(f"rollout.{move.change}", moved.id, body)]
    if move.change == "promoted" and state and state.live:
        number = state.live.number + 1
        release = Release(number, moved.candidate, moved.endpoint, "promoted", moved.stepped)
        entries.append(Entry("release.applied", moved.endpoint, msgspec.to_builtins(release)))
    return entries


def _rollback_entries(done: RolledBack) -> list[Entry]:
    entries = move_entries(Move("rolled_back", done.rollout)) if done.rollout else []
    if done.release:
        body = msgspec.to_builtins(done.release)
        entries.append(Entry("release.rolled_back", done.release.endpoint, body))
    return entries


def change(ledger: Ledger, entries_of: Callable[[State], Sequence[Entry]]) -> bool:
    """Append what follows from the state, as one transaction, and say whether anything did.

    Tries again when somebody else was faster; ConflictError when that goes on.
    """
    for _ in range(ATTEMPTS):
        state = ledger.state()
        entries = entries_of(state)
        if not entries or _appended(ledger, entries, state.seq):
            return bool(entries)
    raise ConflictError("ledger", f"other processes won {ATTEMPTS} times in a row", hint="try again")


def _appended(ledger: Ledger, entries: Sequence[Entry], expect: int) -> bool:
    try:
        ledger.append_all(entries, expect=expect)
    except ConflictError:
        return False
    return True
