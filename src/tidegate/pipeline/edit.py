"""Edits of dvc.yaml and dvc.lock, text to text: a person's comments and order stay."""

import os
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.data.emit import apply_changes, dump_yaml, load_for_edit
from tidegate.errors import ConflictError, NotFoundError, UsageError, did_you_mean
from tidegate.pipeline.stages import LOCK, PARAMS, PIPELINE

_SECTIONS = ("outs", "metrics", "plots")
_ANNOTATIONS = ("desc", "type", "labels", "meta")
_BAD_LETTERS = frozenset(string.punctuation) - {"-", "_"}


class NewOut(NamedTuple):
    """A path that a new stage writes; `section` is `outs`, `metrics` or `plots`."""

    path: str
    section: str = "outs"
    cache: bool = True
    persist: bool = False


class NewStage(NamedTuple):
    """A stage as `stage add` describes it; paths are relative to `wdir`, `params` maps files to keys."""

    name: str
    cmd: str
    wdir: str = "."
    deps: tuple[str, ...] = ()
    params: Mapping[str, Sequence[str]] = {}
    outs: tuple[NewOut, ...] = ()
    always_changed: bool = False
    desc: str = ""


def join_command(words: Sequence[str]) -> str:
    """One command line from the words after the options, quoted as DVC does."""
    return " ".join(words) if len(words) < 2 else " ".join(_quoted(word) for word in words)


def params_by_file(options: Iterable[str]) -> dict[str, list[str]]:
    """`[FILE:]KEY,...` options as keys by file; no keys stand for the whole file."""
    found: dict[str, list[str]] = {}
    for option in options:
        file, _, keys = option.rpartition(":")
        found.setdefault(file or PARAMS, []).extend(key for key in keys.split(",") if key)
    return found


def add_stage(text: str, stage: NewStage, *, force: bool = False) -> str:
    """The text of a dvc.yaml with the stage at its end, or in the place of an old one with `force`.

    Description and meta of an old one stay, as do the remarks on its outs. Raises ConflictError when there
    is one and `force` is not given, UsageError for what no stage may be.
    """
    _check(stage)
    document = load_for_edit(text, PIPELINE)
    stages = document.get("stages")
    if not isinstance(stages, dict):
        stages = document["stages"] = {}
    old = stages.get(stage.name)
    if old is not None and not force:
        raise ConflictError(PIPELINE, f"stage `{stage.name}` exists already", hint="--force replaces it")
    new = _plain(stage, old if isinstance(old, dict) else {})
    if isinstance(old, dict):
        apply_changes(new, old)
    else:
        stages[stage.name] = new
    return dump_yaml(document)


def set_frozen(text: str, name: str, *, frozen: bool) -> str:
    """The text of a dvc.yaml with this stage frozen or not; of a `foreach`, all that it makes.

    Only the one key changes (DVC sorts deps, params and outs on the way). Raises NotFoundError without the stage.
    """
    document, stage = _found(text, name)
    stage = stage["do"] if "foreach" in stage and isinstance(stage.get("do"), dict) else stage
    if bool(stage.get("frozen", False)) == frozen:
        return text
    if frozen:
        stage["frozen"] = True
    else:
        del stage["frozen"]
    return dump_yaml(document)


def remove_stage(text: str, name: str) -> str | None:
    """The text of a dvc.yaml without this stage; None when nothing is left and the file should go.

    DVC deletes the file with the last stage; here `vars`, `plots` and the like keep it.
    """
    document, _ = _found(text, name)
    del document["stages"][name]
    if not document["stages"]:
        del document["stages"]
    return dump_yaml(document) if document else None


def drop_lock_entries(text: str, names: Iterable[str]) -> str | None:
    """The text of a dvc.lock without the entries of these stages; None when the file should go."""
    document = load_for_edit(text, LOCK)
    stages = document.get("stages") or {}
    known = [name for name in names if name in stages]
    if not known:
        return text
    for name in known:
        del stages[name]
    if not stages:
        del document["stages"]
    return dump_yaml(document) if document.keys() - {"schema"} else None


def _check(stage: NewStage) -> None:
    where = f"stage `{stage.name}`"
    if not stage.cmd:
        raise UsageError(where, "no command given, expected one after the options")
    if not stage.name or _BAD_LETTERS & set(stage.name):
        raise UsageError("--name", f"`{stage.name}` found, expected letters, digits, `-` and `_`")
    outs = {os.path.normpath(out.path) for out in stage.outs}
    reads = [os.path.normpath(path) for path in (*stage.deps, *stage.params)]
    if both := outs.intersection(reads):
        found = f"lists `{min(both)}` as read and written, a stage cannot read what it writes"
        raise UsageError(where, found, hint="remove it from one of the two")
    counts = Counter([*reads, *(os.path.normpath(out.path) for out in stage.outs)])
    if twice := [path for path, count in counts.items() if count > 1]:
        raise UsageError(where, f"lists `{twice[0]}` twice, expected each path once")


def _found(text: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    document = load_for_edit(text, PIPELINE)
    stages = document.get("stages") or {}
    if not isinstance(stages.get(name), dict):
        hint = "`tidegate stage list` shows what there is"
        raise NotFoundError(PIPELINE, f"no stage `{name}`{did_you_mean(name, stages)}", hint=hint)
    return document, stages[name]


def _plain(stage: NewStage, old: Mapping[str, Any]) -> dict[str, Any]:
    """The stage as DVC nests, sorts and orders it; what is empty is left out."""
    wdir = os.path.normpath(stage.wdir)
    remarks = _remarks(old)
    outs = sorted(stage.outs, key=lambda out: out.path)
    whole = {
        "desc": stage.desc or old.get("desc"),
        "cmd": stage.cmd,
        "wdir": "" if wdir == "." else wdir,
        "deps": sorted(stage.deps),
        "params": _plain_params(stage.params),
        **{kind: [_plain_out(out, remarks) for out in outs if out.section == kind] for kind in _SECTIONS},
        "always_changed": stage.always_changed,
        "meta": old.get("meta"),
    }
    return {key: value for key, value in whole.items() if value}


def _plain_params(params: Mapping[str, Sequence[str]]) -> list[Any]:
    """Keys of params.yaml bare and first, then each other file with its keys."""
    bare = sorted(params.get(PARAMS, ()))
    return [
        *bare,
        *({file: sorted(params[file]) or None} for file in sorted(params) if file != PARAMS or not bare),
    ]


def _plain_out(out: NewOut, remarks: Mapping[str, Mapping[str, Any]]) -> Any:
    said = remarks.get(out.path, {})
    flags = {key: said[key] for key in _ANNOTATIONS if said.get(key)}
    if not out.cache:
        flags["cache"] = False
    if out.persist:
        flags["persist"] = True
    if said.get("remote"):
        flags["remote"] = said["remote"]
    if said.get("push") is False:
        flags["push"] = False
    return {out.path: flags} if flags else out.path


def _remarks(old: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The flags of the outs of an old stage, by path."""
    items = [item for section in _SECTIONS for item in old.get(section) or ()]
    return {path: flags or {} for item in items if isinstance(item, dict) for path, flags in item.items()}


def _quoted(word: str) -> str:
    if not word:
        return '""'
    return f'"{word}"' if " " in word and '"' not in word else word
