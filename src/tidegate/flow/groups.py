"""Stages that a `foreach` or `matrix` makes stand and fall together: they share one text."""

from tidegate.errors import UsageError
from tidegate.pipeline.project import Project
from tidegate.pipeline.stages import Stage


def refuse_part(project: Project, word: str, keys: list[str], *, verb: str) -> None:
    """Raise UsageError for one of the stages that a `foreach` or `matrix` makes: it has no text of its own to edit."""
    chosen = [project.stages[key] for key in keys]
    for stage in chosen:
        made = [key for key, one in project.stages.items() if stage.group and _is_beside(one, stage)]
        if not set(made).issubset(keys):
            found = f"is one of {len(made)} stages that `{stage.group}` makes, expected all of them or none"
            raise UsageError(word, found, hint=f"tidegate {verb} {stage.group}")


def _is_beside(one: Stage, other: Stage) -> bool:
    return one.file == other.file and one.group == other.group
