"""Data imported from a URL or another repository: what their source is now, and bringing them to their place."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tidegate.data.cache import add_path, has_object
from tidegate.data.checkout import checkout
from tidegate.data.dvcfile import read_dvcfile, with_content_md5
from tidegate.data.dvcrecord import Content, DvcFile, Source
from tidegate.data.hash import Hashed, hash_path
from tidegate.data.staging import open_staging, staging_beside
from tidegate.errors import NotFoundError, UsageError
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.project import Project, hash_once
from tidegate.pipeline.stages import Stage, is_url
from tidegate.pipeline.targets import from_here


class Bringing(NamedTuple):
    """How data are brought: so many at once, local changes deleted instead of kept aside, and who hears of it."""

    jobs: int | None = None
    force: bool = False
    note: Callable[[str], None] = lambda text: None
    stored: Callable[[int], None] = lambda size: None


_PLAIN = Bringing()


class Ready(NamedTuple):
    """Content that has been brought: an object of the cache, or an absolute path that is nobody's yet.

    Inside the project, but named as if outside: what .dvcignore hides from others is no reason to lose it.
    """

    hashed: Hashed | None
    staged: str = ""


def read_import(project: Project, stage: Stage) -> DvcFile:
    """What the .dvc file of an import says; UsageError for any other."""
    record = read_dvcfile(project.root, stage.file, project.files.memory) if stage.is_data else DvcFile()
    if len(record.deps) != 1 or len(record.outs) != 1:
        hint = "tidegate import-url, or tidegate import, makes one"
        raise UsageError(stage.file, f"`{stage.key}` is no import, expected the .dvc file of one", hint=hint)
    if record.deps[0].db:
        raise UsageError(stage.file, "imports from a database, which is not supported", hint="use `dvc`")
    return record


def source_now(project: Project, wdir: str, source: Source, *, rev: str = "") -> Source:
    """The source as it is now: its commit, at `rev` if that is named, or what its storage says of the content.

    Raises NotFoundError when it is not there.
    """
    if source.repo:
        from tidegate.pipeline.foreign import open_foreign

        repo = {**source.repo, "rev": rev} if rev else dict(source.repo)
        commit = open_foreign(project.root, repo, locked=False).commit
        return source._replace(repo={**repo, "rev_lock": commit})
    hashed = _hash_source(project, wdir, source)
    if hashed is None:
        raise NotFoundError(source.path, "does not exist, expected what was to be imported")
    known = source.content.hashed
    same = known is not None and (known.md5, known.kind) == (hashed.md5, hashed.kind)
    return source if same else source._replace(content=Content(hashed))


@contextmanager
def brought(project: Project, stage: Stage, source: Source, how: Bringing = _PLAIN) -> Iterator[Ready]:
    """The content of a source, for the out of a stage; what is staged and not taken goes with the block."""
    out = stage.outs[0]
    with open_staging(staging_beside(project.root, os.path.dirname(out.at) or ".")) as names:  # noqa: PTH120
        target = Path(next(names))
        hashed = None
        if source.repo:
            hashed = _bring_foreign(project, source, target, how)
        else:
            _bring_url(project, stage.wdir, source, target=target, how=how)
        yield Ready(hashed, "" if hashed else str(target))


def put(project: Project, at: str, ready: Ready, how: Bringing = _PLAIN) -> Hashed:
    """Bring the out at `at` to the content, which is in the cache then; local changes are kept aside."""
    top = project.root / at
    if ready.staged and not os.path.lexists(top):
        top.parent.mkdir(parents=True, exist_ok=True)
        Path(ready.staged).rename(top)
        hashed = add_path(project.cache, at)
    else:
        made = ready.hashed or add_path(project.cache, ready.staged, link=False)
        aside = checkout(project.cache, at, made, force=how.force).aside
        if aside:
            how.note(f"{at} held changes that were not saved, they are in {aside}")
        hashed = hash_path(project.files, at) or made
        hashed = hashed if hashed.md5 == made.md5 else add_path(project.cache, at)
    project.hashes.clear()
    return hashed


def renewed(project: Project, stage: Stage, source: Source, how: Bringing = _PLAIN) -> Hashed:
    """The out's content after it was brought to what the source is: from the cache where nothing changed there."""
    was = recorded(project, stage)
    if was and source == read_import(project, stage).deps[0] and has_object(project.cache, was):
        return put(project, stage.outs[0].at, Ready(was), how)
    with brought(project, stage, source, how) as ready:
        return put(project, stage.outs[0].at, ready, how)


def is_fresh(project: Project, stage: Stage, source: Source) -> bool:
    """Whether the .dvc file, the source and the out are all as recorded, with the out's content in the cache."""
    record, was = read_import(project, stage), recorded(project, stage)
    if was is None or with_content_md5(record._replace(deps=(source,))).md5 != record.md5:
        return False
    now = hash_once(project, stage.outs[0].at, was.kind)
    return now is not None and now.md5 == was.md5 and has_object(project.cache, was)


def recorded(project: Project, stage: Stage) -> Hashed | None:
    """What is recorded of the out of an import; None before it was downloaded."""
    entry = project.lock.get(stage.key)
    return entry.outs.get(stage.outs[0].path) if entry else None


def reimport(project: Project, stage: Stage, how: Bringing = _PLAIN) -> Entry:
    """Bring an import that is not frozen up to date, as `repro` does; the entry to record.

    Another repository is read at the recorded commit: only `update` moves that.
    """
    record = read_import(project, stage)
    source = record.deps[0]
    if not source.repo.get("rev_lock"):
        source = source_now(project, stage.wdir, source)
    hashed = renewed(project, stage, source, how)
    deps = {source.path: source.content.hashed} if source.content.hashed else {}
    return Entry(None, deps, {}, {stage.outs[0].path: hashed})


def fetch_import(project: Project, stage: Stage, how: Bringing = _PLAIN) -> Hashed:
    """Bring the content of an import from its source into the cache; the workspace stays as it is."""
    source = read_import(project, stage).deps[0]
    if source.repo and not source.repo.get("rev_lock"):
        source = source_now(project, stage.wdir, source)
    with brought(project, stage, source, how) as ready:
        return ready.hashed or add_path(project.cache, ready.staged, link=False)


def update_available(project: Project, stage: Stage) -> dict[str, str]:
    """`update available` under DVC's name of the source, when another repository has moved on; else nothing."""
    source = read_import(project, stage).deps[0]
    if not source.repo or source_now(project, stage.wdir, source).repo["rev_lock"] == source.repo.get(
        "rev_lock"
    ):
        return {}
    return {f"{source.path} ({source.repo['url']})": "update available"}


def _hash_source(project: Project, wdir: str, source: Source) -> Hashed | None:
    if not is_url(source.path):
        return hash_path(project.files, from_here(wdir, source.path))
    from tidegate.data.external import hash_url

    _refuse_versions(source)
    return hash_url(project.root, source.path, source.fs_config)


def _bring_foreign(project: Project, source: Source, target: Path, how: Bringing) -> Hashed | None:
    from tidegate.pipeline.foreign import bring_contents, fetch_pieces, find_contents, is_plain, open_foreign

    foreign = open_foreign(project.root, source.repo)
    contents = find_contents(foreign, source.path)
    if is_plain(contents):
        ((_, hashed),) = fetch_pieces(project.cache, foreign, contents, jobs=how.jobs)
        # DVC does not bring the executable bit of others
        return hashed._replace(isexec=False)
    bring_contents(project.cache, foreign, contents, target)
    return None


def _bring_url(project: Project, wdir: str, source: Source, *, target: Path, how: Bringing) -> None:
    from tidegate.data.external import Fetch, fetch_url

    _refuse_versions(source)
    url = source.path if is_url(source.path) else from_here(wdir, source.path)
    try:
        fetch_url(project.root, url, target, how=Fetch(source.fs_config, how.jobs, how.stored))
    except FileNotFoundError:
        raise NotFoundError(source.path, "does not exist, expected what was to be imported") from None


def _refuse_versions(source: Source) -> None:
    if source.fs_config.get("version_aware"):
        raise UsageError(
            source.path, "versions of a cloud are not supported", hint="use `dvc` for this import"
        )
