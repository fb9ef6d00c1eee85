"""What is wrong with a pipeline, by its place in the file; the line is looked up when a person sees it."""

from typing import Any

Place = tuple[str | int, ...]


class FaultError(Exception):
    """Something wrong at a place of a dvc.yaml; becomes a UsageError once the line is looked up.

    `file` is that dvc.yaml from the root; empty where whoever catches it knows.
    """

    def __init__(self, place: Place, message: str, *, hint: str = "", file: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.message = message
        self.hint = hint
        self.file = file


def named(value: Any) -> str:
    """A value as people are told of it."""
    if value is None or value == "":
        return "nothing"
    return f"`{value}`" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
