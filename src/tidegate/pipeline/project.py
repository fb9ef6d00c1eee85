"""An opened pipeline: its stages, its lock and a look at the files, each read at most once."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.cache import ObjectCache, has_object, open_cache
from tidegate.data.hash import Files, Hashed, hash_path
from tidegate.data.statcache import StatCache
from tidegate.data.yaml import read_document
from tidegate.errors import NotFoundError
from tidegate.pipeline.graph import Graph, build_graph, order
from tidegate.pipeline.lockfile import Entry, read_lock
from tidegate.pipeline.plan import Reason, Seen, judge, plan
from tidegate.pipeline.stages import (
    PIPELINE,
    FaultError,
    Params,
    Stage,
    located,
    missing_pipeline,
    parse_pipeline,
)
from tidegate.store.layout import Layout


class Project(NamedTuple):
    """The pipeline at `cache.files.root`; `lock` and `hashes` change as stages finish."""

    stages: Mapping[str, Stage]
    graph: Graph
    lock: dict[str, Entry]
    cache: ObjectCache
    hashes: dict[str, Hashed | None]

    @property
    def files(self) -> Files:
        """The project's files."""
        return self.cache.files


@contextmanager
def open_project(root: Path) -> Iterator[Project]:
    """Read dvc.yaml and dvc.lock; what was learned about the files is saved at the end.

    Raises UsageError at file, line and column for what is wrong in them.
    """
    files = Files(root, StatCache(Layout(root).state / "cache" / "stat.json"))
    try:
        stages, graph = _read_stages(files)
        yield Project(stages, graph, read_lock(root, files.memory), open_cache(files), {})
    finally:
        if (root / PIPELINE).exists():
            files.memory.save()


def explain_all(
    project: Project, targets: Iterable[str] = (), *, force: bool = False
) -> dict[str, tuple[Reason, ...]]:
    """Every stage that the targets need, in order, with the reasons for which it would run."""
    names = order(project.graph, targets)
    reasons = {name: (Reason("forced"),) if force else explain_stage(project, name) for name in names}
    return plan(project.stages, project.graph, reasons)


def explain_stage(project: Project, name: str) -> tuple[Reason, ...]:
    """Why a stage must run as things are now; nothing when it is up to date."""
    stage, entry = project.stages[name], project.lock.get(name)
    return judge(stage, entry, look(project, stage))


def look(project: Project, stage: Stage) -> Seen:
    """What is on disk for a stage."""
    outs = {out.path: hash_once(project, out.at) for out in stage.outs}
    entry = project.lock.get(stage.name)
    recorded = entry.outs if entry else {}
    uncached = (
        out.path
        for out in stage.outs
        if out.cache and out.path in recorded and not has_object(project.cache, recorded[out.path].md5)
    )
    return Seen(
        deps={dep.path: hash_once(project, dep.at) for dep in stage.deps},
        params={one.path: read_params(project, one) for one in stage.params},
        outs=outs,
        uncached=frozenset(uncached),
    )


def hash_once(project: Project, at: str) -> Hashed | None:
    """The hash of a path, computed once until a stage runs."""
    if at not in project.hashes:
        project.hashes[at] = hash_path(project.files, at)
    return project.hashes[at]


def read_params(project: Project, one: Params) -> Mapping[str, Any]:
    """The values of a parameter file; none without the file."""
    try:
        values = read_document(project.files.root / one.at, one.at, project.files.memory)
    except NotFoundError:
        return {}
    return values if isinstance(values, Mapping) else {}


def _read_stages(files: Files) -> tuple[dict[str, Stage], Graph]:
    path = files.root / PIPELINE
    try:
        document = read_document(path, PIPELINE, files.memory)
    except NotFoundError:
        raise missing_pipeline(files.root) from None
    try:
        stages = parse_pipeline(document)
        return stages, build_graph(stages)
    except FaultError as fault:
        raise located(fault, files.root) from None
