"""Names for class indices: what a model answers with a number is told by its label."""

from collections.abc import Sequence

from tidegate.domain.model import Answer
from tidegate.errors import UsageError


class Names:
    """The labels of a bundle; without any, answers stay as they are."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._count = len(labels)
        self._names: dict[Answer, str] = {}
        for index, name in enumerate(labels):
            self._names |= {index: name, str(index): name}

    def of(self, answers: Sequence[Answer]) -> list[Answer]:
        """The answers by name; UsageError for a class that has none."""
        if not self._names:
            return list(answers)
        try:
            return [self._names[answer] for answer in answers]
        except KeyError as error:
            known = f"`model.labels` names {self._count} classes"
            raise UsageError("model", f"answered {error.args[0]!r}, {known}") from None
