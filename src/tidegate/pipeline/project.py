"""An opened pipeline: its stages, its locks and a look at the files, each read at most once."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.cache import ObjectCache, has_object, open_cache
from tidegate.data.config import DvcConfig, Parsing, load_dvc_config
from tidegate.data.hash import Files, Hashed, hash_path
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError
from tidegate.pipeline.graph import Graph, active
from tidegate.pipeline.index import Index, load_index
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.plan import Reason, Seen, judge, plan, without_missing
from tidegate.pipeline.source import Source, workspace
from tidegate.pipeline.stages import Dep, Out, Params, Stage, is_url
from tidegate.store.layout import Layout

if TYPE_CHECKING:
    from tidegate.pipeline.template import FlagStyle


class _Unknown(NamedTuple):
    """A path not looked at yet; unlike None, which is nothing there."""


_UNKNOWN = _Unknown()


class Project(NamedTuple):
    """The pipelines of the repository at `files.root`, opened at `began_ns`.

    `lock` and `hashes` change as stages finish.
    """

    pipelines: Index
    source: Source
    cache: ObjectCache
    config: DvcConfig
    hashes: dict[tuple[str, str], Hashed | None]
    began_ns: int

    @property
    def files(self) -> Files:
        """The project's files."""
        return self.cache.files

    @property
    def root(self) -> Path:
        """The directory that all paths are seen from."""
        return self.cache.files.root

    @property
    def stages(self) -> Mapping[str, Stage]:
        """Stages and .dvc files by key."""
        return self.pipelines.stages

    @property
    def graph(self) -> Graph:
        """The stages each one needs."""
        return self.pipelines.graph

    @property
    def lock(self) -> dict[str, Entry]:
        """What is recorded of each stage."""
        return self.pipelines.lock


@contextmanager
def open_project(root: Path) -> Iterator[Project]:
    """Read every dvc.yaml, dvc.lock and .dvc file below `root`.

    What was learned about the files is saved at the end. Raises UsageError at file, line and column for what is
    wrong in them.
    """
    began_ns = time.time_ns()
    files = Files(root, StatCache(Layout(root).state / "cache" / "stat.json"))
    config = load_dvc_config(root)
    source = workspace(files)._replace(style=_style(config))
    try:
        yield Project(load_index(source), source, open_cache(files), config, {}, began_ns)
    finally:
        _keep_out_of_git(Layout(root).state)
        files.memory.save()


def explain_all(
    project: Project, keys: Iterable[str], *, force: bool = False
) -> dict[str, tuple[Reason, ...]]:
    """These stages, given upstream first, with the reasons for which each would run."""
    reasons = {key: (Reason("forced"),) if force else explain_stage(project, key) for key in keys}
    return plan(project.stages, active(project.graph, project.stages), reasons)


def explain_without_missing(project: Project, key: str, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """The reasons of a stage that remain when data that are merely not here do not count."""
    made = {}
    for need in project.graph[key]:
        outs = project.lock[need].outs if need in project.lock else {}
        made.update({out.at: outs[out.path].md5 for out in project.stages[need].outs if out.path in outs})
    deps = project.stages[key].deps
    return without_missing(reasons, {dep.path: made[dep.at] for dep in deps if dep.at in made})


def explain_stage(project: Project, key: str) -> tuple[Reason, ...]:
    """Why a stage must run as things are now; nothing when it is up to date."""
    stage = project.stages[key]
    return judge(stage, project.lock.get(key), look(project, stage))


def look(project: Project, stage: Stage) -> Seen:
    """What is on disk for a stage."""
    entry = project.lock.get(stage.key)
    deps, outs = (entry.deps, entry.outs) if entry else ({}, {})
    uncached = (
        out.path
        for out in stage.outs
        if out.cache and _is_recorded(outs.get(out.path)) and not has_object(project.cache, outs[out.path])
    )
    return Seen(
        deps={} if stage.frozen else {dep.path: _hash_as(project, dep, deps) for dep in stage.deps},
        params={one.path: read_params(project, one) for one in stage.params},
        outs={out.path: _hash_as(project, out, outs) for out in stage.outs},
        uncached=frozenset(uncached),
        absent=frozenset(one.path for one in stage.params if not (project.root / one.at).is_file()),
    )


def hash_once(project: Project, at: str, kind: str = "md5") -> Hashed | None:
    """The hash of a path, or the checksum that its storage names, computed once until a stage runs."""
    known = project.hashes.get((at, kind), _UNKNOWN)
    if not isinstance(known, _Unknown):
        return known
    hashed = _hash_url(project, at) if is_url(at) else hash_path(project.files, at, kind=kind)
    project.hashes[at, kind] = hashed
    return hashed


def read_params(project: Project, one: Params) -> Mapping[str, Any]:
    """The values of a parameter file; none without the file."""
    try:
        values = project.source.read(one.at)
    except NotFoundError:
        return {}
    return values if isinstance(values, Mapping) else {}


def _hash_as(project: Project, path: Dep | Out, recorded: Mapping[str, Hashed]) -> Hashed | None:
    """By the kind of hash that the lock has, so that entries of DVC 2 can be compared."""
    was = recorded.get(path.path)
    return hash_once(project, path.at, was.kind if was and not is_url(path.at) else "md5")


def _keep_out_of_git(state: Path) -> None:
    """A repository that dvc made does not know this folder; what is in it is nobody else's."""
    rules = state / ".gitignore"
    if not rules.exists():
        state.mkdir(parents=True, exist_ok=True)
        rules.write_text("*\n", encoding="ascii")


def _style(config: DvcConfig) -> "FlagStyle | None":
    if config.parsing == Parsing():
        return None
    from tidegate.pipeline.template import FlagStyle

    return FlagStyle(
        "boolean_optional" if config.parsing.bool == "boolean_optional" else "store_true",
        "append" if config.parsing.list == "append" else "nargs",
    )


def _is_recorded(hashed: Hashed | None) -> bool:
    return hashed is not None and bool(hashed.md5)


def _hash_url(project: Project, url: str) -> Hashed | None:
    from tidegate.data.external import hash_url

    return hash_url(project.root, url)
