"""Everything a repository says about its stages and data, from every dvc.yaml and .dvc file, as one graph."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from tidegate.errors import NotFoundError
from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.graph import Graph, build_graph
from tidegate.pipeline.lockfile import Entry, lock_of, parse_lock
from tidegate.pipeline.parse import Base, parse_pipeline
from tidegate.pipeline.source import Source
from tidegate.pipeline.stages import DATA_SUFFIX, Dep, Out, Stage, located, stage_key


class Index(NamedTuple):
    """Stages by key in DVC's order, which needs which, and what is recorded of each.

    `lock` has the entries of dvc.lock and what .dvc files say; `files` are all files of stages, empty ones too.
    """

    stages: Mapping[str, Stage]
    graph: Graph
    lock: dict[str, Entry]
    files: tuple[str, ...]


def load_index(source: Source) -> Index:
    """Read every dvc.yaml and .dvc file there is; raises UsageError at file, line and column."""
    stages: dict[str, Stage] = {}
    lock: dict[str, Entry] = {}
    files: list[str] = []
    outs: set[str] = set()
    for file in source.find(outs.__contains__):
        found, entries = load_file(source, file)
        files.append(file)
        stages |= found
        lock |= entries
        outs.update(out.at for stage in found.values() for out in stage.outs)
    try:
        return Index(stages, build_graph(stages), lock, tuple(files))
    except FaultError as fault:
        raise located(fault, source.text(fault.file), fault.file) from None


def load_file(source: Source, file: str) -> tuple[dict[str, Stage], dict[str, Entry]]:
    """The stages of one dvc.yaml or .dvc file, and their entries."""
    if file.endswith(DATA_SUFFIX):
        stage, entry = _load_data(source, file)
        return {file: stage}, {file: entry}
    stages = _load_pipeline(source, file)
    return stages, _load_lock(source, file)


def _load_pipeline(source: Source, file: str) -> dict[str, Stage]:
    document, base = source.read(file), Base(file, str(source.root))
    try:
        return parse_pipeline(document, base, read=source.read, style=source.style)
    except FaultError as fault:
        raise located(fault, source.text(file), file) from None


def _load_lock(source: Source, file: str) -> dict[str, Entry]:
    path = lock_of(file)
    try:
        document = source.read(path)
    except NotFoundError:
        return {}
    return {stage_key(file, name): entry for name, entry in parse_lock(document, path).items()}


def _load_data(source: Source, file: str) -> tuple[Stage, Entry]:
    from tidegate.data.dvcfile import check_dvcfile

    record = check_dvcfile(source.read(file), file, lambda: source.text(file))
    wdir = os.path.normpath(os.path.join(os.path.dirname(file), record.wdir))  # noqa: PTH118, PTH120
    outs = tuple(
        Out(out.path, _beside(wdir, out.path), "out", out.cache, out.persist, out.push, out.remote)
        for out in record.outs
    )
    deps = tuple(Dep(dep.path, _beside(wdir, dep.path)) for dep in record.deps if not dep.repo and not dep.db)
    stage = Stage(
        key=file,
        name="",
        file=file,
        cmd=None,
        wdir=wdir,
        deps=deps,
        outs=outs,
        frozen=record.frozen,
        always_changed=record.always_changed,
        desc=record.desc,
        is_import=bool(record.deps),
    )
    contents = {dep.path: dep.content.hashed for dep in record.deps}
    made = {out.path: out.content.hashed for out in record.outs}
    entry = Entry(
        None,
        {path: hashed for path, hashed in contents.items() if hashed},
        {},
        {path: hashed for path, hashed in made.items() if hashed},
    )
    return stage, entry


def _beside(wdir: str, path: str) -> str:
    return path if "://" in path else os.path.normpath(os.path.join(wdir, path))  # noqa: PTH118
