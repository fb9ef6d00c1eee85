"""dvc.yaml to frozen stages; what is wrong in it is reported with file, line and column."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tidegate.errors import NotFoundError, UsageError, did_you_mean

PIPELINE = "dvc.yaml"
PARAMS = "params.yaml"

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
_UNSUPPORTED = ("foreach", "do", "matrix", "vars")
_FLAGS = ("cache", "persist", "push", "remote", "desc", "type", "labels", "meta", "checkpoint")
_PLOT = ("x", "y", "x_label", "y_label", "title", "header", "template")
_OUTS: tuple[tuple[str, "OutKind"], ...] = (("outs", "out"), ("metrics", "metric"), ("plots", "plot"))
_TEMPLATE = re.compile(r"(?<!\\)\$\{.*?\}")

OutKind = Literal["out", "metric", "plot"]
Place = tuple[str | int, ...]


class Dep(NamedTuple):
    """A file or directory a stage reads: as written, and from the root."""

    path: str
    at: str
    place: Place


class Params(NamedTuple):
    """Keys a stage reads from a parameter file; None means all of them."""

    path: str
    at: str
    keys: tuple[str, ...] | None
    place: Place


class Out(NamedTuple):
    """A file or directory a stage writes; `persist` keeps it in place while the stage runs."""

    path: str
    at: str
    kind: OutKind
    cache: bool
    persist: bool
    place: Place


class Stage(NamedTuple):
    """One stage of dvc.yaml; `place` fields say where in the file to point a complaint."""

    name: str
    cmd: str | list[str]
    wdir: str
    deps: tuple[Dep, ...]
    params: tuple[Params, ...]
    outs: tuple[Out, ...]
    frozen: bool
    always_changed: bool
    desc: str

    @property
    def is_unconditional(self) -> bool:
        """Whether it runs each time: told so, or nothing could ever say that it changed."""
        return self.always_changed or not (self.deps or self.params or self.outs)


class FaultError(Exception):
    """Something wrong at a place of dvc.yaml; becomes a UsageError once the line is looked up."""

    def __init__(self, place: Place, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.message = message
        self.hint = hint


def located(fault: FaultError, root: Path) -> UsageError:
    """The error a person sees: `dvc.yaml:line:column: ...`."""
    from tidegate.data.yaml import locate

    where = locate((root / PIPELINE).read_text(encoding="utf-8"), fault.place, PIPELINE)
    return UsageError(where, fault.message, hint=fault.hint)


def missing_pipeline(root: Path) -> NotFoundError:
    """The error of a project without dvc.yaml."""
    return NotFoundError(PIPELINE, f"no such file in {root}", hint="tidegate init")


def parse_pipeline(document: Any) -> dict[str, Stage]:
    """The stages by name in the order of the file; raises FaultError."""
    _expect(document, dict, (), "a mapping with the key `stages`")
    _known_keys(document, _TOP, ())
    stages = document.get("stages") or {}
    _expect(stages, dict, ("stages",), "a mapping from stage names to stages")
    if document.get("vars"):
        raise FaultError(("vars",), "`vars` are not supported yet, write the values out")
    _refuse_templates(stages)
    return {str(name): _stage(str(name), plain, ("stages", name)) for name, plain in stages.items()}


def _stage(name: str, plain: Any, place: Place) -> Stage:
    _expect(plain, dict, place, "a mapping with the key `cmd`")
    _known_keys(plain, (*_STAGE, *_UNSUPPORTED), place)
    if "cmd" not in plain:
        raise FaultError(place, f"stage `{name}` has no `cmd`, expected a command to run")
    wdir = os.path.normpath(_text(plain.get("wdir", "."), (*place, "wdir")))
    return Stage(
        name=name,
        cmd=_cmd(plain["cmd"], (*place, "cmd")),
        wdir=wdir,
        deps=tuple(_deps(plain, wdir, place)),
        params=tuple(_merged(_params(plain, wdir, place))),
        outs=tuple(_outs(plain, wdir, place)),
        frozen=_flag(plain, "frozen", place),
        always_changed=_flag(plain, "always_changed", place),
        desc=str(plain.get("desc") or ""),
    )


def _cmd(value: Any, place: Place) -> str | list[str]:
    if isinstance(value, list) and value:
        return [_text(item, (*place, i)) for i, item in enumerate(value)]
    return _text(value, place)


def _deps(plain: Mapping[str, Any], wdir: str, place: Place) -> Iterator[Dep]:
    for i, item in enumerate(_list(plain, "deps", place)):
        here = (*place, "deps", i)
        path = _text(item, here)
        yield Dep(path, _from_root(wdir, path), here)


def _params(plain: Mapping[str, Any], wdir: str, place: Place) -> Iterator[Params]:
    """A bare key belongs to the params.yaml of the directory in which the stage works."""
    for i, item in enumerate(_list(plain, "params", place)):
        here = (*place, "params", i)
        if isinstance(item, str):
            yield Params(PARAMS, _from_root(wdir, PARAMS), (item,), here)
            continue
        _expect(item, dict, here, "a key, or a mapping from a file to its keys")
        for file, keys in item.items():
            listed = _list(item, file, here) if keys is not None else None
            names = None if listed is None else tuple(_text(key, (*here, file)) for key in listed)
            yield Params(file, _from_root(wdir, file), names, (*here, file))


def _merged(params: Iterator[Params]) -> Iterator[Params]:
    files: dict[str, Params] = {}
    for one in params:
        first = files.get(one.path, one)
        both = None if first.keys is None or one.keys is None else tuple(dict.fromkeys(first.keys + one.keys))
        files[one.path] = first._replace(keys=both)
    yield from files.values()


def _outs(plain: Mapping[str, Any], wdir: str, place: Place) -> Iterator[Out]:
    for section, kind in _OUTS:
        for i, item in enumerate(_list(plain, section, place)):
            here = (*place, section, i)
            entries = item.items() if isinstance(item, dict) else [(item, {})]
            for path, flags in entries:
                yield _out(path, flags, wdir=wdir, kind=kind, place=here)


def _out(path: Any, flags: Any, *, wdir: str, kind: OutKind, place: Place) -> Out:
    _expect(flags, dict, (*place, path), "a mapping of flags such as `cache: false`")
    _known_keys(flags, _FLAGS + (_PLOT if kind == "plot" else ()), (*place, path))
    at = _from_root(wdir, _text(path, place))
    if at == "." or at.startswith(("../", "/")):
        raise FaultError(place, f"out `{path}` is not inside the project, expected a path below its root")
    cache = _flag(flags, "cache", (*place, path), default=True)
    return Out(path, at, kind, cache, _flag(flags, "persist", (*place, path)), place)


def _from_root(wdir: str, path: str) -> str:
    return os.path.normpath(os.path.join(wdir, path))  # noqa: PTH118 -- pathlib keeps `a/../b`


def _expect(value: Any, kind: type, place: Place, expected: str) -> None:
    if not isinstance(value, kind):
        raise FaultError(place, f"{_named(value)} found, expected {expected}")


def _text(value: Any, place: Place) -> str:
    if not isinstance(value, str) or not value:
        raise FaultError(place, f"{_named(value)} found, expected text", hint="put quotes around it")
    return value.replace("\\${", "${")


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


def _refuse_templates(stages: Mapping[str, Any]) -> None:
    """Templating comes later; until then nothing may run with a `${...}` left in it."""
    for name, stage in stages.items():
        for key in _UNSUPPORTED:
            if isinstance(stage, dict) and key in stage:
                raise FaultError(("stages", name, key), f"`{key}` is not supported yet, write the stages out")
        for place, text in _texts(stage, ("stages", name)):
            if match := _TEMPLATE.search(text):
                found = f"template `{match[0]}` is not supported yet, write the value out"
                raise FaultError(place, found, hint="a shell variable is written `$NAME` or `\\${NAME}`")


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(key, (*place, key))
            yield from _texts(part, (*place, key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _texts(part, (*place, i))


def _named(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    return f"`{value}`" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
