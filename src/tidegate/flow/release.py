"""Plan, apply, rollback: what a release would change, doing exactly that, and flipping it back."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.domain import Decision, ModelVersion, Record, Release, Rollout
from tidegate.errors import ConflictError, NotFoundError, UsageError
from tidegate.flow.bundle import build, provenance_of
from tidegate.flow.judge import decisions, gather, recorded_event
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import rules_digest
from tidegate.gate.evaluate import rows_digest
from tidegate.pipeline.plan import stale_stages
from tidegate.project import Config, load_config
from tidegate.registry.load import open_bundle
from tidegate.registry.releases import next_version, previous_bundle
from tidegate.rollout.decide import abort
from tidegate.rollout.plan import expected, start
from tidegate.store.files import sha256_bytes, write_atomic
from tidegate.store.layout import Layout
from tidegate.store.ledger import Entry, Ledger, open_ledger
from tidegate.store.state import State

ATTEMPTS = 20


class Plan(Record):
    """What `apply` will do, exactly; `basis` is the number of the release it was planned on.

    `changes` maps a parameter to its values in the live and in the planned bundle.
    """

    id: str
    at: float
    action: Literal["release", "rollout", "nothing"]
    endpoint: str
    bundle: str
    version: int
    decision: str
    commit: str
    basis: int
    stable: str | None
    steps: tuple[float, ...]
    changes: dict[str, tuple[object, object]]
    expected: str


class Applied(Record):
    """What `apply` did: a release when nothing was live, else a rollout; neither when it was done before."""

    plan: Plan
    release: Release | None = None
    rollout: Rollout | None = None


class RolledBack(Record):
    """Where traffic went: a rollout that was aborted, or the release that took over."""

    bundle: str
    rollout: Rollout | None = None
    release: Release | None = None


def plan_path(layout: Layout) -> Path:
    """Where `plan` writes and `apply` reads when no file is named."""
    return layout.run / "plan.json"


def plan(root: Path, path: Path | None = None) -> Plan | Decision:
    """Build the candidate's bundle and write down what a release of it would change.

    Returns the decision instead when its verdict is not `pass`. Raises UsageError when stages are
    stale or the gate was not asked, ConflictError while a rollout is in progress.
    """
    config = load_config(root)
    layout = Layout(root)
    _require_fresh(root)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
        _require_idle(state)
        decision = verdict_on(config, ledger, gather(config, layout, ledger))
        if decision.verdict != "pass":
            return decision
        cited = recorded_event(ledger, decision).hash
    planned = _plan(config, layout, state, decision=decision, cited=cited)
    write_atomic(path or plan_path(layout), msgspec.json.format(msgspec.json.encode(planned)) + b"\n")
    return planned


def verdict_on(config: Config, ledger: Ledger, evidence: Evidence) -> Decision:
    """The recorded verdict on these rows under today's rules; UsageError when the gate was not asked."""
    key = (rows_digest(evidence.candidate), _digest(evidence), rules_digest(config.gate))
    for decision in reversed(decisions(ledger)):
        if (decision.candidate, decision.baseline, decision.rules) == key:
            return decision
    raise UsageError("plan", "no verdict on these evaluation rows against what is live", hint="tidegate gate")


def apply(root: Path, path: Path | None = None) -> Applied:
    """Do what the plan says, once: repeated after success it changes nothing.

    Raises ConflictError for a stale plan and CorruptError for a bundle that differs from its manifest.
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
        _change(ledger, entries_of)
    return applied


def rollback(root: Path, *, to: str | None = None) -> RolledBack:
    """Send all traffic back: abort the rollout in progress, else release the previous bundle anew.

    `to` names a bundle (by the start of its digest) or a version; naming what is live changes nothing.
    Raises NotFoundError when there is nothing to go back to.
    """
    now = time.time()
    done = RolledBack("")

    def entries_of(state: State) -> list[Entry]:
        nonlocal done
        done = _rollback(state, to, now=now)
        return _rollback_entries(done)

    with open_ledger(Layout(root).ledger) as ledger:
        _change(ledger, entries_of)
    return done


def read_plan(path: Path) -> Plan:
    """The plan in a file; NotFoundError without one, UsageError for one that is not a plan."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError:
        raise NotFoundError(path.name, "no plan to apply", hint="tidegate plan") from None
    except msgspec.MsgspecError as error:
        raise UsageError(path.name, f"not a plan: {error}", hint="tidegate plan") from None


def _require_fresh(root: Path) -> None:
    stale = stale_stages(root)
    if stale:
        found = f"stage `{stale[0]}` is not up to date, a bundle ships what the pipeline made"
        raise UsageError("plan", found, hint="tidegate repro && tidegate gate")


def _require_idle(state: State) -> None:
    rollout = state.rollout
    if rollout:
        found = f"rollout {rollout.id} of {rollout.candidate[:12]} is {rollout.phase}, one at a time"
        raise ConflictError("plan", found, hint="tidegate rollout status, or `tidegate rollout abort`")


def _digest(evidence: Evidence) -> str | None:
    return rows_digest(evidence.baseline) if evidence.baseline else None


def _plan(config: Config, layout: Layout, state: State, *, decision: Decision, cited: str) -> Plan:
    digest = build(config, layout, decision)
    live = state.live
    known = state.version_of(digest)
    stable = live.bundle if live else None
    action = "nothing" if digest == stable else "rollout" if live else "release"
    steps = tuple(float(step) for step in config.rollout.steps)
    basis = live.number if live else 0
    return Plan(
        id=sha256_bytes(f"{digest} {basis} {len(state.rollouts)}".encode())[:8],
        at=time.time(),
        action=action,  # type: ignore[arg-type]
        endpoint=config.project.name,
        bundle=digest,
        version=known.version if known else next_version(state),
        decision=cited,
        commit=decision.commit,
        basis=basis,
        stable=stable,
        steps=steps if action == "rollout" else (),
        changes=_changes(layout, stable, digest),
        expected=expected(config.rollout) if action == "rollout" else "all traffic at once, nothing is live yet",
    )


def _changes(layout: Layout, stable: str | None, candidate: str) -> dict[str, tuple[object, object]]:
    """Parameters whose value differs between two bundles, with both values."""
    old = provenance_of(layout, stable).params if stable else {}
    new = provenance_of(layout, candidate).params
    names = sorted(old.keys() | new.keys()) if stable else []
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _apply(state: State, planned: Plan, *, now: float) -> Applied:
    if planned.action == "nothing" or _is_applied(state, planned):
        return Applied(planned)
    _refuse_stale(state, planned)
    if planned.action == "release":
        return Applied(planned, release=Release(1, planned.bundle, planned.endpoint, "first", now))
    return Applied(planned, rollout=start(planned, now=now))


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
    version = ModelVersion(planned.endpoint, planned.version, planned.bundle, planned.commit, planned.decision)
    return Entry("bundle.registered", planned.endpoint, msgspec.to_builtins(version))


def _rollback(state: State, to: str | None, *, now: float) -> RolledBack:
    live = state.live
    if live is None:
        raise NotFoundError("rollback", "nothing is live", hint="tidegate ps")
    if state.rollout and to is None:
        moved = abort(state.rollout, now, "rolled back by hand")
        return RolledBack(state.rollout.stable, rollout=moved)
    target = _named(state, to) if to else previous_bundle(state)
    if target is None:
        raise NotFoundError("rollback", f"release {live.number} is the first, nothing came before it", hint="tidegate ps")
    if target == live.bundle:
        return RolledBack(target)
    return RolledBack(target, release=Release(live.number + 1, target, live.endpoint, "rollback", now))


def _named(state: State, name: str) -> str:
    found = [v.digest for v in state.versions if name in (str(v.version), f"v{v.version}") or v.digest.startswith(name)]
    if len(set(found)) == 1:
        return found[0]
    problem = f"`{name}` names {len(set(found))} registered bundles, it must name one"
    raise NotFoundError("rollback --to", problem, hint="tidegate bundle ls")


def _rollback_entries(done: RolledBack) -> list[Entry]:
    if done.rollout:
        body = {"rollout": msgspec.to_builtins(done.rollout), "evidence": {}}
        return [Entry("rollout.rolled_back", done.rollout.id, body)]
    if done.release:
        return [Entry("release.rolled_back", done.release.endpoint, msgspec.to_builtins(done.release))]
    return []


def _change(ledger: Ledger, entries_of: Callable[[State], Sequence[Entry]]) -> None:
    """Append what follows from the state, as one transaction; again when somebody else was faster."""
    for _ in range(ATTEMPTS):
        state = ledger.state()
        entries = entries_of(state)
        if not entries or _appended(ledger, entries, state.seq):
            return
    raise ConflictError("ledger", f"other processes won {ATTEMPTS} times in a row", hint="try again")


def _appended(ledger: Ledger, entries: Sequence[Entry], expect: int) -> bool:
    try:
        ledger.append_all(entries, expect=expect)
    except ConflictError:
        return False
    return True
