"""Plan: build the candidate's bundle, and write down what a release of it would change."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.data.params import ABSENT
from tidegate.domain import Decision
from tidegate.errors import ConflictError, UsageError
from tidegate.flow.bundle import gather_parts
from tidegate.flow.judge import decisions, gather, recorded_event, recorded_rows
from tidegate.flow.provenance import provenance_of
from tidegate.flow.release import Action, Plan, plan_path
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import answered
from tidegate.gate.read import wanted_by
from tidegate.gate.rows import right
from tidegate.pipeline.explain import changed_values
from tidegate.pipeline.reproduce import examine
from tidegate.pipeline.stages import PIPELINE
from tidegate.project import Config, load_config
from tidegate.registry.load import Bundle, find_bundle, open_bundle, read_manifest
from tidegate.registry.model import load_model
from tidegate.registry.pack import Part, describe, pack
from tidegate.registry.releases import next_version
from tidegate.rollout.plan import expect
from tidegate.store.files import sha256_bytes, write_atomic
from tidegate.store.git import head_commit
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger, open_ledger
from tidegate.store.state import State

DECISION = "decision.json"
RECORDS = {DECISION, "provenance.json"}


class Judged(NamedTuple):
    """A verdict, the hash of its event in the ledger, and the event rates to plan a rollout with."""

    decision: Decision
    cited: str
    base_rates: dict[str, float]


class Chosen(NamedTuple):
    """The bundle to release: the files in which it differs from the live one, notes on its model, its commit."""

    digest: str
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    commit: str = ""


def plan(root: Path, path: Path | None = None) -> Plan | Decision:
    """Build the candidate's bundle, see that it loads, and write down what a release of it would change.

    Returns the decision instead when its verdict is not `pass`. Raises UsageError when stages are
    stale or the gate was not asked, ConflictError while a rollout is in progress.
    """
    config = load_config(root)
    layout = Layout(root)
    _require_fresh(root)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
        _require_idle(state)
        judged = _judged(config, layout, ledger)
    if judged.decision.verdict != "pass":
        return judged.decision
    chosen = _built(config, layout, state, judged.decision)
    return _written(_plan(config, layout, state, judged=judged, chosen=chosen), path or plan_path(layout))


def plan_bundle(root: Path, prefix: str, path: Path | None = None) -> Plan | Decision:
    """Write down what a release of a bundle that is here already would change, such as one that was imported.

    Its verdict must be known to the ledger, and be about what is live here. Errors as in `plan`; CorruptError
    for a bundle that does not verify.
    """
    config = load_config(root)
    layout = Layout(root)
    digest = find_bundle(layout.bundles, prefix)
    bundle = open_bundle(layout.bundles, digest, keys=layout.keys, require=config.sign.require)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
        _require_idle(state)
        judged = _judged_before(config, layout, ledger, bundle)
    if judged.decision.verdict != "pass":
        return judged.decision
    load_model(bundle, settings=config.runtime).close()
    live = state.live
    changed = _changed(layout, live.bundle, bundle.manifest.files) if live else ()
    chosen = Chosen(digest, changed, commit=provenance_of(layout, digest).commit)
    return _written(_plan(config, layout, state, judged=judged, chosen=chosen), path or plan_path(layout))


def _judged_before(config: Config, layout: Layout, ledger: Ledger, bundle: Bundle) -> Judged:
    """The verdict that a bundle carries, as the ledger has it."""
    decision, where = (
        msgspec.json.decode(bundle.read(DECISION), type=Decision),
        f"bundle {bundle.digest[:12]}",
    )
    if decision not in decisions(ledger):
        found = "its verdict is not in this ledger, so nobody here knows that it passed"
        raise UsageError(where, found, hint="tidegate budget pull, or `tidegate budget merge FILE`")
    wanted = wanted_by(config.gate, config.project.task)._replace(is_lenient=True)
    live, rates = ledger.state().live, dict[str, float]()
    if live is not None:
        stable = open_bundle(layout.bundles, live.bundle, keys=layout.keys, require=config.sign.require)
        rows = recorded_rows(stable, wanted)
        rates = {"wrong_rate": 1 - float(right(rows).mean())} if rows.classes else {}
        if stable.digest != bundle.digest and decision.baseline != rows.digest:
            found = "it was judged against another model than the one that is live here"
            raise UsageError(where, found, hint="run `tidegate gate` where it was made, against this one")
    return Judged(decision, recorded_event(ledger, decision).hash, rates)


def _written(planned: Plan, path: Path) -> Plan:
    write_atomic(path, msgspec.json.format(msgspec.json.encode(planned)) + b"\n")
    return planned


def _require_fresh(root: Path) -> None:
    """A project whose artifacts come from elsewhere has no pipeline to be behind."""
    steps = examine(root) if (root / PIPELINE).exists() else ()
    stale = [step.stage for step in steps if step.action == "stale"]
    if stale:
        found = f"stage `{stale[0]}` is not up to date, a bundle ships what the pipeline made"
        raise UsageError("plan", found, hint="tidegate repro && tidegate gate")


def _require_idle(state: State) -> None:
    rollout = state.rollout
    if rollout:
        found = f"rollout {rollout.id} of {rollout.candidate[:12]} is {rollout.phase}, one at a time"
        raise ConflictError("plan", found, hint="tidegate rollout status, or `tidegate rollout abort`")


def _judged(config: Config, layout: Layout, ledger: Ledger) -> Judged:
    evidence = gather(config, layout, ledger)
    decision = verdict_on(config, ledger, evidence)
    rows = evidence.baseline or evidence.candidate
    rates = {"wrong_rate": 1 - float(right(rows).mean())} if rows.classes else {}
    return Judged(decision, recorded_event(ledger, decision).hash, rates)


def verdict_on(config: Config, ledger: Ledger, evidence: Evidence) -> Decision:
    """The recorded verdict on these rows under today's rules; UsageError when the gate was not asked."""
    decision = answered(config.gate, evidence, decisions(ledger))
    if decision is None:
        found = "no verdict on these evaluation rows against what is live"
        raise UsageError("plan", found, hint="tidegate gate")
    return decision


def _built(config: Config, layout: Layout, state: State, decision: Decision) -> Chosen:
    """The candidate's bundle; the live one where it would hold the same."""
    live = state.live
    parts, notes = gather_parts(config, layout, decision)
    changed = _changed(layout, live.bundle, describe(parts)) if live else ()
    digest = live.bundle if live and not changed else _packed(config, layout, parts)
    return Chosen(digest, changed, notes, head_commit(layout.root))


def _plan(config: Config, layout: Layout, state: State, *, judged: Judged, chosen: Chosen) -> Plan:
    live = state.live
    action: Action = "release" if live is None else "rollout" if chosen.changed else "nothing"
    known, is_rollout = state.version_of(chosen.digest), action == "rollout"
    basis = live.number if live else 0
    return Plan(
        id=sha256_bytes(f"{chosen.digest} {basis} {len(state.rollouts)}".encode())[:8],
        at=time.time(),
        action=action,
        endpoint=config.project.name,
        bundle=chosen.digest,
        version=known.version if known else next_version(state),
        decision=judged.cited,
        commit=chosen.commit,
        basis=basis,
        stable=live.bundle if live else None,
        steps=tuple(float(step) for step in config.rollout.steps) if is_rollout else (),
        changes=_changes(layout, live.bundle, chosen.digest) if live else {},
        parts=chosen.changed,
        expected=expect(config.rollout, judged.base_rates) if is_rollout else (),
        notes=chosen.notes,
    )


def _changes(layout: Layout, stable: str, candidate: str) -> dict[str, tuple[object, object]]:
    """Parameters whose value differs between two bundles, with both values, None for one that is not there."""
    old, new = provenance_of(layout, stable).params, provenance_of(layout, candidate).params
    names = sorted(old.keys() | new.keys())
    found = (one for name in names for one in changed_values(name, old.get(name), new.get(name)))
    return {path: (_known(was), _known(now)) for path, was, now in found}


def _known(value: object) -> object:
    return None if value is ABSENT else value


def _changed(layout: Layout, stable: str, new: Mapping[str, Part]) -> tuple[str, ...]:
    """Files that the live bundle does not hold as they are; where they come from always differs and says nothing."""
    old = read_manifest(layout.bundles, stable).files
    names = sorted((old.keys() | new.keys()) - RECORDS)
    return tuple(name for name in names if old.get(name) != new.get(name))


def _packed(config: Config, layout: Layout, parts: Mapping[str, bytes]) -> str:
    """The digest of the signed bundle, which has been loaded once to see that it can be served."""
    digest = pack(layout.bundles, layout.keys, parts, name=config.project.name)
    bundle = open_bundle(layout.bundles, digest, keys=layout.keys, require=config.sign.require)
    load_model(bundle, settings=config.runtime).close()
    return digest
