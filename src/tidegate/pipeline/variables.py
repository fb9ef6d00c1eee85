"""The values that templates see: params.yaml and `vars`, merged so that no value is set twice."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tidegate.errors import NotFoundError, did_you_mean
from tidegate.pipeline.faults import FaultError, Place
from tidegate.pipeline.template import has_template

PARAMS = "params.yaml"

ReadFile = Callable[[str], Any]
"""The parsed file at a path from the root; raises NotFoundError without it."""


class Variables(NamedTuple):
    """Merged values; `sources` remembers who set what, `files` which keys of which file are loaded.

    A file loaded whole has None there. `reserved` are the names that foreach and matrix set.
    """

    values: Mapping[str, Any]
    sources: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    files: tuple[tuple[str, tuple[str, ...] | None], ...] = ()
    reserved: tuple[str, ...] = ()


class Origin(NamedTuple):
    """Where `vars` are written, the directory their files are relative to, and how to read them."""

    place: Place
    folder: str
    read: ReadFile


def load_variables(entries: Any, origin: Origin) -> Variables:
    """The values all stages see: params.yaml beside dvc.yaml if there is one, then the top-level `vars`."""
    try:
        variables = _with_file(Variables({}), PARAMS, origin)
    except NotFoundError:
        variables = Variables({})
    return add_variables(variables, entries, origin)


def add_variables(variables: Variables, entries: Any, origin: Origin) -> Variables:
    """The variables with those of a `vars` list; raises FaultError where one would be set twice."""
    if not isinstance(entries, list):
        raise FaultError(origin.place, "expected `vars` to be a list of files and mappings")
    for i, entry in enumerate(entries):
        variables = _with_entry(variables, entry, origin._replace(place=(*origin.place, i)))
    return variables


def bind(variables: Variables, bound: Mapping[str, Any]) -> Variables:
    """The variables with `item` and `key` of one stage of a group, which hide others of that name."""
    return variables._replace(values={**variables.values, **_usable(bound)}, reserved=tuple(bound))


def from_root(folder: str, path: str) -> str:
    """A path written relative to a directory, from the root."""
    return os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 -- pathlib keeps `a/../b`


def _with_entry(variables: Variables, entry: Any, origin: Origin) -> Variables:
    if has_template(entry):
        raise FaultError(origin.place, "a template in `vars`, expected plain values")
    if isinstance(entry, Mapping):
        return _merge(variables, ("vars", _usable(entry)), origin.place)
    if not isinstance(entry, str):
        raise FaultError(origin.place, f"`{entry}` found, expected a file or a mapping")
    try:
        return _with_file(variables, entry, origin)
    except NotFoundError as error:
        found = f"no such file `{error.where}`, expected a file of values"
        raise FaultError(
            origin.place, found, hint="paths are relative to the directory of the stage"
        ) from None


def _with_file(variables: Variables, entry: str, origin: Origin) -> Variables:
    """`file`, or `file:key1,key2` for some of its top-level keys; the same whole file twice is fine."""
    path, _, listed = entry.partition(":")
    at, keys = from_root(origin.folder, path), tuple(filter(None, listed.split(","))) or None
    if keys is None and (at, None) in variables.files:
        return variables
    _refuse_overlap(variables, (at, keys), origin.place)
    values = _chosen(origin.read(at), (at, keys), origin.place)
    added = _merge(variables, (at, _usable(values)), origin.place)
    return added._replace(files=(*variables.files, (at, keys)))


def _refuse_overlap(variables: Variables, wanted: tuple[str, tuple[str, ...] | None], place: Place) -> None:
    at, keys = wanted
    for known, loaded in variables.files:
        if known == at and (keys is None or loaded is None or set(keys) & set(loaded)):
            parts = "the whole file" if loaded is None else ", ".join(f"`{key}`" for key in loaded)
            raise FaultError(place, f"`{at}` is loaded already ({parts}), expected each value once")


def _chosen(values: Any, wanted: tuple[str, tuple[str, ...] | None], place: Place) -> Mapping[str, Any]:
    at, keys = wanted
    values = values or {}
    if not isinstance(values, Mapping):
        raise FaultError(
            place, f"`{at}` holds a {type(values).__name__}, expected a mapping from names to values"
        )
    for key in keys or ():
        if key not in values:
            raise FaultError(place, f"`{at}` has no key `{key}`{did_you_mean(key, map(str, values))}")
    return values if keys is None else {key: values[key] for key in keys}


def _usable(value: Any) -> Any:
    """What templates can name: a key that is not text cannot be, so DVC drops it, and so do we."""
    if isinstance(value, Mapping):
        return {key: _usable(part) for key, part in value.items() if isinstance(key, str)}
    return [_usable(part) for part in value] if isinstance(value, list) else value


def _merge(variables: Variables, added: tuple[str, Mapping[str, Any]], place: Place) -> Variables:
    source, values = added
    for name in variables.reserved:
        if name in values:
            raise FaultError(
                place, f"`{name}` is set by foreach or matrix, expected another name in `{source}`"
            )
    if path := _clash(variables.values, values):
        before = next(known for known, held in variables.sources if _holds(held, path))
        found = f"`{'.'.join(path)}` of `{source}` is set by `{before}` already, expected each value once"
        raise FaultError(place, found)
    merged = _merged(variables.values, values)
    return variables._replace(values=merged, sources=(*variables.sources, added))


def _clash(into: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The path of the first value that both set; mappings merge."""
    for key in [key for key in new if key in into]:
        if not (isinstance(new[key], Mapping) and isinstance(into[key], Mapping)):
            return (key,)
        if below := _clash(into[key], new[key]):
            return (key, *below)
    return ()


def _merged(into: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: _merged(into[key], value) for key, value in new.items() if key in into}
    return {**into, **new, **both}


def _holds(values: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return True
