"""Definitions in dvc.yaml to stages; what is wrong in one is reported with its place in the file."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.errors import NotFoundError, did_you_mean
from tidegate.pipeline.faults import FaultError, Place, named
from tidegate.pipeline.schema import check_types
from tidegate.pipeline.stages import (
    DATA_SUFFIX,
    PARAMS,
    PIPELINE,
    Dep,
    Out,
    OutKind,
    Params,
    Resources,
    Stage,
    is_url,
    stage_key,
)

if TYPE_CHECKING:
    from tidegate.pipeline.template import FlagStyle

_TOP = ("stages", "vars", "params", "metrics", "plots", "artifacts", "datasets")
_STAGE = (
    "cmd",
    "deps",
    "params",
    "outs",
    "metrics",
    "plots",
    "wdir",
    "frozen",
    "always_changed",
    "desc",
    "meta",
)
_TEMPLATES = ("vars", "foreach", "do", "matrix")
_FLAGS = ("cache", "persist", "push", "remote", "desc", "type", "labels", "meta", "checkpoint")
_PLOT = ("x", "y", "x_label", "y_label", "title", "header", "template")
_OUTS: tuple[tuple[str, OutKind], ...] = (("outs", "out"), ("metrics", "metric"), ("plots", "plot"))
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30}


ReadFile = Callable[[str], Any]


def nothing(at: str) -> Any:
    """A project without other files."""
    raise NotFoundError(at, "no such file")


class Base(NamedTuple):
    """Where a stage's paths begin: its dvc.yaml and working directory from the root, and the root itself."""

    file: str
    root: str
    wdir: str = ""


def check_document(document: Any) -> dict[str, Any]:
    """The mapping of a dvc.yaml whose top level is sound; an empty file is an empty pipeline."""
    if document is None:
        return {}
    _expect(document, dict, (), "a mapping with the key `stages`")
    _known_keys(document, _TOP, ())
    stages = document.get("stages")
    if stages is not None:
        _expect(stages, dict, ("stages",), "a mapping from stage names to stages")
        for name, definition in stages.items():
            _check_definition(definition, ("stages", name))
    check_types(document)
    return dict(document)


def parse_pipeline(
    document: Any, base: Base, *, read: ReadFile = nothing, style: "FlagStyle | None" = None
) -> dict[str, Stage]:
    """The stages of a parsed dvc.yaml by key, its templates filled in; `read` gives parsed files by path from the root.

    Raises FaultError for what is wrong in it.
    """
    from tidegate.pipeline.expand import expand_pipeline

    folder = os.path.dirname(base.file)  # noqa: PTH120
    found = expand_pipeline(check_document(document), folder=folder, read=read, style=style)
    stages = (
        parse_stage(name, one.definition, base=base, place=one.place, group=one.group)
        for name, one in found.items()
    )
    return {stage.key: stage for stage in stages}


def parse_stage(name: str, plain: Any, *, base: Base, place: Place, group: str = "") -> Stage:
    """One stage from its definition, in which nothing is left to interpolate; raises FaultError."""
    _expect(plain, dict, place, "a mapping with the key `cmd`")
    _known_keys(plain, _STAGE, place)
    if not plain.get("cmd"):
        raise FaultError(place, f"stage `{name}` has no `cmd`, expected a command to run")
    base = base._replace(wdir=os.path.dirname(base.file))  # noqa: PTH120
    base = base._replace(wdir=_from_root(_text(plain.get("wdir", "."), (*place, "wdir")), base))
    return Stage(
        key=stage_key(base.file, name),
        name=name,
        file=base.file,
        cmd=_cmd(plain["cmd"], (*place, "cmd")),
        wdir=base.wdir,
        deps=tuple(_deps(plain, base, place)),
        params=tuple(_merged(_params(plain, base, place))),
        outs=tuple(_outs(plain, base, place)),
        frozen=_flag(plain, "frozen", place),
        always_changed=_flag(plain, "always_changed", place),
        desc=str(plain.get("desc") or ""),
        group=group,
        resources=_resources(plain.get("meta"), (*place, "meta")),
        place=place,
    )


def _check_definition(definition: Any, place: Place) -> None:
    _expect(definition, dict, place, "a mapping with the key `cmd`")
    allowed = ("foreach", "do") if "foreach" in definition else (*_STAGE, *_TEMPLATES)
    _known_keys(definition, allowed, place)
    if "foreach" in definition:
        _expect(definition.get("do"), dict, (*place, "do"), "a mapping with the key `cmd`")
        _known_keys(definition["do"], (*_STAGE, "vars"), (*place, "do"))


def _cmd(value: Any, place: Place) -> str | list[str]:
    if isinstance(value, list) and value:
        return [_text(item, (*place, i)) for i, item in enumerate(value)]
    return _text(value, place)


def _deps(plain: Mapping[str, Any], base: Base, place: Place) -> Iterator[Dep]:
    for i, item in enumerate(_list(plain, "deps", place)):
        here = (*place, "deps", i)
        path = _text(item, here)
        yield Dep(_as_written(path, base), _from_root(path, base), here)


def _params(plain: Mapping[str, Any], base: Base, place: Place) -> Iterator[Params]:
    """A bare key belongs to the params.yaml of the directory in which the stage works."""
    for i, item in enumerate(_list(plain, "params", place)):
        here = (*place, "params", i)
        if isinstance(item, str):
            yield Params(PARAMS, _from_root(PARAMS, base), (item,), here)
            continue
        _expect(item, dict, here, "a key, or a mapping from a file to its keys")
        for file, keys in item.items():
            listed = _list(item, file, here) if keys is not None else []
            names = tuple(_key(key, (*here, file)) for key in listed)
            at = _from_root(_text(file, here), base)
            yield Params(_as_written(file, base), at, names or None, (*here, file))


def _key(value: Any, place: Place) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _text(value, place)
    return str(value)


def _merged(params: Iterator[Params]) -> Iterator[Params]:
    files: dict[str, Params] = {}
    for one in params:
        first = files.get(one.path, one)
        both = None if first.keys is None or one.keys is None else tuple(dict.fromkeys(first.keys + one.keys))
        files[one.path] = first._replace(keys=both)
    yield from files.values()


def _outs(plain: Mapping[str, Any], base: Base, place: Place) -> Iterator[Out]:
    for section, kind in _OUTS:
        for i, item in enumerate(_list(plain, section, place)):
            here = (*place, section, i)
            entries = item.items() if isinstance(item, dict) else [(item, {})]
            for path, flags in entries:
                yield _placed(_out(path, flags, kind=kind, place=here), base)


def _out(path: Any, flags: Any, *, kind: OutKind, place: Place) -> Out:
    inside = (*place, path)
    if kind == "plot" and isinstance(flags, list):
        flags = {key: value for part in flags if isinstance(part, dict) for key, value in part.items()}
    flags = {} if flags is None else flags
    _expect(flags, dict, inside, "a mapping of flags such as `cache: false`")
    _known_keys(flags, _FLAGS + (_PLOT if kind == "plot" else ()), inside)
    return Out(
        path=_text(path, place),
        at="",
        kind=kind,
        cache=_flag(flags, "cache", inside, default=True),
        persist=_flag(flags, "persist", inside),
        push=_flag(flags, "push", inside, default=True),
        remote=str(flags.get("remote") or ""),
        place=place,
    )


def _placed(out: Out, base: Base) -> Out:
    """The out with its path from the root, which must be one that a stage may write."""
    at = _from_root(out.path, base)
    if at == "." or is_url(at) or (at.startswith(("../", "/")) and out.cache):
        found = f"out `{out.path}` is not inside the project, expected a path below its root"
        raise FaultError(out.place, found)
    if at.endswith(DATA_SUFFIX) or os.path.basename(at) == PIPELINE:  # noqa: PTH119
        raise FaultError(out.place, f"out `{out.path}` is named like a file of stages, expected another name")
    return out._replace(path=_as_written(out.path, base), at=at)


def _resources(meta: Any, place: Place) -> Resources:
    asked = meta.get("tidegate") if isinstance(meta, dict) else None
    if asked is None:
        return Resources()
    inside = (*place, "tidegate")
    _expect(asked, dict, inside, "a mapping with cpus, gpus or memory")
    _known_keys(asked, Resources._fields, inside)
    cpus, gpus = asked.get("cpus", 0), asked.get("gpus", 0)
    if isinstance(cpus, bool) or not isinstance(cpus, int | float) or cpus < 0:
        raise FaultError((*inside, "cpus"), f"{named(cpus)} found, expected a number")
    if isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 0:
        raise FaultError((*inside, "gpus"), f"{named(gpus)} found, expected a whole number")
    return Resources(float(cpus), gpus, _bytes(asked.get("memory", 0), (*inside, "memory")))


def _bytes(value: Any, place: Place) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", str(value).strip().lower())
    if isinstance(value, bool) or not match or match[2] not in _SIZES:
        raise FaultError(place, f"{named(value)} found, expected a size such as `4GiB`")
    return int(float(match[1]) * _SIZES[match[2]])


def _from_root(path: str, base: Base) -> str:
    if is_url(path):
        return path
    at = os.path.normpath(os.path.join(base.wdir, path))  # noqa: PTH118 -- pathlib keeps `a/../b`
    inside = f"{base.root}/"
    return at.removeprefix(inside) if base.root and at.startswith(inside) else at


def _as_written(path: str, base: Base) -> str:
    """The path by which dvc.lock knows it: as written, but relative where an absolute one lies inside."""
    inside = f"{base.root}/"
    if base.root and path.startswith(inside):
        return os.path.relpath(path.removeprefix(inside), base.wdir)
    return path


def _expect(value: Any, kind: type, place: Place, expected: str) -> None:
    if not isinstance(value, kind):
        raise FaultError(place, f"{named(value)} found, expected {expected}")


def _text(value: Any, place: Place) -> str:
    if not isinstance(value, str) or not value:
        raise FaultError(place, f"{named(value)} found, expected text", hint="put quotes around it")
    return value


def _flag(plain: Mapping[str, Any], key: str, place: Place, *, default: bool = False) -> bool:
    value = plain.get(key, default)
    _expect(value, bool, (*place, key), "true or false")
    return bool(value)


def _list(plain: Mapping[str, Any], key: str, place: Place) -> list[Any]:
    value = plain.get(key)
    if value is None:
        return []
    _expect(value, list, (*place, key), "a list")
    return list(value)


def _known_keys(plain: Mapping[Any, Any], known: tuple[str, ...], place: Place) -> None:
    for key in plain:
        if key not in known:
            found = f"unknown key `{key}`{did_you_mean(str(key), known)}"
            raise FaultError((*place, key), found, hint=f"known here: {', '.join(known[:8])}")
