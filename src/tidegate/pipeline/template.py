"""`${...}` in dvc.yaml: the values that templates name, put in place as DVC does."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from tidegate.data.params import ABSENT
from tidegate.errors import did_you_mean
from tidegate.pipeline.faults import FaultError, Place

_TEMPLATE = re.compile(r"(?<!\\)\$\{(.*?)\}")
_PATH = re.compile(r"[^.\[\]]+(?:\s*(?:\.[^.\[\]]+|\[[^.\[\]]+\]))*\s*")
_ESCAPE = "a shell variable is written `$NAME` or `\\${NAME}`"
_SCALARS = (str, int, float, bytes, type(None))


class FlagStyle(NamedTuple):
    """How a mapping within a command becomes flags: DVC's settings `parsing.bool` and `parsing.list`."""

    booleans: Literal["store_true", "boolean_optional"] = "store_true"
    lists: Literal["nargs", "append"] = "nargs"


class Scope(NamedTuple):
    """The values that templates may name and the field of a stage they stand in.

    Without a field they make data, such as the items of a foreach, and may name lists and mappings too.
    """

    values: Mapping[str, Any]
    field: str = ""
    style: FlagStyle = FlagStyle()


def has_template(value: Any) -> bool:
    """Whether a text anywhere in a value holds a template that is not escaped."""
    if isinstance(value, Mapping):
        return any(has_template(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(has_template, value))
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def is_template(value: Any) -> bool:
    """Whether a value is one template and nothing else, which keeps the type of what it names."""
    match = _TEMPLATE.match(value) if isinstance(value, str) else None
    return match is not None and match.end() == len(value)


def interpolate(value: Any, scope: Scope, place: Place) -> Any:
    """The value with every template, in keys too, replaced and every escape undone; raises FaultError."""
    if isinstance(value, str):
        return _interpolate_text(value, scope, place) if "${" in value else value
    if isinstance(value, Mapping):
        pairs = ((key, part, (*place, str(key))) for key, part in value.items())
        return {interpolate(key, scope, at): interpolate(part, scope, at) for key, part, at in pairs}
    if isinstance(value, list):
        return [interpolate(part, scope, (*place, i)) for i, part in enumerate(value)]
    return value


def as_text(value: Any) -> str:
    """A single value as it reads inside a longer text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _interpolate_text(text: str, scope: Scope, place: Place) -> Any:
    if is_template(text):
        return _whole(text, scope, place)
    filled = _TEMPLATE.sub(lambda match: _part(match[0], scope, place), text)
    return filled.replace("\\${", "${")


def _whole(template: str, scope: Scope, place: Place) -> Any:
    value = _select(template, scope.values, place)
    if scope.field == "cmd" and isinstance(value, Mapping):
        found = f"`{template}` alone is a mapping, expected a command before it"
        raise FaultError(place, found, hint=f"`python train.py {template}` passes it as flags")
    if scope.field and not isinstance(value, _SCALARS):
        raise _not_single(template, value, place)
    return value


def _part(template: str, scope: Scope, place: Place) -> str:
    value = _select(template, scope.values, place)
    if isinstance(value, Mapping) and scope.field in ("", "cmd"):
        return " ".join(_flags(value, scope.style, place))
    if scope.field and not isinstance(value, _SCALARS):
        raise _not_single(template, value, place)
    return as_text(value)


def _not_single(template: str, value: Any, place: Place) -> FaultError:
    kind = {"dict": "mapping"}.get(type(value).__name__, type(value).__name__)
    hint = f"name one of its items, such as `{template[:-1]}[0]}}`" if kind == "list" else ""
    return FaultError(place, f"`{template}` is a {kind}, expected a single value", hint=hint)


def _select(template: str, values: Mapping[str, Any], place: Place) -> Any:
    path = template[2:-1]
    if not _PATH.fullmatch(path):
        found = f"`{template}` is not a template, expected a form such as `${{a.b[0]}}`"
        raise FaultError(place, found, hint=_ESCAPE)
    value: Any = values
    steps = [step.strip() for step in path.replace("[", ".").replace("]", "").split(".")]
    for depth, step in enumerate(steps):
        below = _below(value, step)
        if below is ABSENT:
            raise _unknown(steps, depth, value, place=place)
        value = below
    return value


def _below(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, ABSENT)
    try:
        return value[int(step)] if isinstance(value, list) else ABSENT
    except (ValueError, IndexError):
        return ABSENT


def _unknown(steps: list[str], depth: int, value: Any, *, place: Place) -> FaultError:
    """Names what exists at the step that failed: the nearest key, how long the list is, or that it ends here."""
    path, parent = ".".join(steps), ".".join(steps[:depth])
    if isinstance(value, Mapping):
        known = [f"{parent}.{key}" if parent else key for key in value]
        why = did_you_mean(".".join(steps[: depth + 1]), known)
    elif isinstance(value, list):
        why = f", `{parent}` is a list of {len(value)}"
    else:
        why = f", `{parent}` is a single value"
    return FaultError(
        place, f"`{path}` is not defined{why}", hint=f"set it in params.yaml or `vars`; {_ESCAPE}"
    )


def _flags(values: Mapping[str, Any], style: FlagStyle, place: Place) -> Iterator[str]:
    for name, value in _flat(values):
        if isinstance(value, bool):
            yield from _switch(name, style, on=value)
        elif isinstance(value, list):
            yield from _listed(name, [_argument(part, name, place) for part in value], style)
        else:
            yield f"--{name} {_argument(value, name, place)}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _switch(name: str, style: FlagStyle, *, on: bool) -> list[str]:
    if on:
        return [f"--{name}"]
    return [f"--no-{name}"] if style.booleans == "boolean_optional" else []


def _listed(name: str, arguments: list[str], style: FlagStyle) -> list[str]:
    if style.lists == "append":
        return [f"--{name} {argument}" for argument in arguments]
    return [f"--{name} {' '.join(arguments)}"] if arguments else []


def _argument(value: Any, name: str, place: Place) -> str:
    from shlex import quote

    if isinstance(value, list | Mapping):
        raise FaultError(place, f"`{name}` is nested in a list, expected single values to pass as flags")
    return quote(value) if isinstance(value, str) else str(value)
