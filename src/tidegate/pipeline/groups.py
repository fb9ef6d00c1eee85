"""Groups: one definition with foreach or matrix that stands for many stages, and the names of these."""

from collections.abc import Mapping
from itertools import product, repeat
from typing import Any, NamedTuple

from tidegate.pipeline.faults import FaultError, Place, named
from tidegate.pipeline.template import Scope, as_text, interpolate, is_template
from tidegate.pipeline.variables import Variables

GROUPS = frozenset(("foreach", "do", "matrix"))


class Group(NamedTuple):
    """The body of all its stages and what is bound for each, by the part of its name after `@`."""

    body: dict[str, Any]
    place: Place
    bound: Mapping[str, Mapping[str, Any]]


def read_group(stage: Mapping[str, Any], place: Place, variables: Variables) -> Group:
    """The stages that a definition with foreach or matrix stands for; raises FaultError."""
    if "matrix" in stage:
        return _matrix_group(stage, place, variables)
    for key in ("foreach", "do"):
        if key not in stage:
            raise FaultError(place, f"no `{key}`, expected `foreach` and `do` together")
    at = (*place, "foreach")
    return Group(stage["do"], (*place, "do"), _checked(_foreach(stage["foreach"], variables, at), at))


def _matrix_group(stage: Mapping[str, Any], place: Place, variables: Variables) -> Group:
    if clash := stage.keys() & {"foreach", "do"}:
        key = min(clash)
        raise FaultError((*place, key), f"`{key}` beside `matrix`, expected one or the other")
    at = (*place, "matrix")
    body = {key: value for key, value in stage.items() if key != "matrix"}
    return Group(body, place, _checked(_matrix(stage["matrix"], variables, at), at))


def _checked(bound: dict[str, dict[str, Any]], place: Place) -> dict[str, dict[str, Any]]:
    """DVC finds no stage without a name or with another `@` in it."""
    for key in bound:
        if not key or "@" in key:
            found = f"`{key}` would be a stage's name" if key else "a stage would have no name"
            raise FaultError(place, f"{found}, expected text without `@` after the `@` of the group")
    return bound


def _foreach(data: Any, variables: Variables, place: Place) -> dict[str, dict[str, Any]]:
    items = interpolate(data, Scope(variables.values), place)
    if isinstance(items, Mapping):
        return {as_text(key): {"item": item, "key": as_text(key)} for key, item in items.items()}
    if not isinstance(items, list):
        raise FaultError(place, f"{named(items)} found, expected a list or a mapping to go through")
    if any(isinstance(item, list | Mapping) for item in items):
        return {str(i): {"item": item} for i, item in enumerate(items)}
    return {text: {"item": item} for text, item in zip(_names(data, items), items, strict=True)}


def _matrix(data: Any, variables: Variables, place: Place) -> dict[str, dict[str, Any]]:
    if not isinstance(data, Mapping):
        raise FaultError(place, f"{named(data)} found, expected a mapping from names to lists")
    axes = {str(name): _axis(str(name), axis, variables, place=place) for name, axis in data.items()}
    bound: dict[str, dict[str, Any]] = {}
    for parts in product(*axes.values()):
        key = "-".join(text for text, _ in parts)
        bound[key] = {"key": key, "item": {name: value for name, (_, value) in zip(axes, parts, strict=True)}}
    return bound


def _axis(name: str, data: Any, variables: Variables, *, place: Place) -> list[tuple[str, Any]]:
    """Each value with its part of the name: the value itself, or `name0` for a list or mapping."""
    values = interpolate(data, Scope(variables.values), (*place, name))
    if isinstance(values, Mapping):
        values = list(values)
    if not isinstance(values, list):
        raise FaultError((*place, name), f"{named(values)} found, expected a list of values")
    texts = _names(data, values)
    return [
        (f"{name}{i}" if isinstance(value, list | Mapping) else text, value)
        for i, (text, value) in enumerate(zip(texts, values, strict=True))
    ]


def _names(written: Any, values: list[Any]) -> list[str]:
    """A boolean that a template names reads `True` in the name of a stage, one written out `true`, as in DVC."""
    sources = written if isinstance(written, list) else repeat(written, len(values))
    return [
        str(value) if is_template(source) else as_text(value)
        for source, value in zip(sources, values, strict=True)
    ]
