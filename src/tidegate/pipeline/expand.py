"""A parsed dvc.yaml to stage definitions with nothing left to fill in: `vars`, foreach, matrix, templates."""

from collections.abc import Iterator, Mapping
from itertools import product, repeat
from typing import Any, NamedTuple

from tidegate.pipeline.faults import FaultError, Place
from tidegate.pipeline.template import FlagStyle, Scope, as_text, interpolate, is_template
from tidegate.pipeline.variables import (
    Origin,
    ReadFile,
    Variables,
    add_variables,
    bind,
    from_root,
    load_variables,
)

_GROUPS = frozenset(("foreach", "do", "matrix"))
_LISTS = ("params", "metrics", "plots", "artifacts", "datasets")
_DVC_STYLE = FlagStyle()


class Resolved(NamedTuple):
    """A stage definition without templates; `group` is the name before `@` of one made by foreach or matrix."""

    definition: dict[str, Any]
    place: Place
    group: str


class _Setting(NamedTuple):
    """What every definition of one file is resolved with."""

    variables: Variables
    folder: str
    read: ReadFile
    style: FlagStyle


class _Group(NamedTuple):
    """One definition that makes many stages: what is bound for each, by the part of its name after `@`."""

    body: Any
    place: Place
    bound: Mapping[str, Mapping[str, Any]]


def expand_pipeline(
    document: Mapping[str, Any], *, folder: str, read: ReadFile, style: FlagStyle = _DVC_STYLE
) -> dict[str, Resolved]:
    """The stages of a dvc.yaml in `folder` by full name, in the order of the file; raises FaultError.

    `read` gives the parsed file at a path from the root; it is not called when there is nothing to expand.
    """
    stages = _stages(document)
    if _is_plain(document, stages):
        return {name: Resolved(stage, ("stages", name), "") for name, stage in stages.items()}
    setting = _Setting(_load(document, folder, read), folder, read, style)
    return dict(pair for name, stage in stages.items() for pair in _expand(name, stage, setting))


def expand_values(document: Mapping[str, Any], *, folder: str, read: ReadFile) -> dict[str, Any]:
    """What a dvc.yaml lists beside its stages (params, metrics, plots, artifacts, datasets), by section."""
    sections = {name: document[name] for name in _LISTS if document.get(name)}
    if "${" not in repr(sections):
        return sections
    scope = Scope(_load(document, folder, read).values)
    values = {name: interpolate(section, scope, (name,)) for name, section in sections.items()}
    for name in values.get("artifacts", ()):
        if not isinstance(name, str):
            raise FaultError(("artifacts",), f"`{name}` found, expected text as the name of an artifact")
    return values


def _load(document: Mapping[str, Any], folder: str, read: ReadFile) -> Variables:
    return load_variables(document.get("vars") or [], Origin(("vars",), folder, read))


def _stages(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    stages = document.get("stages") or {}
    if not isinstance(stages, dict):
        raise FaultError(("stages",), "expected a mapping from stage names to stages")
    for name, stage in stages.items():
        _expect_stage(stage, ("stages", str(name)))
        _check_name(str(name), ("stages", str(name)))
    return {str(name): stage for name, stage in stages.items()}


def _expect_stage(stage: Any, place: Place) -> None:
    if not isinstance(stage, dict):
        raise FaultError(place, f"{_named(stage)} found, expected a mapping with the key `cmd`")


def _check_name(name: str, place: Place) -> None:
    """`@` parts a group from its stages, and DVC finds no stage with another one in its name."""
    if "@" in name:
        raise FaultError(place, f"`@` in the name `{name}`, expected it only between a group and its stage")


def _is_plain(document: Mapping[str, Any], stages: Mapping[str, dict[str, Any]]) -> bool:
    """One search over the text of all stages is far cheaper than a walk through them."""
    if document.get("vars") or "${" in repr(stages):
        return False
    return not any(stage.keys() & _GROUPS or "vars" in stage for stage in stages.values())


def _expand(name: str, stage: dict[str, Any], setting: _Setting) -> Iterator[tuple[str, Resolved]]:
    place = ("stages", name)
    if not stage.keys() & _GROUPS:
        yield name, Resolved(_resolve(stage, place, setting), place, "")
        return
    group = _group(stage, place, setting.variables)
    for key, bound in group.bound.items():
        if not key:
            raise FaultError(
                group.place, f"a stage of `{name}` would have no name, expected one after `{name}@`"
            )
        _check_name(key, group.place)
        full = f"{name}@{key}"
        chosen = setting._replace(variables=bind(setting.variables, bound))
        try:
            yield full, Resolved(_resolve(group.body, group.place, chosen), group.place, name)
        except FaultError as fault:
            raise FaultError(fault.place, f"in stage `{full}`: {fault.message}", hint=fault.hint) from None


def _resolve(stage: dict[str, Any], place: Place, setting: _Setting) -> dict[str, Any]:
    variables = setting.variables
    if entries := stage.get("vars"):
        # the directory decides which files to load, so it cannot depend on what they hold
        origin = Origin((*place, "vars"), _workdir(stage, place, setting), setting.read)
        variables = add_variables(variables, entries, origin)
    return {
        key: interpolate(value, Scope(variables.values, key, setting.style), (*place, key))
        for key, value in stage.items()
        if key != "vars"
    }


def _workdir(stage: Mapping[str, Any], place: Place, setting: _Setting) -> str:
    wdir = interpolate(stage.get("wdir") or "", Scope(setting.variables.values, "wdir"), (*place, "wdir"))
    return from_root(setting.folder, as_text(wdir))


def _group(stage: dict[str, Any], place: Place, variables: Variables) -> _Group:
    if "matrix" in stage:
        if clash := stage.keys() & {"foreach", "do"}:
            raise FaultError(
                (*place, min(clash)), "`matrix` and `foreach` in one stage, expected one of them"
            )
        body = {key: value for key, value in stage.items() if key != "matrix"}
        return _Group(body, place, _matrix(stage["matrix"], variables, (*place, "matrix")))
    _check_foreach(stage, place)
    return _Group(stage["do"], (*place, "do"), _foreach(stage["foreach"], variables, (*place, "foreach")))


def _check_foreach(stage: dict[str, Any], place: Place) -> None:
    for key in ("foreach", "do"):
        if key not in stage:
            raise FaultError(place, f"no `{key}`, expected `foreach` and `do` together")
    if others := [key for key in stage if key not in ("foreach", "do")]:
        raise FaultError((*place, others[0]), f"`{others[0]}` beside `foreach`, expected it below `do`")
    _expect_stage(stage["do"], (*place, "do"))
    if clash := [key for key in stage["do"] if key in _GROUPS]:
        raise FaultError((*place, "do", clash[0]), f"`{clash[0]}` below `do`, expected a stage")


def _foreach(data: Any, variables: Variables, place: Place) -> dict[str, dict[str, Any]]:
    items = interpolate(data, Scope(variables.values), place)
    if isinstance(items, Mapping):
        return {as_text(key): {"item": item, "key": as_text(key)} for key, item in items.items()}
    if not isinstance(items, list):
        raise FaultError(place, f"{_named(items)} found, expected a list or a mapping to go through")
    if any(isinstance(item, list | Mapping) for item in items):
        return {str(i): {"item": item} for i, item in enumerate(items)}
    return {text: {"item": item} for text, item in zip(_names(data, items), items, strict=True)}


def _matrix(data: Any, variables: Variables, place: Place) -> dict[str, dict[str, Any]]:
    if not isinstance(data, Mapping):
        raise FaultError(place, f"{_named(data)} found, expected a mapping from names to lists")
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
        raise FaultError((*place, name), f"{_named(values)} found, expected a list of values")
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


def _named(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    return f"`{value}`" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
