"""A value in a YAML document together with where it stands, so that a complaint can point there."""

from collections.abc import Collection, Iterator
from math import isfinite
from typing import Any, NamedTuple

from tidegate.data.yaml import locate
from tidegate.errors import UsageError, did_you_mean


class Place(NamedTuple):
    """A value, the file it comes from and the path of keys that leads to it."""

    text: str
    where: str
    value: Any
    path: tuple[str | int, ...] = ()

    def at(self, key: str | int, fallback: Any = None) -> "Place":
        """The value below a key or index; `fallback` where there is none."""
        is_there = isinstance(self.value, dict) and key in self.value
        value = self.value[key] if is_there or isinstance(key, int) else fallback
        return self._replace(value=value, path=(*self.path, key))

    def has(self, key: str) -> bool:
        """Whether the mapping has this key."""
        return key in self.value

    def wrong(self, message: str, *, hint: str = "") -> UsageError:
        """The error that names line and column of this value, or of its nearest parent."""
        return UsageError(locate(self.text, self.path, self.where), message, hint=hint)

    def mapping(self, known: Collection[str], *, what: str) -> "Place":
        """This place if it is a mapping without unknown keys; UsageError for what is none."""
        if not isinstance(self.value, dict):
            raise self.wrong(f"{what} is {_said(self.value)}, expected a mapping")
        for key in self.value:
            if key not in known:
                raise self.at(key).wrong(f"unknown key `{key}` of {what}{did_you_mean(str(key), known)}")
        return self

    def items(self, *, what: str) -> "Iterator[Place]":
        """The places of a list's items, none for what is left out; UsageError for what is no list."""
        if self.value is not None and not isinstance(self.value, list):
            raise self.wrong(f"{what} is {_said(self.value)}, expected a list")
        return (self.at(i) for i in range(len(self.value or ())))

    def string(self, *, what: str) -> str:
        """The text here; UsageError for anything else, and for a NUL, which no database takes."""
        if not isinstance(self.value, str):
            raise self.wrong(f"{what} is {_said(self.value)}, expected text")
        if "\0" in self.value:
            raise self.wrong(f"{what} holds a NUL character, expected text without")
        return self.value

    def boolean(self, *, what: str) -> bool:
        """The boolean here; UsageError for anything else."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"{what} is {_said(self.value)}, expected a boolean")
        return self.value

    def number(self, *, what: str) -> float:
        """The finite number here; UsageError for anything else."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.wrong(f"{what} is {_said(value)}, expected a number")
        return value

    def scalar(self, *, what: str) -> str | int | float | bool:
        """The text, number or boolean here; UsageError for anything else."""
        if isinstance(self.value, bool):
            return self.value
        return self.string(what=what) if isinstance(self.value, str) else self.number(what=what)

    def choice(self, known: Collection[str], *, what: str) -> str:
        """One of the known words; UsageError with the nearest one for another."""
        if not isinstance(self.value, str) or self.value not in known:
            found = f"unknown {what} `{self.value}`{did_you_mean(str(self.value), known)}"
            raise self.wrong(found, hint=f"one of {', '.join(known)}")
        return self.value


def _said(value: Any) -> str:
    return "nothing" if value is None else repr(value)
