"""`checkout`: bring the outs of the workspace to their recorded state, and lose nothing that nobody saved."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tidegate.data.checkout import checkout, clear
from tidegate.data.dvclock import Claim, repo_lock, rwlock
from tidegate.data.folders import part_of, save_part
from tidegate.data.gitignore import tracked_by_git
from tidegate.data.hash import Hashed, hash_path, list_tree
from tidegate.data.objects import read_tree
from tidegate.data.placed import note_placed, read_placed
from tidegate.errors import NotFoundError, TidegateError
from tidegate.flow.wanted import Scope, Wanted, collect
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.work import dvc_locks
from tidegate.store.lock import Tell
from tidegate.store.refs import NOW

_ALL = Scope()


class How(NamedTuple):
    """`force` deletes local changes instead of moving them aside; `relink` replaces links of another kind."""

    force: bool = False
    relink: bool = False
    tell: Tell | None = None


class Count(NamedTuple):
    """Files that changed, those inside of directories counted one by one."""

    modified: int = 0
    added: int = 0
    deleted: int = 0

    def plus(self, other: "Count") -> "Count":
        """Both together."""
        return Count(*(one + more for one, more in zip(self, other, strict=True)))


class CheckedOut(NamedTuple):
    """The outs that changed, as seen from where the person stands; directories end with a slash.

    `failed` says why an out was left as it was; `aside` where local changes went.
    """

    modified: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    files: Count = Count()
    failed: tuple[tuple[str, str], ...] = ()
    aside: tuple[tuple[str, Path], ...] = ()


class _Done(NamedTuple):
    at: str
    change: str
    files: Count = Count()
    aside: Path | None = None
    reason: str = ""
    is_folder: bool = False


def checkout_outs(root: Path, scope: Scope = _ALL, how: How | None = None) -> CheckedOut:
    """Bring the outs that the scope names to their recorded state, each whole or not at all.

    Raises NotFoundError for a target that names nothing. What cannot be brought there is in `failed`.
    """
    with open_project(root) as project:
        return check_out(project, scope, how or How())


def check_out(project: Project, scope: Scope, how: How) -> CheckedOut:
    """The same in a project that is open."""
    found = [one for one in collect(project, scope._replace(revisions=NOW)) if one.out.cache]
    stale = [] if scope.words else _unused(project, found)
    claim = Claim("tidegate checkout", (), tuple(dict.fromkeys([*stale, *(one.out.at for one in found)])))
    locks = dvc_locks(project, how.tell)
    with repo_lock(locks), rwlock(locks, claim):
        done = [_drop(project, at) for at in stale] + [_bring(project, one, how) for one in found]
        _note(project, found, done)
    project.hashes.clear()
    return _summed(done, scope.here)


def _bring(project: Project, one: Wanted, how: How) -> _Done:
    if one.hashed is None:
        return _unrecorded(project, one)
    try:
        if one.inner:
            return _check_out_part(project, one, one.hashed, how)
        return _check_out_one(project, one.at, one.hashed, how)
    except NotFoundError as error:
        return _Done(one.at, "failed", reason=error.message, is_folder=one.hashed.md5.endswith(".dir"))


def _check_out_one(project: Project, at: str, hashed: Hashed, how: How) -> _Done:
    count = _differing(project, at, hashed)
    done = checkout(project.cache, at, hashed, force=how.force, relink=how.relink)
    change = "unchanged" if done.change == "modified" and count == Count() else done.change
    return _Done(at, change, count, done.aside, is_folder=(project.root / at).is_dir())


def _check_out_part(project: Project, one: Wanted, whole: Hashed, how: How) -> _Done:
    """Told as a change of the out that the path lies in, as DVC does."""
    is_new = not os.path.lexists(project.root / one.out.at)
    done = _check_out_one(project, one.at, _part(project, one, whole), how)
    if done.change == "unchanged":
        return done._replace(at=one.out.at, is_folder=True)
    return done._replace(at=one.out.at, is_folder=True, change="added" if is_new else "modified")


def _part(project: Project, one: Wanted, whole: Hashed) -> Hashed:
    """What is recorded for a path inside of a directory, be it a file or a directory itself."""
    files = part_of(project.cache, whole, one.inner)
    if files is None:
        raise NotFoundError(one.out.at, f"1 object is not in the cache: {whole.md5}", hint="tidegate fetch")
    if not files:
        raise NotFoundError(one.at, "not in the recorded directory", hint="tidegate list")
    return files[0][1] if files[0][0] == "" else save_part(project.cache, files, whole.kind)


def _unrecorded(project: Project, one: Wanted) -> _Done:
    """Nothing says what it should hold: what is there stays."""
    if os.path.lexists(project.root / one.at):
        return _Done(one.at, "unchanged")
    return _Done(one.at, "failed", reason="nothing is recorded of it yet, `tidegate repro` makes it")


def _differing(project: Project, at: str, hashed: Hashed) -> Count:
    """How many files a checkout will touch."""
    wanted = dict(read_tree(project.cache, hashed) or ())
    try:
        present = _present(project, at, hashed)
    except TidegateError:
        # such as a broken link, which checkout moves away
        present = {}
    if present is None:
        return Count()
    return Count(
        modified=sum(present[path] != md5 for path, md5 in wanted.items() if path in present),
        added=sum(path not in present for path in wanted),
        deleted=sum(path not in wanted for path in present),
    )


def _present(project: Project, at: str, hashed: Hashed) -> dict[str, str] | None:
    """The files that are there now; None when they are what is wanted."""
    now = hash_path(project.files, at, kind=hashed.kind)
    if now is None:
        return {}
    if now.md5 == hashed.md5:
        return None
    if now.md5.endswith(".dir"):
        return dict(list_tree(project.files, at, kind=hashed.kind))
    return {"": now.md5}


def _unused(project: Project, found: Iterable[Wanted]) -> list[str]:
    """Outs put in place before, unchanged since, that no stage of this commit has."""
    tracked = {one.out.at for one in found} | {
        out.at for stage in project.stages.values() for out in stage.outs
    }
    placed = read_placed(project.root)
    gone = [at for at in placed if at not in tracked and not _overlaps(at, tracked)]
    unchanged = []
    for at in gone:
        with suppress(TidegateError):
            now = hash_path(project.files, at)
            if now and now.md5 == placed[at]:
                unchanged.append(at)
    kept = set(tracked_by_git(project.root, unchanged)) if unchanged else set()
    return [at for at in unchanged if at not in kept]


def _overlaps(at: str, tracked: set[str]) -> bool:
    return any(at.startswith(f"{other}/") or other.startswith(f"{at}/") for other in tracked)


def _drop(project: Project, at: str) -> _Done:
    is_folder = (project.root / at).is_dir()
    many = len(list_tree(project.files, at)) if is_folder else 1
    return _Done(at, "deleted", Count(deleted=many), clear(project.cache, at), is_folder=is_folder)


def _note(project: Project, found: list[Wanted], done: list[_Done]) -> None:
    right = {one.at for one in done if one.change in ("unchanged", "added", "modified") and not one.reason}
    md5s = {
        one.out.at: one.hashed.md5
        for one in found
        if one.hashed and not one.inner and one.hashed.kind == "md5" and one.at in right
    }
    note_placed(project.root, md5s, gone=[one.at for one in done if one.change == "deleted"])


def _summed(done: list[_Done], here: str) -> CheckedOut:
    count = Count()
    for one in done:
        count = count.plus(one.files if one.change != "failed" else Count())
    return CheckedOut(
        _paths(done, "modified", here),
        _paths(done, "added", here),
        _paths(done, "deleted", here),
        count,
        tuple((_seen(one, here), one.reason) for one in done if one.change == "failed"),
        tuple((one.at, one.aside) for one in done if one.aside),
    )


def _paths(done: list[_Done], change: str, here: str) -> tuple[str, ...]:
    """Directories first, as DVC sorts them."""
    paths = {_seen(one, here) for one in done if one.change == change}
    return tuple(sorted(paths, key=lambda path: (not path.endswith("/"), path)))


def _seen(one: _Done, here: str) -> str:
    path = os.path.relpath(one.at, here) if here else one.at
    return f"{path}/" if one.is_folder else path
