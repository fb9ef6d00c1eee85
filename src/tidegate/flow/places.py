"""Where data may be tracked: a new .dvc file beside them, or the one that tracks them already."""

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.data.gitignore import ignored_by_git, tracked_by_git
from tidegate.data.ignore import ignore_rules
from tidegate.errors import ConflictError, NotFoundError, UsageError
from tidegate.pipeline.project import Project
from tidegate.pipeline.stages import DATA_SUFFIX, PIPELINE, Out, Stage
from tidegate.pipeline.targets import from_here

_Owners = Mapping[str, tuple[Stage, Out]]


class Place(NamedTuple):
    """A path to track and its .dvc file; `stage` and `out` where that, or a directory around it, is tracked already.

    `hide` keeps the path out of git.
    """

    at: str
    file: str
    stage: Stage | None = None
    out: Out | None = None
    hide: bool = True

    @property
    def top(self) -> str:
        """The path that the .dvc file tracks as a whole."""
        return self.out.at if self.out else self.at


def find_places(
    project: Project, paths: Iterable[str], *, force: bool = False, must_exist: bool = True
) -> list[Place]:
    """The place of each path, in order; raises the error of the first that must not be tracked.

    `force` takes over .dvc files that track something else.
    """
    owners = {out.at: (stage, out) for stage in project.stages.values() for out in stage.outs}
    places = [_place(owners, at) for at in dict.fromkeys(paths)]
    for place in places:
        _refuse_odd(project, place, must_exist=must_exist)
    new = [place for place in places if place.out is None]
    for place in new:
        _refuse_overlap(project, place, [*owners, *(other.at for other in new)])
        if not force and os.path.lexists(project.root / place.file):
            hint = f"tidegate remove {place.file}, or --force"
            raise ConflictError(place.file, f"exists, and does not track `{place.at}`", hint=hint)
    _refuse_by_git(project, places)
    return places


def from_root(project: Project, here: str, word: str) -> str:
    """A path typed in `here`, absolute ones included, as seen from the root."""
    at = from_here(here, word)
    return os.path.relpath(at, project.root) if at.startswith(f"{project.root}/") else at


def _place(owners: _Owners, at: str) -> Place:
    for above in (at, *_parents(at)):
        if above in owners:
            stage, out = owners[above]
            if stage.is_data:
                return Place(at, stage.file, stage, out)
            found = f"is made by stage `{stage.key}`, expected data that no stage makes"
            raise ConflictError(at, found, hint=f"tidegate commit {stage.key}")
    return Place(at, f"{at}{DATA_SUFFIX}")


def _refuse_odd(project: Project, place: Place, *, must_exist: bool) -> None:
    at, root = place.at, project.root
    if at == "." or at.startswith(("../", "/")) or at == "..":
        hint = "tidegate add PATH --out NAME copies it to the project"
        raise UsageError(at, "is not inside the project, expected a path below its root", hint=hint)
    if at.endswith(DATA_SUFFIX) or os.path.basename(at) == PIPELINE:  # noqa: PTH119
        raise UsageError(at, "is named like a file of stages, expected data")
    link = _link_on(project, at)
    if link:
        found = f"`{link}` is a link to a directory, expected the directory itself"
        raise UsageError(at, found, hint="add the path that it leads to")
    is_folder = (root / at).is_dir()
    if ignore_rules(root, project.files.memory).hides_deep(f"{at}/" if is_folder else at):
        raise UsageError(at, "is hidden by .dvcignore, expected data that DVC sees")
    if must_exist and place.at == place.top and not os.path.lexists(root / at):
        raise NotFoundError(at, "does not exist, expected a file or a directory")


def _link_on(project: Project, at: str) -> str:
    """The first link on the way to a path, or the path itself where it is a link to a directory; "" for none."""
    root = project.root
    links = [above for above in _parents(at) if (root / above).is_symlink()]
    if (root / at).is_symlink() and (root / at).is_dir():
        links.append(at)
    return links[0] if links else ""


def _refuse_overlap(project: Project, place: Place, others: list[str]) -> None:
    inside = f"{place.at}/"
    for at in others:
        if at.startswith(inside):
            found = f"holds `{at}`, which is tracked on its own"
            raise ConflictError(place.at, found, hint=f"tidegate remove {at}{DATA_SUFFIX}, then add it again")
    for file in project.pipelines.files:
        if file.startswith(inside):
            found = f"holds `{file}`, which describes stages, expected data only"
            raise ConflictError(place.at, found, hint=f"move {file} out of it")


def _refuse_by_git(project: Project, places: list[Place]) -> None:
    if project.config.core.no_scm:
        return
    new = [place for place in places if place.out is None]
    for file in ignored_by_git(project.root, [place.file for place in new]):
        raise ConflictError(
            file, "would be ignored by git, expected to keep it there", hint="edit .gitignore"
        )
    cached = [place.top for place in places if place.out is None or place.out.cache]
    for at in tracked_by_git(project.root, cached):
        hint = f"git rm -r --cached {at} && git commit -m 'stop tracking {at}'"
        raise ConflictError(at, "is tracked by git already, expected only one of the two", hint=hint)


def _parents(at: str) -> list[str]:
    parts = at.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]
