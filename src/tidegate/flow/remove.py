"""`remove`: drop stages from dvc.yaml, or stop tracking data; the files stay, or go where nothing is lost."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tidegate.data.checkout import clear, unlink_shared
from tidegate.data.dvclock import Claim, repo_lock, rwlock
from tidegate.data.gitignore import unignore_paths
from tidegate.data.placed import note_placed
from tidegate.errors import NotFoundError
from tidegate.flow.autostage import autostage
from tidegate.flow.follow import UNSEEN, Watch
from tidegate.flow.groups import refuse_part
from tidegate.pipeline.edit import drop_lock_entries, remove_stage
from tidegate.pipeline.lockfile import lock_of
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.stages import DATA_SUFFIX, Stage
from tidegate.pipeline.targets import choose_stages, from_here
from tidegate.pipeline.work import dvc_locks
from tidegate.store.files import write_atomic


class Removing(NamedTuple):
    """What to remove, typed in `here`; with `outs` their files too."""

    words: tuple[str, ...]
    here: str = ""
    outs: bool = False


class Removed(NamedTuple):
    """The stages and .dvc files that are gone, where unsaved content of their outs went, and the files for git."""

    keys: tuple[str, ...]
    aside: dict[str, Path]
    to_git: tuple[str, ...] = ()


def remove(root: Path, asked: Removing, *, watch: Watch = UNSEEN) -> Removed:
    """Remove stages, all stages of a dvc.yaml, or .dvc files, with the outs' lines in .gitignore.

    With `outs` their files go too; content that the cache does not hold is moved aside. Raises NotFoundError for a
    word that names neither stage nor .dvc file, UsageError for one stage of a `foreach` or `matrix`.
    """
    with open_project(root) as project:
        keys = _named(project, asked.words, asked.here)
        stages = [project.stages[key] for key in keys]
        locks = dvc_locks(project, watch.note)
        claim = Claim("tidegate remove", write=tuple(out.at for stage in stages for out in stage.outs))
        with rwlock(locks, claim), repo_lock(locks):
            aside = {
                at: place
                for stage in stages
                for at, place in _let_go(project, stage, outs=asked.outs).items()
            }
            hidden = [out.at for stage in stages for out in stage.outs if out.cache]
            files = [] if project.config.core.no_scm else unignore_paths(root, hidden)
            files += _erase(root, stages)
            note_placed(root, {}, gone=hidden)
        return Removed(tuple(keys), aside, autostage(project, files))


def _named(project: Project, words: Iterable[str], here: str) -> list[str]:
    keys: list[str] = []
    for word in words:
        try:
            keys += choose_stages(project.pipelines, [word], here=here)
        except NotFoundError:
            file = from_here(here, f"{word}{DATA_SUFFIX}")
            if file not in project.stages:
                raise
            found = "is data, expected a stage or a .dvc file"
            raise NotFoundError(word, found, hint=f"tidegate remove {word}{DATA_SUFFIX}") from None
        refuse_part(project, word, keys, verb="remove")
    return list(dict.fromkeys(keys))


def _let_go(project: Project, stage: Stage, *, outs: bool) -> dict[str, Path]:
    """Delete the outs, or make them files like any other; where unsaved content went."""
    aside: dict[str, Path] = {}
    for out in stage.outs:
        if outs:
            place = clear(project.cache, out.at)
            aside |= {out.at: place} if place else {}
        elif out.cache:
            unlink_shared(project.cache, out.at)
    return aside


def _erase(root: Path, stages: list[Stage]) -> list[str]:
    """Take the stages out of their files; the files that changed or went."""
    changed = []
    for file in dict.fromkeys(stage.file for stage in stages):
        mine = [stage for stage in stages if stage.file == file]
        if mine[0].is_data:
            (root / file).unlink()
        else:
            changed += _erase_stages(root, file, mine)
        changed.append(file)
    return changed


def _erase_stages(root: Path, file: str, stages: list[Stage]) -> list[str]:
    """The lock first: a stage without an entry is only stale, an entry without a stage is litter."""
    lock = root / lock_of(file)
    changed = []
    if lock.exists():
        text = lock.read_text(encoding="utf-8")
        _rewrite(lock, text, drop_lock_entries(text, [stage.name for stage in stages]))
        changed.append(lock_of(file))
    before = (root / file).read_text(encoding="utf-8")
    after: str | None = before
    for name in dict.fromkeys(stage.group or stage.name for stage in stages):
        after = remove_stage(after, name) if after is not None else None
    _rewrite(root / file, before, after)
    return changed


def _rewrite(path: Path, before: str, after: str | None) -> None:
    if after is None:
        path.unlink()
    elif after != before:
        write_atomic(path, after)
