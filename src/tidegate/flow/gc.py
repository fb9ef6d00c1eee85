"""`gc`: mark what the chosen commits use, then remove everything else from the cache, and from remotes if asked.

What was put into the cache only just now is kept: a command that is still at work may be about to record it.
"""

import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tidegate.data.dvclock import repo_lock
from tidegate.data.execbits import write_exec
from tidegate.data.folders import fetch_folders
from tidegate.data.keys import is_folder, md5_of, object_key, parts_of
from tidegate.data.objects import ObjectCache
from tidegate.data.remote import find_remote, open_remote
from tidegate.data.transfer import have
from tidegate.errors import ConflictError, TidegateError, UsageError
from tidegate.flow.wanted import Note, Scope, Wanted, collect
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.work import dvc_locks
from tidegate.store.refs import NOW, Revisions

GRACE_S = 600.0
_TOP = re.compile(r"(files/md5/)?[0-9a-f]{2}")
_KEY = re.compile(r"(files/md5/)?[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")


class Sweep(NamedTuple):
    """What to keep: what the workspace and these commits use, here and in other projects that share the cache.

    `cloud` cleans remotes as well; `not_in_remote` also removes what a remote has. `force` goes on when the list of
    a directory is nowhere, so that its files look unused; `skip_failed` when a commit cannot be read. `dry` only
    tells. `grace_s` is how old an object must be to go.
    """

    revisions: Revisions = NOW
    projects: tuple[Path, ...] = ()
    cloud: bool = False
    not_in_remote: bool = False
    remote: str = ""
    runs: bool = False
    force: bool = False
    skip_failed: bool = False
    dry: bool = False
    grace_s: float = GRACE_S
    jobs: int | None = None
    note: Note = lambda text: None


class Swept(NamedTuple):
    """What went from a place, or would go: keys, their bytes where known, and how many were too young."""

    where: str
    keys: tuple[str, ...]
    total_bytes: int = 0
    young: int = 0


class _Marks(NamedTuple):
    """Keys in use by the url of the remote that they belong to; empty for the default one."""

    by_remote: dict[str, set[str]]

    def add(self, url: str, keys: Collection[str]) -> None:
        """These are in use as well."""
        self.by_remote.setdefault(url, set()).update(keys)

    def every(self) -> set[str]:
        """Whatever remote they belong to."""
        return set().union(*self.by_remote.values())


def collect_garbage(root: Path, sweep: Sweep) -> tuple[Swept, ...]:
    """Remove what is not in use, from the cache first; nothing at all when one commit cannot be read.

    Raises ConflictError when another command holds the repository, or when files of a directory cannot be told.
    """
    with ExitStack() as stack:
        projects = [stack.enter_context(open_project(one)) for one in (root, *sweep.projects)]
        for project in projects:
            stack.enter_context(repo_lock(dvc_locks(project)))
        marks = _Marks({"": set()})
        for project in projects:
            _mark(project, sweep, marks)
        own = projects[0]
        done = [_sweep_cache(own.cache, _kept(own, sweep, marks), sweep)]
        if sweep.runs:
            done.append(_sweep_runs(own.cache, sweep, gone=set(done[0].keys)))
        if sweep.cloud:
            done += [_sweep_remote(own, name, keys, sweep) for name, keys in _clouds(own, sweep, marks)]
        return tuple(done)


def check_scope(sweep: Sweep, *, workspace: bool) -> None:
    """UsageError unless it was said what to keep, and the options agree with each other."""
    revisions = sweep.revisions
    if sweep.remote and not (sweep.cloud or sweep.not_in_remote):
        raise UsageError("gc", "`--remote` needs `--cloud` or `--not-in-remote`")
    if sweep.not_in_remote and sweep.cloud:
        raise UsageError("gc", "`--not-in-remote` and `--cloud` exclude each other")
    if not workspace and revisions.is_none:
        hint = "tidegate gc --workspace --dry"
        raise UsageError(
            "gc", "nothing says what to keep, expected -w, -a, -T, -A, --date or --rev", hint=hint
        )
    if revisions.number != 1 and not (revisions.names or revisions.branches):
        raise UsageError("gc", "`--num` counts from `--rev` or `--all-branches`, expected one of them")


def _mark(project: Project, sweep: Sweep, marks: _Marks) -> None:
    note = sweep.note if sweep.skip_failed else None
    found = [
        one
        for one in collect(project, Scope(revisions=sweep.revisions), note)
        if one.out.cache and one.hashed
    ]
    _bring_lists(project, found, sweep)
    for one in found:
        if one.hashed:
            key = object_key(one.hashed.md5, one.hashed.kind)
            url = find_remote(project.config, one.out.remote).url if one.out.remote else ""
            marks.add(url, {key, *_parts(project.cache, key, one, sweep)})


def _parts(cache: ObjectCache, key: str, one: Wanted, sweep: Sweep) -> list[str]:
    if not is_folder(key):
        return []
    parts = parts_of(cache, key)
    if parts is None and not sweep.force:
        found = "its list of files is neither in the cache nor in the remote, so they would all look unused"
        raise ConflictError(one.out.at, found, hint="tidegate fetch, or --force to lose them")
    return parts or []


def _bring_lists(project: Project, found: list[Wanted], sweep: Sweep) -> None:
    """Only the list of a directory says which files are in use."""
    groups: dict[str, list[Wanted]] = {}
    for one in found:
        if one.hashed and one.hashed.md5.endswith(".dir") and not one.is_foreign:
            key = object_key(one.hashed.md5, one.hashed.kind)
            if not (project.cache.folder / key).exists():
                groups.setdefault(one.out.remote or sweep.remote, []).append(one)
    for name, group in groups.items():
        try:
            remote = open_remote(project.config, name or None)
            fetch_folders(project.cache, remote, [one.hashed for one in group if one.hashed], jobs=sweep.jobs)
        except TidegateError as error:
            sweep.note(f"lists of directories could not be fetched: {error}")


def _kept(project: Project, sweep: Sweep, marks: _Marks) -> set[str]:
    if not sweep.not_in_remote:
        return marks.every()
    there: set[str] = set()
    for name, keys in _clouds(project, sweep, marks):
        there |= have(open_remote(project.config, name), sorted(keys))
    return marks.every() - there


def _clouds(project: Project, sweep: Sweep, marks: _Marks) -> list[tuple[str, set[str]]]:
    """Each remote that holds something of ours, by name, with the keys in use there."""
    default = find_remote(project.config, sweep.remote or None)
    wanted = {default.name: set(marks.by_remote[""])}
    names = {
        remote.url: name for name in project.config.remotes if (remote := find_remote(project.config, name))
    }
    for url, keys in marks.by_remote.items():
        name = default.name if url == default.url else names.get(url, "")
        if name:
            wanted.setdefault(name, set()).update(keys)
    return list(wanted.items())


def _sweep_cache(cache: ObjectCache, kept: set[str], sweep: Sweep) -> Swept:
    """Lists of directories go before their files, so that a list that is there promises its files."""
    horizon = min(time.time() - sweep.grace_s, _saving_since(cache)) if sweep.grace_s else time.time() + 1
    doomed = {key: status for key, status in cached_objects(cache) if key not in kept}
    old = {key: one.st_size for key, one in doomed.items() if max(one.st_mtime, one.st_ctime) < horizon}
    gone = sorted(old, key=lambda key: (not is_folder(key), key))
    for key in () if sweep.dry else gone:
        os.unlink(f"{cache.folder}/{key}")  # noqa: PTH108
        if is_folder(key):
            write_exec(cache, md5_of(key), [])
    return Swept("cache", tuple(gone), sum(old.values()), len(doomed) - len(old))


def cached_objects(cache: ObjectCache) -> Iterator[tuple[str, os.stat_result]]:
    """Key and stat of every object, of both layouts; nothing else that lies in the cache."""
    tops = [f"{layout}{name}" for layout in ("files/md5/", "") for name in _names(f"{cache.folder}/{layout}")]
    for top in tops:
        inner = _names(f"{cache.folder}/{top}") if _TOP.fullmatch(top) else []
        for key in (f"{top}/{name}" for name in inner):
            if _KEY.fullmatch(key):
                yield key, os.stat(f"{cache.folder}/{key}")  # noqa: PTH116


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def _saving_since(cache: ObjectCache) -> float:
    """When the oldest save that is still under way began."""
    import fcntl

    since = time.time()
    for name in _names(f"{cache.folder}/tidegate/staging"):
        try:
            handle = os.open(f"{cache.folder}/tidegate/staging/{name}", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            since = min(since, os.fstat(handle).st_ctime)
        finally:
            os.close(handle)
    return since


def _sweep_runs(cache: ObjectCache, sweep: Sweep, *, gone: set[str]) -> Swept:
    """Results of stages of which nothing is left in the cache."""
    top = cache.folder / "runs"
    dead = [path for path in sorted(top.glob("*/*/*")) if path.is_file() and _is_dead(cache, path, gone)]
    total = sum(path.stat().st_size for path in dead)
    for path in () if sweep.dry else dead:
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    return Swept("run cache", tuple(path.relative_to(cache.folder).as_posix() for path in dead), total)


def _is_dead(cache: ObjectCache, path: Path, gone: set[str]) -> bool:
    from tidegate.data.yaml import parse_yaml

    try:
        outs = parse_yaml(path.read_text(encoding="utf-8"), path.name).get("outs") or ()
        keys = [object_key(out["md5"], out.get("hash", "md5-dos2unix")) for out in outs]
    except (UsageError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        return False
    return bool(keys) and not any(key not in gone and (cache.folder / key).exists() for key in keys)


def _sweep_remote(project: Project, name: str, kept: set[str], sweep: Sweep) -> Swept:
    remote = open_remote(project.config, name)
    listed = {key for key in remote.list("") if _KEY.fullmatch(key)}
    gone = sorted(listed - kept, key=lambda key: (not is_folder(key), key))
    for key in () if sweep.dry else gone:
        remote.remove(key)
    return Swept(f"remote {name}", tuple(gone))
