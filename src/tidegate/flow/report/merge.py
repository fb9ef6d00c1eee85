"""What a merge would do: the release or rollout that follows from the verdict, or why none does."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tidegate.data.md5 import md5_file
from tidegate.domain import Decision, Release, Rollout
from tidegate.errors import TidegateError
from tidegate.flow.bundle import environment
from tidegate.flow.report.changes import read_origin
from tidegate.gate.checks import Evidence
from tidegate.gate.report.record import Stage, Step
from tidegate.gate.rows import right
from tidegate.project import CONFIG, Config, write_unit
from tidegate.registry.load import read_manifest
from tidegate.registry.releases import next_version
from tidegate.rollout.plan import Expected, expect
from tidegate.store.files import sha256_bytes
from tidegate.store.layout import Layout
from tidegate.store.state import State

WAITS = {
    "block": "Nothing: the gate blocks.",
    "underpowered": "Nothing: the gate cannot tell yet.",
    "hold": "Nothing: the gate is on hold.",
}


_UNDONE = {"stale": "is not up to date", "failed": "fails"}


class Outlook(NamedTuple):
    """What decides what a merge does, beside the settings: what is served, the verdict, and what is not done."""

    state: State
    decision: Decision | None
    evidence: Evidence | None
    steps: Sequence[Step] = ()
    stages: Sequence[Stage] = ()


def foresee(config: Config, layout: Layout, outlook: Outlook) -> tuple[str, ...]:
    """What a merge would do, a sentence a line."""
    obstacle = _obstacle(outlook)
    if obstacle:
        return (obstacle,)
    version = f"v{next_version(outlook.state)}"
    live = outlook.state.live
    if live is None:
        return (f"The first release: {version} gets all traffic of {config.project.name} at once.",)
    name = name_of(outlook.state, live)
    if _is_live(config, layout, live):
        return (
            f"Nothing: {name}, which is live, has the same model, evaluation, contract, settings and environment.",
        )
    steps = " -> ".join(
        f"{share:.3g}%" for share in (*(100 * float(one) for one in config.rollout.steps), 100.0)
    )
    pace = write_unit(config.rollout.step_every)
    return (
        f"A rollout from {name} to {version} by canary {steps}, each step for at least {pace}.",
        *_expected(config, outlook),
    )


def name_of(state: State, live: Release) -> str:
    """What is served as people call it: its version, or the start of its digest."""
    known = state.version_of(live.bundle)
    return f"v{known.version}" if known else live.bundle[:12]


def _obstacle(outlook: Outlook) -> str:
    """The first reason for which nothing would happen; empty when there is none."""
    failed = [step.name for step in outlook.steps if step.outcome == "failed" and step.name != "gate"]
    if failed:
        return f"Nothing: {failed[0]} failed."
    undone = [stage for stage in outlook.stages if stage.action in ("stale", "failed")]
    if undone:
        return f"Nothing: stage `{undone[0].name}` {_UNDONE[undone[0].action]}."
    if outlook.decision is None:
        return "Nothing: there is no verdict on these evaluation rows."
    if outlook.decision.verdict != "pass":
        return WAITS[outlook.decision.verdict]
    return _busy(outlook.state.rollout) if outlook.state.rollout else ""


def _busy(rollout: Rollout) -> str:
    share = f"{100 * rollout.weight:.3g}%"
    return f"Nothing before rollout {rollout.id}, {rollout.phase} at {share}, has ended: one at a time."


def _is_live(config: Config, layout: Layout, live: Release) -> bool:
    """Whether the live bundle holds every file that a new one would, be it converted; one not here is another."""
    try:
        origin = read_origin(layout, live.bundle)
    except TidegateError:
        return False
    held = {part.sha256 for part in read_manifest(layout.bundles, live.bundle).files.values()}
    made = (json.dumps(list(config.model.labels)), environment())
    named = (config.model.path, config.data.evaluation, config.data.contract, CONFIG)
    there = {name: path for name in named if (path := layout.root / name).is_file()}
    return held.issuperset(sha256_bytes(text.encode()) for text in made) and all(
        sha256_bytes(path.read_bytes()) in held or origin.outs.get(name) == md5_file(path)
        for name, path in there.items()
    )


def _expected(config: Config, outlook: Outlook) -> Iterable[str]:
    """How long an equally good candidate takes; a rate from the test set is told only where scores are."""
    rates, hidden = {}, config.gate.show == "verdict"
    evidence = outlook.evidence
    if evidence and evidence.candidate.classes and not hidden:
        rates["wrong_rate"] = 1 - float(right(evidence.baseline or evidence.candidate).mean())
    return (
        _say(one)
        for one in expect(config.rollout, rates)
        if one.metric in rates or one.metric != "wrong_rate"
    )


def _say(one: Expected) -> str:
    units = "labels" if one.metric == "wrong_rate" else "requests"
    rate = f"at a base rate of {one.base_rate:.1%}"
    if one.units is None:
        return f"{one.metric}: an equally good candidate would stay undecided {rate}."
    return f"{one.metric}: an equally good candidate is through after about {one.units:,} {units} {rate}."
