"""A parsed dvc.yaml to stage definitions with nothing left to fill in: `vars`, foreach, matrix, templates.

The rules live in modules that a pipeline without templates never imports.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.pipeline.faults import FaultError, Place

if TYPE_CHECKING:
    from tidegate.pipeline.template import FlagStyle

_LISTS = ("params", "metrics", "plots", "artifacts", "datasets")
_SPECIAL = frozenset(("foreach", "do", "matrix", "vars"))


class Resolved(NamedTuple):
    """A stage definition without templates; `group` is the name before `@` of one made by foreach or matrix."""

    definition: dict[str, Any]
    place: Place
    group: str


def expand_pipeline(
    document: Mapping[str, Any],
    *,
    folder: str,
    read: Callable[[str], Any],
    style: "FlagStyle | None" = None,
) -> dict[str, Resolved]:
    """The stages of a checked dvc.yaml in `folder` by full name, in the order of the file.

    `read` gives the parsed file at a path from the root; it is not called when there is nothing to expand.
    Raises FaultError for what cannot be resolved.
    """
    stages = {str(name): stage for name, stage in (document.get("stages") or {}).items()}
    _check_names(stages)
    if _is_plain(document, stages):
        return {name: Resolved(stage, ("stages", name), "") for name, stage in stages.items()}
    from tidegate.pipeline.resolve import open_setting, resolve_stage

    setting = open_setting(document, folder, read)
    setting = setting._replace(style=style or setting.style)
    found: dict[str, Resolved] = {}
    for name, stage in stages.items():
        for full, definition, place in resolve_stage(name, stage, setting):
            found[full] = Resolved(definition, place, name if full != name else "")
    return found


def expand_values(document: Mapping[str, Any], *, folder: str, read: Callable[[str], Any]) -> dict[str, Any]:
    """What a dvc.yaml lists beside its stages (params, metrics, plots, artifacts, datasets), by section."""
    sections = {name: document[name] for name in _LISTS if document.get(name)}
    if "${" not in repr(sections):
        return sections
    from tidegate.pipeline.resolve import open_setting, resolve_section

    setting = open_setting(document, folder, read)
    values = {name: resolve_section(name, section, setting) for name, section in sections.items()}
    for name in values.get("artifacts", ()):
        if not isinstance(name, str):
            raise FaultError(("artifacts",), f"`{name}` found, expected text as the name of an artifact")
    return values


def _check_names(stages: Mapping[str, Any]) -> None:
    """DVC finds no stage that has an `@` of its own in its name."""
    for name in stages:
        if "@" in name:
            found = f"`@` in the name `{name}`, expected it only between a group and its stage"
            raise FaultError(("stages", name), found)


def _is_plain(document: Mapping[str, Any], stages: Mapping[str, dict[str, Any]]) -> bool:
    """One search over the text of all stages is far cheaper than a walk through them."""
    if document.get("vars") or "${" in repr(stages):
        return False
    return all(_SPECIAL.isdisjoint(stage) for stage in stages.values())
