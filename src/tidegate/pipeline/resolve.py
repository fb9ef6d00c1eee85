"""Stages of one dvc.yaml resolved: their own `vars` loaded, every template filled in, groups multiplied."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tidegate.pipeline.faults import FaultError, Place
from tidegate.pipeline.groups import GROUPS, read_group
from tidegate.pipeline.template import FlagStyle, Scope, as_text, interpolate
from tidegate.pipeline.variables import (
    Origin,
    ReadFile,
    Variables,
    add_variables,
    bind,
    from_root,
    load_variables,
)


class Setting(NamedTuple):
    """What every definition of one file is resolved with."""

    variables: Variables
    folder: str
    read: ReadFile
    style: FlagStyle = FlagStyle()


def open_setting(document: Mapping[str, Any], folder: str, read: ReadFile) -> Setting:
    """The variables that all of a dvc.yaml sees."""
    variables = load_variables(document.get("vars") or [], Origin(("vars",), folder, read))
    return Setting(variables, folder, read)


def resolve_stage(
    name: str, stage: Mapping[str, Any], setting: Setting
) -> Iterator[tuple[str, dict[str, Any], Place]]:
    """Full name, definition and place of the stage, or of each stage that foreach or matrix makes of it."""
    place = ("stages", name)
    if not stage.keys() & GROUPS:
        yield name, _resolve(stage, place, setting), place
        return
    group = read_group(stage, place, setting.variables)
    for key, bound in group.bound.items():
        full = f"{name}@{key}"
        chosen = setting._replace(variables=bind(setting.variables, bound))
        try:
            yield full, _resolve(group.body, group.place, chosen), group.place
        except FaultError as fault:
            raise FaultError(fault.place, f"in stage `{full}`: {fault.message}", hint=fault.hint) from None


def resolve_section(name: str, section: Any, setting: Setting) -> Any:
    """A list or mapping beside the stages, such as `metrics`; its templates may name lists and mappings."""
    return interpolate(section, Scope(setting.variables.values), (name,))


def _resolve(stage: Mapping[str, Any], place: Place, setting: Setting) -> dict[str, Any]:
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


def _workdir(stage: Mapping[str, Any], place: Place, setting: Setting) -> str:
    wdir = interpolate(stage.get("wdir") or "", Scope(setting.variables.values, "wdir"), (*place, "wdir"))
    return from_root(setting.folder, as_text(wdir))
