"""Data and params that differ from what made the live model."""

from pathlib import Path

from tidegate.data.params import ABSENT
from tidegate.errors import NotFoundError, TidegateError
from tidegate.flow.check import read_contract
from tidegate.flow.provenance import provenance_of
from tidegate.flow.report.versions import Pair, Versions, describe
from tidegate.flow.repro import storable
from tidegate.gate.report.record import Changed
from tidegate.pipeline.explain import changed_values
from tidegate.pipeline.lockfile import Recorded, recorded
from tidegate.pipeline.project import Project
from tidegate.project import Config
from tidegate.registry.provenance import Provenance
from tidegate.store.layout import Layout

LONGEST = 80
SHORT = 8


def read_origin(layout: Layout, digest: str) -> Provenance:
    """Where the live bundle comes from; NotFoundError for a bundle that is not here."""
    try:
        return provenance_of(layout, digest)
    except FileNotFoundError:
        raise NotFoundError(
            f"bundle {digest[:12]}", "no such bundle here", hint="tidegate bundle ls"
        ) from None


def changed_params(project: Project, live: Provenance) -> tuple[Changed, ...]:
    """Values that differ."""
    old = live.params
    new = {name: storable(value) for name, value in _lock(project).params.items()}
    found = (
        one
        for name in sorted(old.keys() | new.keys())
        for one in changed_values(name, old.get(name, ABSENT), new.get(name, ABSENT))
    )
    return tuple(Changed(path, _say(was), _say(now)) for path, was, now in found)


def changed_data(project: Project, live: Provenance, config: Config) -> tuple[Changed, ...]:
    """Files and directories of dvc.lock, but for results: model, evaluation, metrics and plots."""
    lock = _lock(project)
    old, new = live.deps | live.outs, lock.deps | lock.outs
    names = (old.keys() | new.keys()) - _results(project, config)
    pairs = [Pair(name, old.get(name, ""), new.get(name, "")) for name in sorted(names)]
    versions = Versions(project, live.commit, _known_tables(config, project.root))
    return tuple(
        Changed(pair.name, pair.was[:SHORT], pair.now[:SHORT], describe(versions, pair))
        for pair in pairs
        if pair.was != pair.now
    )


def _results(project: Project, config: Config) -> set[str]:
    """What the rest of a report is about, and what may hold scores of the test set."""
    outs = (out for stage in project.stages.values() for out in stage.outs)
    return {config.model.path, config.data.evaluation, *(out.path for out in outs if out.kind != "out")}


def _lock(project: Project) -> Recorded:
    return recorded(project.lock.values())


def _say(value: object) -> str:
    text = "" if value is ABSENT else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _known_tables(config: Config, root: Path) -> frozenset[str]:
    """The tables that the contract names; none where it cannot be read, which other commands complain about."""
    path = root / config.data.contract
    try:
        contract = read_contract(path, config.data.contract)
    except TidegateError:
        return frozenset()
    files = ((path.parent / server.path).resolve() for server in contract.servers)
    top = root.resolve()
    known = {file.relative_to(top).as_posix() for file in files if file.is_relative_to(top)}
    return frozenset(known - {config.data.evaluation})
