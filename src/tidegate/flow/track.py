"""`add`: put data under version control as DVC does; each file is read once, unchanged ones not at all."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tidegate.data.cache import add_path, ensure_dvc
from tidegate.data.dvcfile import parse_dvcfile, render_dvcfile, update_dvcfile, with_content_md5
from tidegate.data.dvclock import Claim, repo_lock, rwlock
from tidegate.data.dvcrecord import Content, DvcFile, Tracked
from tidegate.data.gitignore import ignore_paths
from tidegate.data.hash import Hashed, hash_path
from tidegate.data.md5 import MD5
from tidegate.data.placed import note_placed
from tidegate.errors import NotFoundError
from tidegate.flow.autostage import autostage
from tidegate.flow.branch import add_branch
from tidegate.flow.follow import UNSEEN, Watch
from tidegate.flow.places import Place, find_places, from_root
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.work import dvc_locks
from tidegate.store.files import write_atomic


class Adding(NamedTuple):
    """What to add, typed in `here`, and how.

    `commit` puts the data into the cache, `relink` makes links of them where such are configured, `glob` reads the
    words as patterns, `force` takes over a .dvc file that tracks something else.
    """

    words: tuple[str, ...]
    here: str = ""
    glob: bool = False
    commit: bool = True
    relink: bool = True
    force: bool = False


class Added(NamedTuple):
    """Data that are tracked now: their path, their .dvc file, what is recorded, and whether that changed."""

    at: str
    file: str
    hashed: Hashed
    changed: bool


class Tracking(NamedTuple):
    """What a verb did, and the files that are left for the user to add to git."""

    added: tuple[Added, ...]
    to_git: tuple[str, ...] = ()


def add(root: Path, asked: Adding, *, watch: Watch = UNSEEN) -> Tracking:
    """Track files and directories; a part of a tracked directory updates that one.

    Nothing is changed when one of them cannot be added. Raises NotFoundError for what is not there, ConflictError for
    what a stage makes or git tracks, UsageError for what no .dvc file can track.
    """
    ensure_dvc(root)
    with open_project(root) as project:
        words = matching(asked.words, root / asked.here) if asked.glob else asked.words
        paths = [from_root(project, asked.here, word) for word in words]
        places = find_places(project, paths, force=asked.force)
        return track(project, places, lambda place: store(project, place, asked, watch=watch), watch=watch)


def track(
    project: Project, places: list[Place], make: Callable[[Place], Hashed], *, watch: Watch = UNSEEN
) -> Tracking:
    """Record what `make` gives for each place, under DVC's locks: no one collects what is not recorded yet.

    What is then there stays out of git.
    """
    locks = dvc_locks(project, watch.note)
    claim = Claim("tidegate add", write=tuple(place.at for place in places))
    changed: list[str] = []
    with rwlock(locks, claim), repo_lock(locks):
        added = tuple(_record(project, place, make(place), changed) for place in places)
        changed += ignore_paths(project.root, [place.top for place in places if _is_hidden(project, place)])
    return Tracking(added, autostage(project, changed))


def store(project: Project, place: Place, how: Adding, *, watch: Watch = UNSEEN) -> Hashed:
    """Put what lies at a place into the cache; the content of its out from then on."""
    cache = project.cache._replace(stored=watch.stored)
    was = recorded(project, place)
    if place.at != place.top and was and was.kind == MD5:
        return add_branch(cache, place, was, commit=how.commit, relink=how.relink)
    kind = kind_now(project, place.top, was)
    if how.commit and (place.out is None or place.out.cache):
        return add_path(cache, place.top, kind=kind, link=how.relink)
    hashed = hash_path(project.files, place.top, kind=kind)
    if hashed is None:
        raise NotFoundError(place.at, "does not exist, expected a file or a directory")
    return hashed


def kind_now(project: Project, at: str, was: Hashed | None) -> str:
    """The kind of hash to record: an entry of DVC 2 stays one until its content changes."""
    if was is None or was.kind == MD5:
        return MD5
    now = hash_path(project.files, at, kind=was.kind)
    return was.kind if now and now.md5 == was.md5 else MD5


def recorded(project: Project, place: Place) -> Hashed | None:
    """What is recorded of the out at a place."""
    if place.stage is None or place.out is None or place.stage.key not in project.lock:
        return None
    return project.lock[place.stage.key].outs.get(place.out.path)


def matching(patterns: Iterable[str], folder: Path) -> list[str]:
    """The paths in a folder that the patterns match, `**` any directories; NotFoundError when there are none."""
    from glob import iglob

    asked = list(patterns)
    found = [path for word in asked for path in iglob(word, root_dir=folder, recursive=True)]  # noqa: PTH207
    if not found:
        raise NotFoundError(" ".join(asked), "matches nothing, expected a pattern of files")
    return found


def _is_hidden(project: Project, place: Place) -> bool:
    is_cached = place.out is None or place.out.cache
    return place.hide and is_cached and not project.config.core.no_scm


def _record(project: Project, place: Place, hashed: Hashed, changed: list[str]) -> Added:
    path = project.root / place.file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = _text(before, place, hashed)
    if after != before:
        write_atomic(path, after)
    note_placed(project.root, {place.top: hashed.md5})
    changed.append(place.file)
    return Added(place.at, place.file, hashed, after != before)


def _text(before: str, place: Place, hashed: Hashed) -> str:
    name = place.top.rpartition("/")[2]
    if not before:
        return render_dvcfile(DvcFile((Tracked(name, Content(hashed)),)))
    record = parse_dvcfile(before, place.file)
    if place.out is None:
        return update_dvcfile(
            before, DvcFile((Tracked(name, Content(hashed)),), desc=record.desc, meta=record.meta)
        )
    outs = tuple(_updated(out, hashed) if out.path == place.out.path else out for out in record.outs)
    record = record._replace(outs=outs)
    return update_dvcfile(before, with_content_md5(record) if record.md5 else record)


def _updated(out: Tracked, hashed: Hashed) -> Tracked:
    """Unchanged content keeps what storages said of it."""
    return out if out.content.hashed == hashed else out._replace(content=Content(hashed))
