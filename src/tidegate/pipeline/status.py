"""The state of stages in the words of `dvc status --json`, for scripts that read it."""

import os
from collections.abc import Mapping
from typing import Any

from tidegate.data.hash import Hashed
from tidegate.data.ignore import is_outside
from tidegate.data.params import ABSENT
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.plan import Reason, Seen, chosen, judge
from tidegate.pipeline.project import Project, look
from tidegate.pipeline.stages import Out, Stage, is_url
from tidegate.pipeline.targets import Target, address, narrowed

State = list[Any]
_NEVER_RAN = Entry(None, {}, {}, {})


def dvc_status(project: Project, targets: list[Target], here: str = "") -> dict[str, State]:
    """What changed, by stage as seen from `here`; nothing of stages that are up to date."""
    states = {}
    for target in targets:
        stage, entry = target.stage, project.lock.get(target.stage.key)
        state = stage_state(stage, entry, look(project, stage), outs=narrowed(target))
        if state:
            names = _dvc_names(stage, str(project.root), here)
            states[address(stage.key, here)] = [_renamed(part, names) for part in state]
    return states


def stage_state(stage: Stage, entry: Entry | None, seen: Seen, *, outs: list[Out]) -> State:
    """The state of one stage by paths as written: DVC's words, and `removed` for what only the lock still knows."""
    recorded = entry or _NEVER_RAN
    deps = (
        {} if stage.frozen else {**_dep_states(stage, recorded, seen), **_param_states(stage, recorded, seen)}
    )
    made = _told({out.path: _out_state(out, recorded, seen) for out in outs})
    gone = _removed(stage, entry, seen)
    state: State = []
    if deps or gone["dep"]:
        state.append({"changed deps": {**deps, **gone["dep"]}})
    if made or gone["out"]:
        state.append({"changed outs": {**made, **gone["out"]}})
    if stage.is_unconditional:
        state.append("always changed")
    if entry and entry.cmd != stage.cmd:
        state.append("changed command")
    return state


def _dvc_names(stage: Stage, root: str, here: str) -> dict[str, str]:
    """How DVC prints each path: from where one stands, in full when it lies outside, as written when far away."""
    paths = {one.path: one.at for one in stage.deps} | {one.path: one.at for one in stage.params}
    paths |= {one.path: one.at for one in stage.outs}
    return {path: _dvc_name(path, at, root=root, here=here) for path, at in paths.items()}


def _dvc_name(path: str, at: str, *, root: str, here: str) -> str:
    if is_url(path) or path.startswith("/"):
        return path
    if is_outside(at):
        return os.path.normpath(os.path.join(root, at))  # noqa: PTH118
    return os.path.relpath(at, here) if here else at


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(part, dict):
        return part
    return {
        title: {names.get(path, path): state for path, state in found.items()}
        for title, found in part.items()
    }


def _told(states: Mapping[str, str]) -> dict[str, str]:
    return {path: state for path, state in states.items() if state}


def _dep_states(stage: Stage, entry: Entry, seen: Seen) -> dict[str, str]:
    return _told({dep.path: _path_state(entry.deps.get(dep.path), seen.deps[dep.path]) for dep in stage.deps})


def _param_states(stage: Stage, entry: Entry, seen: Seen) -> dict[str, Any]:
    states: dict[str, Any] = {}
    for one in stage.params:
        if one.path in seen.absent:
            states[one.path] = "deleted"
        elif one.path not in entry.params:
            states[one.path] = "new"
        elif found := _key_states(
            chosen(one, seen.params[one.path]), entry.params[one.path], whole=one.keys is None
        ):
            states[one.path] = found
    return states


def _key_states(now: Mapping[str, Any], was: Mapping[str, Any], *, whole: bool) -> dict[str, str]:
    keys = dict.fromkeys((*now, *was)) if whole else now
    return _told({key: _key_state(now.get(key, ABSENT), was.get(key, ABSENT)) for key in keys})


def _key_state(now: Any, was: Any) -> str:
    if now is ABSENT:
        return "deleted"
    if was is ABSENT:
        return "new"
    return "modified" if now != was else ""


def _out_state(out: Out, entry: Entry, seen: Seen) -> str:
    if out.path in seen.uncached:
        return "not in cache"
    return _path_state(entry.outs.get(out.path), seen.outs[out.path])


def _path_state(was: Hashed | None, now: Hashed | None) -> str:
    if now is None:
        return "deleted"
    return "modified" if was is None or was.md5 != now.md5 else ""


def _removed(stage: Stage, entry: Entry | None, seen: Seen) -> dict[str, dict[str, str]]:
    """What `judge` sees beyond DVC: entries of the lock that dvc.yaml no longer has."""
    reasons: tuple[Reason, ...] = judge(stage, entry, seen) if entry and not stage.is_data else ()
    gone: dict[str, dict[str, str]] = {"dep": {}, "out": {}}
    for reason in reasons:
        if reason.change == "removed":
            gone["out" if reason.kind == "out" else "dep"][reason.subject] = "removed"
    return gone
