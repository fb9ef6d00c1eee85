"""Which stages are stale and why: a pure comparison of dvc.yaml, dvc.lock and what is on disk."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from tidegate.data.hash import Hashed
from tidegate.data.params import ABSENT, Absent, look_up
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.stages import Dep, Out, Params, Stage

# what is merely not here, and comes back from the cache or a remote as it was
MISSING = ("missing", "not in cache")

ReasonKind = Literal["new", "cmd", "dep", "param", "out", "always", "forced", "upstream"]
Change = Literal["", "modified", "added", "missing", "removed", "not in cache"]


class Reason(NamedTuple):
    """One cause for a stage to run: what changed, from what, to what."""

    kind: ReasonKind
    subject: str = ""
    change: Change = ""
    was: Any = ABSENT
    now: Any = ABSENT


class Seen(NamedTuple):
    """What is on disk for one stage, by path as written.

    `uncached` are outs whose object is gone, `absent` are parameter files that are not there.
    """

    deps: Mapping[str, Hashed | None]
    params: Mapping[str, Mapping[str, Any]]
    outs: Mapping[str, Hashed | None]
    uncached: frozenset[str]
    absent: frozenset[str] = frozenset()


def plan(
    stages: Mapping[str, Stage], graph: Mapping[str, Iterable[str]], reasons: Mapping[str, tuple[Reason, ...]]
) -> dict[str, tuple[Reason, ...]]:
    """The reasons of each stage, given upstream first, and those that follow from upstream.

    A frozen stage never follows, and nothing follows from one whose outs merely come back from the cache.
    """
    planned: dict[str, tuple[Reason, ...]] = {}
    for key, own in reasons.items():
        needs = () if stages[key].frozen else graph[key]
        stale = [need for need in needs if changes_outs(planned.get(need, ()))]
        planned[key] = (*own, *(Reason("upstream", need) for need in sorted(stale)))
    return planned


def changes_outs(reasons: Iterable[Reason]) -> bool:
    """Whether a stage with these reasons may come to other outs than before."""
    return any(reason.kind != "out" or reason.change not in MISSING for reason in reasons)


def judge(stage: Stage, entry: Entry | None, seen: Seen) -> tuple[Reason, ...]:
    """Why this stage must run, as DVC would decide; nothing when it is up to date.

    Unlike DVC's, a dep, param or out that is no longer written in dvc.yaml counts as a change.
    """
    if stage.is_unconditional and not stage.frozen:
        return (Reason("always"),)
    if entry is None:
        return (Reason("new"),)
    inputs = () if stage.frozen else (*_cmd(stage, entry), *changed_inputs(stage, entry, seen))
    return (*inputs, *_outs(stage, entry, seen))


def without_missing(reasons: tuple[Reason, ...], made: Mapping[str, str]) -> tuple[Reason, ...]:
    """The reasons that remain when data that are merely not here do not count (`--allow-missing`).

    A dep that other stages `made`, by path, into something else than was read still counts.
    """
    return tuple(one for one in reasons if not _is_missing(one, made))


def _is_missing(reason: Reason, made: Mapping[str, str]) -> bool:
    if reason.kind == "dep":
        return reason.change in MISSING and made.get(reason.subject, reason.was) == reason.was
    return reason.kind == "out" and reason.change in MISSING


def changed_inputs(stage: Stage, entry: Entry, seen: Seen) -> tuple[Reason, ...]:
    """The deps and params that differ from the entry."""
    return (*_deps(stage, entry, seen), *_params(stage, entry, seen))


def chosen(one: Params, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values a stage asks for by dotted key, ABSENT where there is none; all of the file without keys."""
    keys = sorted(map(str, values)) if one.keys is None else one.keys
    return {key: values.get(key, ABSENT) if one.keys is None else look_up(values, key) for key in keys}


def _cmd(stage: Stage, entry: Entry) -> Iterator[Reason]:
    if stage.cmd != entry.cmd:
        yield Reason("cmd", stage.name, "modified", was=entry.cmd, now=stage.cmd)


def _deps(stage: Stage, entry: Entry, seen: Seen) -> Iterator[Reason]:
    for dep in stage.deps:
        was, now = entry.deps.get(dep.path), seen.deps[dep.path]
        change = _compare(was, now)
        if change:
            yield Reason("dep", dep.path, change, was=_md5(was), now=_md5(now))
    yield from _removed("dep", entry.deps, stage.deps)


def _params(stage: Stage, entry: Entry, seen: Seen) -> Iterator[Reason]:
    for one in stage.params:
        recorded = entry.params.get(one.path, {})
        for key, now in chosen(one, seen.params[one.path]).items():
            was = recorded.get(key, ABSENT)
            if isinstance(now, Absent) or was != now:
                change: Change = "missing" if now is ABSENT else "added" if was is ABSENT else "modified"
                yield Reason("param", f"{one.path}:{key}", change, was=was, now=now)
        if one.keys is None or recorded:
            yield from _dropped(one, recorded, seen.params[one.path])
    yield from _removed("param", entry.params, stage.params)


def _dropped(one: Params, recorded: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Reason]:
    """Keys in the lock that the file no longer has, or that the stage does not ask for any more."""
    asked = chosen(one, values)
    change: Change = "missing" if one.keys is None else "removed"
    for key, was in recorded.items():
        if key not in asked:
            yield Reason("param", f"{one.path}:{key}", change, was=was)


def _outs(stage: Stage, entry: Entry, seen: Seen) -> Iterator[Reason]:
    for out in stage.outs:
        was, now = entry.outs.get(out.path), seen.outs[out.path]
        change: Change = "not in cache" if out.path in seen.uncached else _compare(was, now)
        if change:
            yield Reason("out", out.path, change, was=_md5(was), now=_md5(now))
    yield from _removed("out", entry.outs, stage.outs)


def _removed(
    kind: ReasonKind, recorded: Mapping[str, Any], written: Iterable[Dep | Params | Out]
) -> Iterator[Reason]:
    kept = {one.path for one in written}
    yield from (Reason(kind, path, "removed") for path in recorded if path not in kept)


def _compare(was: Hashed | None, now: Hashed | None) -> Change:
    if now is None:
        return "missing"
    if was is None:
        return "added"
    return "modified" if was.md5 != now.md5 else ""


def _md5(hashed: Hashed | None) -> Any:
    return hashed.md5 if hashed else ABSENT
