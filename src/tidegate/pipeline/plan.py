"""Which stages are stale and why: a pure comparison of dvc.yaml, dvc.lock and what is on disk."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from tidegate.data.hash import Hashed
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.stages import Params, Stage

ReasonKind = Literal["new", "cmd", "dep", "param", "out", "always", "forced", "upstream"]
Change = Literal["", "modified", "added", "missing", "not in cache"]


class Absent(NamedTuple):
    """The value of a key or path that is not there; unlike None, which a file can hold."""


ABSENT = Absent()


class Reason(NamedTuple):
    """One cause for a stage to run: what changed, from what, to what."""

    kind: ReasonKind
    subject: str = ""
    change: Change = ""
    was: Any = ABSENT
    now: Any = ABSENT


class Seen(NamedTuple):
    """What is on disk for one stage, by path as written; `uncached` are outs whose object is gone."""

    deps: Mapping[str, Hashed | None]
    params: Mapping[str, Mapping[str, Any]]
    outs: Mapping[str, Hashed | None]
    uncached: frozenset[str]


def plan(
    stages: Mapping[str, Stage], graph: Mapping[str, Iterable[str]], reasons: Mapping[str, tuple[Reason, ...]]
) -> dict[str, tuple[Reason, ...]]:
    """The reasons of each stage, given upstream first, and those that follow from upstream.

    A frozen stage never follows.
    """
    planned: dict[str, tuple[Reason, ...]] = {}
    for name, own in reasons.items():
        stale = [need for need in graph[name] if planned.get(need)] if not stages[name].frozen else []
        planned[name] = (*own, *(Reason("upstream", need) for need in sorted(stale)))
    return planned


def judge(stage: Stage, entry: Entry | None, seen: Seen) -> tuple[Reason, ...]:
    """Why this stage must run, as DVC would decide; nothing when it is up to date."""
    if stage.is_unconditional and not stage.frozen:
        return (Reason("always"),)
    if entry is None:
        return (Reason("new"),)
    inputs = () if stage.frozen else (*_cmd(stage, entry), *changed_inputs(stage, entry, seen))
    return (*inputs, *_outs(stage, entry, seen))


def changed_inputs(stage: Stage, entry: Entry, seen: Seen) -> tuple[Reason, ...]:
    """The deps and params that differ from the entry."""
    return (*_deps(stage, entry, seen), *_params(stage, entry, seen))


def chosen(one: Params, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values a stage asks for by dotted key, ABSENT where there is none; all of the file without keys."""
    keys = sorted(map(str, values)) if one.keys is None else one.keys
    return {key: values.get(key, ABSENT) if one.keys is None else _look_up(values, key) for key in keys}


def _cmd(stage: Stage, entry: Entry) -> Iterator[Reason]:
    if stage.cmd != entry.cmd:
        yield Reason("cmd", stage.name, "modified", was=entry.cmd, now=stage.cmd)


def _deps(stage: Stage, entry: Entry, seen: Seen) -> Iterator[Reason]:
    for dep in stage.deps:
        was, now = entry.deps.get(dep.path), seen.deps[dep.path]
        change = _compare(was, now)
        if change:
            yield Reason("dep", dep.path, change, was=_md5(was), now=_md5(now))


def _params(stage: Stage, entry: Entry, seen: Seen) -> Iterator[Reason]:
    for one in stage.params:
        recorded = entry.params.get(one.path, {})
        for key, now in chosen(one, seen.params[one.path]).items():
            was = recorded.get(key, ABSENT)
            if isinstance(now, Absent) or was != now:
                change: Change = "missing" if now is ABSENT else "added" if was is ABSENT else "modified"
                yield Reason("param", f"{one.path}:{key}", change, was=was, now=now)


def _outs(stage: Stage, entry: Entry, seen: Seen) -> Iterator[Reason]:
    for out in stage.outs:
        was, now = entry.outs.get(out.path), seen.outs[out.path]
        change: Change = "not in cache" if out.path in seen.uncached else _compare(was, now)
        if change:
            yield Reason("out", out.path, change, was=_md5(was), now=_md5(now))


def _compare(was: Hashed | None, now: Hashed | None) -> Change:
    if now is None:
        return "missing"
    if was is None:
        return "added"
    return "modified" if was.md5 != now.md5 else ""


def _md5(hashed: Hashed | None) -> Any:
    return hashed.md5 if hashed else ABSENT


def _look_up(values: Any, key: str) -> Any:
    """`a.b.0` in nested mappings and lists, as DVC reads it."""
    for step in key.split("."):
        if isinstance(values, Mapping) and step in values:
            values = values[step]
        elif isinstance(values, list) and step.isdigit() and int(step) < len(values):
            values = values[int(step)]
        else:
            return ABSENT
    return values
