"""What goes into a stage and what came out of it, as it is recorded."""

from pathlib import Path
from typing import Any

from tidegate.data.hash import Hashed
from tidegate.data.params import ABSENT
from tidegate.errors import NotFoundError, TidegateError
from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.graph import producers
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.plan import chosen
from tidegate.pipeline.project import Project, hash_once, read_params
from tidegate.pipeline.stages import Dep, Out, Stage, located
from tidegate.store.layout import Layout


def read_inputs(project: Project, stage: Stage) -> Entry:
    """The stage's command, deps and params as they are now, without outs.

    Raises NotFoundError for a dep, and UsageError for a param, that is not there.
    """
    deps = {dep.path: _read(project, stage, dep) for dep in stage.deps}
    params = {one.path: chosen(one, read_params(project, one)) for one in stage.params}
    for one in stage.params:
        for key, value in params[one.path].items():
            if value is ABSENT:
                found = f"param `{key}` of stage `{stage.name}` is not in {one.at}"
                raise _located(project, stage, FaultError(one.place, found))
            if _has_time(value):
                found = f"param `{key}` of stage `{stage.name}` holds a date or time, expected text"
                raise _located(project, stage, FaultError(one.place, found, hint=f"quote it in {one.at}"))
    return Entry(stage.cmd, deps, params, {})


def hash_out(project: Project, stage: Stage, out: Out) -> Hashed:
    """What is in the place of an out, by the kind of hash its record has while that holds.

    Raises NotFoundError when nothing is there.
    """
    hashed = kept_out(project, stage, out) or hash_once(project, out.at)
    if hashed is None:
        log = log_path(project.root, stage.key)
        hint = f"see {log.relative_to(project.root)}" if log.exists() else "tidegate checkout"
        found = f"out `{out.at}` is not there, expected a file or directory"
        raise NotFoundError(f"stage `{stage.key}`", found, hint=hint)
    return hashed


def kept_out(project: Project, stage: Stage, out: Out) -> Hashed | None:
    """The record of an out by DVC 2 while it still holds; DVC renews it only with the content."""
    entry = project.lock.get(stage.key)
    return _kept(project, out.at, entry.outs.get(out.path) if entry else None)


def log_path(root: Path, stage: str) -> Path:
    """Where a stage's output is kept: with the experiments when the project has such a folder."""
    logs = root / "experiments" / "logs"
    folder = logs if logs.is_dir() else Layout(root).run / "logs"
    return folder / f"{stage.replace('/', '_')}.log"


def _has_time(value: Any) -> bool:
    """Whether a date is in it, which neither DVC nor JSON can hold."""
    if isinstance(value, dict | list):
        return any(map(_has_time, value.values() if isinstance(value, dict) else value))
    return type(value).__module__ == "datetime"


def _kept(project: Project, at: str, was: Hashed | None) -> Hashed | None:
    """A record of DVC 2 that still holds, else nothing."""
    if was is None or was.kind != "md5-dos2unix":
        return None
    now = hash_once(project, at, was.kind)
    return was if now and now.md5 == was.md5 else None


def _read(project: Project, stage: Stage, dep: Dep) -> Hashed:
    entry = project.lock.get(stage.key)
    hashed = _kept(project, dep.at, entry.deps.get(dep.path) if entry else None) or hash_once(project, dep.at)
    if hashed is None:
        makers = producers(project.stages, dep.at)
        hint = f"stage `{makers[0]}` should have made it" if makers else "make the file, or correct the path"
        found = f"dep `{dep.path}` of stage `{stage.name}` does not exist"
        raise _located(project, stage, FaultError(dep.place, found, hint=hint))
    return hashed


def _located(project: Project, stage: Stage, fault: FaultError) -> TidegateError:
    return located(fault, project.source.text(stage.file), stage.file)
