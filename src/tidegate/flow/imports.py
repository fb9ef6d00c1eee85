"""`import-url` and `import`: track a copy of data that lie at a URL or in another repository."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tidegate.data.cache import ensure_dvc
from tidegate.data.dvcfile import parse_dvcfile, render_dvcfile, update_dvcfile, with_content_md5
from tidegate.data.dvclock import Claim, repo_lock, rwlock
from tidegate.data.dvcrecord import Content, DvcFile, Source, Tracked
from tidegate.data.gitignore import ignore_paths
from tidegate.data.hash import Hashed
from tidegate.errors import ConflictError, UsageError
from tidegate.flow.autostage import autostage
from tidegate.flow.bring import Bringing as Sending
from tidegate.flow.bring import send
from tidegate.flow.follow import UNSEEN, Watch
from tidegate.flow.places import Place, find_places, from_root
from tidegate.pipeline.imports import (
    Bringing,
    brought,
    put,
    source_now,
)
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.stages import Out, Stage, is_url
from tidegate.pipeline.work import dvc_locks
from tidegate.store.files import write_atomic

# how much is done: only the .dvc file, that and what the source says, all of it, or all of it to the remote alone
Extent = Literal["no_exec", "no_download", "all", "to_remote"]


class Importing(NamedTuple):
    """Where an import goes, typed in `here`, and how much of it is done now."""

    out: str = ""
    here: str = ""
    extent: Extent = "all"
    remote: str = ""
    jobs: int | None = None
    force: bool = False


class Imported(NamedTuple):
    """An import: its path, its .dvc file, its content unless that was not brought, and whether anything changed."""

    at: str
    file: str
    hashed: Hashed | None
    changed: bool = True


class Done(NamedTuple):
    """What a verb did, and the files that are left for the user to add to git."""

    imported: tuple[Imported, ...]
    to_git: tuple[str, ...] = ()


def import_url(
    root: Path, url: str, asked: Importing, *, options: Mapping[str, Any] = {}, watch: Watch = UNSEEN
) -> Done:
    """Track a copy of what lies at a URL or path; `options` are those of a remote, for this URL alone.

    Raises ConflictError for a place that is taken, NotFoundError for a source that is not there, UnavailableError
    for one that does not answer; nothing is recorded then.
    """
    return _import(root, Source(url, fs_config=options), asked, watch)


def import_repo(
    root: Path, path: str, repo: Mapping[str, Any], asked: Importing, *, watch: Watch = UNSEEN
) -> Done:
    """Track a copy of data, or of files of git, in the repository that `repo` names, at its commit now."""
    if asked.extent == "to_remote":
        raise UsageError("import", "--to-remote found, expected it only for URLs")
    return _import(root, Source(path, repo=repo), asked, watch)


def _import(root: Path, source: Source, asked: Importing, watch: Watch) -> Done:
    ensure_dvc(root)
    with open_project(root) as project:
        place = _find_place(project, source, asked)
        stage = _stage_of(project, place)
        source = (
            source if source.repo else source._replace(path=_seen_from(project, source.path, stage, asked))
        )
        with working(project, stage, watch, "tidegate import") as locked:
            if asked.extent != "no_exec":
                source = source_now(project, stage.wdir, source)
            with _content(project, stage, source, asked=asked, watch=watch) as take, locked():
                hashed = take()
                changed = _write(project, place, source, hashed=hashed, extent=asked.extent)
        return Done((Imported(place.at, place.file, hashed),), autostage(project, changed))


@contextmanager
def _content(
    project: Project, stage: Stage, source: Source, *, asked: Importing, watch: Watch
) -> Iterator[Callable[[], Hashed | None]]:
    """What puts the content in place once the repository is held; it has been brought before that."""
    if asked.extent == "all":
        how = Bringing(asked.jobs, asked.force, watch.note, watch.stored or unheard)
        with brought(project, stage, source, how) as ready:
            yield lambda: put(project, stage.outs[0].at, ready, how)
        return
    to = Sending(remote=asked.remote or None, jobs=asked.jobs)
    hashed = send_source(project, stage, source, to) if asked.extent == "to_remote" else None
    yield lambda: hashed


def _find_place(project: Project, source: Source, asked: Importing) -> Place:
    """The path of the out and its .dvc file; what is there already needs `force` to be replaced."""
    at = _destination(project, source, asked)
    if os.path.lexists(project.root / at) and not asked.force:
        raise ConflictError(at, "exists already, expected a new path", hint="--force replaces it")
    (place,) = find_places(project, [at], force=asked.force, must_exist=False)
    if place.top != place.at or (place.stage and not place.stage.is_data):
        raise ConflictError(at, f"lies inside `{place.top}`, which is tracked as a whole")
    if place.stage and not asked.force:
        raise ConflictError(place.file, f"tracks `{at}` already", hint="--force, or `tidegate update`")
    return place


def _destination(project: Project, source: Source, asked: Importing) -> str:
    """The path to track: `out`, or in it when it is a directory; without it under the source's name, here."""
    from urllib.parse import urlsplit

    path = source.path if source.repo else urlsplit(source.path).path
    name = os.path.basename(os.path.normpath(path))  # noqa: PTH119
    at = from_root(project, asked.here, asked.out or name)
    if asked.out and (project.root / at).is_dir():
        at = from_root(project, at, name)
    return at


def _stage_of(project: Project, place: Place) -> Stage:
    """The import as a stage, be it recorded already or not."""
    folder, _, name = place.at.rpartition("/")
    known = place.stage or Stage(place.file, "", place.file, None, folder, is_import=True)
    return known._replace(outs=(place.out or Out(name, place.at),), wdir=folder)


def _seen_from(project: Project, path: str, stage: Stage, asked: Importing) -> str:
    """A relative path is recorded as seen from the .dvc file, as is one inside the project."""
    if is_url(path):
        return path
    at = from_root(project, asked.here, path)
    return at if at.startswith("/") else os.path.relpath(at, stage.wdir or ".")


@contextmanager
def working(project: Project, stage: Stage, watch: Watch, cmd: str) -> Iterator[Any]:
    """Keep others from the out while the block runs; what it is given holds the repository for the record."""
    locks = dvc_locks(project, watch.note)
    with rwlock(locks, Claim(f"{cmd} {stage.key}", write=tuple(out.at for out in stage.outs))):
        yield lambda: repo_lock(locks)


def _write(
    project: Project, place: Place, source: Source, *, hashed: Hashed | None, extent: Extent
) -> list[str]:
    """Record the import and keep its out out of git; the files that are to be added to git."""
    name = place.at.rpartition("/")[2]
    path = project.root / place.file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    known = parse_dvcfile(before, place.file)
    record = DvcFile(
        (Tracked(name, Content(hashed)),), (source,), frozen=True, desc=known.desc, meta=known.meta
    )
    if extent != "no_exec":
        record = with_content_md5(record)
    write_atomic(path, update_dvcfile(before, record) if before else render_dvcfile(record))
    ignored = [] if project.config.core.no_scm else ignore_paths(project.root, [place.at])
    return [place.file, *ignored]


def send_source(project: Project, stage: Stage, source: Source, to: Sending) -> Hashed:
    """Bring what lies at a source to the remote, without a copy here."""
    how = Bringing(to.jobs)
    with brought(project, stage, source, how) as ready:
        return send(project, ready.staged, to, watch=UNSEEN)


def unheard(size: int) -> None:
    """Nobody counts what is stored."""
