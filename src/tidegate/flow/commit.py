"""`commit`: take what lies in the workspace for the result of the stages, without running them; `unprotect`."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tidegate.data.cache import add_path, ensure_dvc
from tidegate.data.checkout import unlink_shared
from tidegate.data.dvclock import Claim, rwlock
from tidegate.data.gitignore import ignore_paths
from tidegate.data.hash import Hashed
from tidegate.errors import ConflictError, NotFoundError
from tidegate.flow.autostage import autostage
from tidegate.flow.follow import UNSEEN, Watch
from tidegate.flow.places import from_root
from tidegate.pipeline.contents import hash_out, read_inputs
from tidegate.pipeline.lockfile import Entry, lock_of
from tidegate.pipeline.plan import Seen, changed_inputs
from tidegate.pipeline.project import Project, look, open_project
from tidegate.pipeline.refusals import refuse_tracked
from tidegate.pipeline.runcache import save_run
from tidegate.pipeline.stages import Out, Stage
from tidegate.pipeline.targets import PLAIN, Choice, Target, address, choose_outs, narrowed
from tidegate.pipeline.work import dvc_locks, record_entry

_NOTHING = Entry(None, {}, {}, {})


class Committing(NamedTuple):
    """What to commit, typed in `here`: stages, .dvc files or outs; everything without words.

    `force` takes changes without asking; `relink` makes links of files where such are configured.
    """

    words: tuple[str, ...] = ()
    here: str = ""
    choice: Choice = PLAIN
    force: bool = False
    relink: bool = True


class Committed(NamedTuple):
    """The stages that were looked at, with what was found changed of each, and the files left to add to git."""

    stages: dict[str, tuple[str, ...]]
    to_git: tuple[str, ...] = ()


def commit(
    root: Path, asked: Committing, *, confirm: Callable[[str], bool], watch: Watch = UNSEEN
) -> Committed:
    """Save outs to the cache and record deps, params and outs as they are now; runs nothing.

    Before it takes over changes it asks `confirm`, unless forced. Raises ConflictError for a no, NotFoundError when a
    dep or out is not there; what was committed before stays so.
    """
    ensure_dvc(root)
    done: dict[str, tuple[str, ...]] = {}
    files: list[str] = []
    with open_project(root) as opened:
        project = opened._replace(cache=opened.cache._replace(stored=watch.stored))
        for target in choose_outs(project.pipelines, asked.words, here=asked.here, choice=asked.choice):
            changes = _changes(project, target.stage)
            if changes and not asked.force and not confirm(_question(target.stage, changes, asked.here)):
                name = address(target.stage.key, asked.here)
                found = f"{', '.join(changes)} changed, not committed without a yes"
                raise ConflictError(f"stage `{name}`", found, hint=f"tidegate commit --force {name}")
            files += _commit(project, target, asked, renew=bool(changes) or asked.force, watch=watch)
            done[target.stage.key] = changes
        return Committed(done, autostage(project, files))


def unprotect(root: Path, words: Iterable[str], here: str = "") -> tuple[str, ...]:
    """Make files that share their content with the cache private and writable; the paths from the root.

    Raises NotFoundError for a path that is not there.
    """
    with open_project(root) as project:
        paths = tuple(from_root(project, here, word) for word in words)
        for at in paths:
            if not os.path.exists(root / at):  # noqa: PTH110
                raise NotFoundError(at, "does not exist, expected a file or a directory")
        with rwlock(dvc_locks(project), Claim("tidegate unprotect", write=paths)):
            for at in paths:
                unlink_shared(project.cache, at)
    return paths


def _question(stage: Stage, changes: tuple[str, ...], here: str) -> str:
    return f"{', '.join(changes)} of stage `{address(stage.key, here)}` changed; commit it all the same?"


def _changes(project: Project, stage: Stage) -> tuple[str, ...]:
    """What differs from the records in the workspace; what the cache holds does not matter."""
    deps = () if stage.is_import else stage.deps
    seen = look(project, stage._replace(frozen=False, deps=deps))
    entry = project.lock.get(stage.key) or _NOTHING
    known = entry._replace(deps={}) if stage.is_import else entry
    return tuple(dict.fromkeys(_differing(stage._replace(deps=deps), known, seen)))


def _differing(stage: Stage, entry: Entry, seen: Seen) -> Iterator[str]:
    if entry.cmd not in (None, stage.cmd):
        yield "command"
    yield from (reason.subject for reason in changed_inputs(stage, entry, seen))
    for out in stage.outs:
        was, now = entry.outs.get(out.path), seen.outs[out.path]
        if was is None or now is None or was.md5 != now.md5:
            yield out.path


def _commit(project: Project, target: Target, asked: Committing, *, renew: bool, watch: Watch) -> list[str]:
    """Commit one stage; the files that changed."""
    stage = target.stage
    refuse_tracked(project, stage.outs)
    before = project.lock.get(stage.key)
    claim = Claim("tidegate commit", write=tuple(out.at for out in stage.outs))
    with rwlock(dvc_locks(project, watch.note), claim):
        entry = _entry(project, target, asked, renew=renew or before is None)
        if not stage.is_data and renew:
            save_run(project.cache, stage, entry)
        if entry != before:
            record_entry(project, stage, entry)
        is_hidden = not project.config.core.no_scm
        ignored = ignore_paths(project.root, [out.at for out in stage.outs if out.cache and is_hidden])
    written = [stage.file if stage.is_data else lock_of(stage.file)] if entry != before else []
    return [*written, *ignored]


def _entry(project: Project, target: Target, asked: Committing, *, renew: bool) -> Entry:
    """What is to be recorded, once its outs are in the cache: without changes the entry as it is."""
    stage = target.stage
    before = project.lock.get(stage.key) or _NOTHING
    inputs = _inputs(project, stage, before) if renew else before
    outs = stage.outs if renew else narrowed(target)
    made = {out.path: _save(project, stage, out, relink=asked.relink) for out in outs}
    return inputs._replace(outs=made) if renew else before


def _inputs(project: Project, stage: Stage, before: Entry) -> Entry:
    """Command, deps and params as they are now; where an import came from stays as it was fetched."""
    return before if stage.is_import else read_inputs(project, stage)


def _save(project: Project, stage: Stage, out: Out, *, relink: bool) -> Hashed:
    """Put an out into the cache; one that is not to be cached is hashed, metrics and plots are saved all the same."""
    found = hash_out(project, stage, out)
    if out.cache or out.kind != "out":
        return add_path(project.cache, out.at, kind=found.kind, link=relink and out.cache)
    return found
