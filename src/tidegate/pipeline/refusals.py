"""Why a stage cannot run as it is written, found before anything is touched."""

from collections.abc import Sequence

from tidegate.data.gitignore import tracked_by_git
from tidegate.data.ignore import is_ignored, is_outside
from tidegate.errors import ConflictError, UsageError
from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.project import Project
from tidegate.pipeline.stages import Out, Stage, is_url, located


def refuse_to_run(project: Project, stage: Stage) -> None:
    """Raise UsageError for a missing wdir or an out that is ignored, ConflictError for one that git tracks."""
    if not (project.root / stage.wdir).is_dir():
        found = f"wdir `{stage.wdir}` is not a directory, expected one to work in"
        raise UsageError(f"stage `{stage.key}`", found)
    for out in stage.outs:
        if not is_url(out.at) and not is_outside(out.at) and _is_hidden(project, out):
            found = f"out `{out.path}` is hidden by .dvcignore, expected one that can be seen"
            fault = FaultError(out.place, found, hint="correct the pattern, or the path")
            raise located(fault, project.source.text(stage.file), stage.file)
    entry = project.lock.get(stage.key)
    refuse_tracked(project, [out for out in stage.outs if not entry or out.path not in entry.outs])


def refuse_tracked(project: Project, outs: Sequence[Out]) -> None:
    """Raise ConflictError for an out to be cached that git tracks already."""
    cached = [out.at for out in outs if out.cache]
    for at in () if project.config.core.no_scm else tracked_by_git(project.root, cached):
        found = "is tracked by git already, expected only one of the two"
        raise ConflictError(at, found, hint=f"git rm -r --cached {at}")


def _is_hidden(project: Project, out: Out) -> bool:
    return is_ignored(project.root, out.at, project.files.memory)
