"""Hand over to git what a verb changed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.data.gitignore import git_add

if TYPE_CHECKING:
    from tidegate.pipeline.project import Project


def autostage(project: "Project", paths: Sequence[str]) -> tuple[str, ...]:
    """Put changed files (from the root) into git's index where `core.autostage` says so.

    Returns those that are left for the user to add; none outside git or with `core.no_scm`.
    """
    core, root = project.config.core, project.root
    in_git = any((above / ".git").exists() for above in (root, *root.parents))
    if core.no_scm or not in_git:
        return ()
    changed = tuple(dict.fromkeys(paths))
    if core.autostage:
        git_add(root, changed)
        return ()
    return changed
