"""The codec of dvc.lock: byte for byte what DVC writes, and every stage that did not run left as it was."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.emit import WIDTH, dump_yaml, emit_mapping, has_alias, is_plain
from tidegate.data.hash import Hashed
from tidegate.errors import UsageError
from tidegate.pipeline.stages import LOCK, PIPELINE, Stage

# how a path's content may be named: by its md5, or by what its storage says of it
CHECKSUMS = ("md5", "etag", "checksum")
_HEAD = "schema: '2.0'\nstages:\n"
# a stage's first line, and those below it
_STAGE = re.compile(r"^(  [^ #\n].*\n)((?:    .*\n)*)", re.MULTILINE)


class Entry(NamedTuple):
    """What is recorded of a finished stage; deps and outs by path, params by file and key."""

    cmd: str | list[str] | None
    deps: Mapping[str, Hashed]
    params: Mapping[str, Mapping[str, Any]]
    outs: Mapping[str, Hashed]


class Recorded(NamedTuple):
    """All entries of a lock together: params by `file:key`, the md5 of deps and outs by path."""

    params: dict[str, Any]
    deps: dict[str, str]
    outs: dict[str, str]


def recorded(entries: Iterable[Entry]) -> Recorded:
    """What went into and came out of these stages."""
    found = Recorded({}, {}, {})
    for entry in entries:
        for file, keys in entry.params.items():
            found.params.update({f"{file}:{key}": value for key, value in keys.items()})
        found.deps.update({path: hashed.md5 for path, hashed in entry.deps.items()})
        found.outs.update({path: hashed.md5 for path, hashed in entry.outs.items()})
    return found


def lock_of(file: str) -> str:
    """The lock beside a dvc.yaml, both from the root."""
    return f"{file.removesuffix(PIPELINE)}{LOCK}"


def parse_lock(document: Any, file: str) -> dict[str, Entry]:
    """The entries of a dvc.lock by stage; none in an empty one, as a killed DVC leaves behind.

    Raises UsageError for what is not a lock of schema 2.0.
    """
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("schema") != "2.0":
        raise UsageError(file, "no schema '2.0', expected a lock written by DVC 2 or later")
    stages = document.get("stages") or {}
    return {name: _entry(file, name, plain) for name, plain in stages.items()}


def write_entry(root: Path, stage: Stage, entry: Entry) -> None:
    """Put one stage's entry into the lock beside its dvc.yaml, atomically; all other bytes of the file stay."""
    from tidegate.store.files import write_atomic

    path = root / lock_of(stage.file)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write_atomic(path, replace_entry(text, stage.name, entry))


def replace_entry(text: str, name: str, entry: Entry) -> str:
    """The text of a lock with this stage's entry written in its place, or at the end."""
    text = text or _HEAD
    plain = as_plain(entry)
    chunk = None if has_alias(plain) else _render_nested(name, plain)
    parts = _split(text)
    if chunk is None or parts is None:
        return _rewrite(text, name, plain)
    head, stages = parts
    stages[_key_line(name)] = chunk
    return head + "".join(stages.values())


def as_plain(entry: Entry) -> dict[str, Any]:
    """The entry as DVC nests and orders it; what is empty is left out."""
    files = sorted(entry.params, key=lambda name: (name != "params.yaml", name))
    params = {file: {key: entry.params[file][key] for key in sorted(entry.params[file])} for file in files}
    whole = {"cmd": entry.cmd, "deps": _paths(entry.deps), "params": params, "outs": _paths(entry.outs)}
    return {key: value for key, value in whole.items() if value}


def from_plain(plain: Mapping[str, Any]) -> Entry:
    """The entry in DVC's nesting; KeyError or TypeError when it is something else."""
    return Entry(
        plain["cmd"],
        {dep["path"]: _hashed(dep) for dep in plain.get("deps", ())},
        {file: dict(values) for file, values in plain.get("params", {}).items()},
        {out["path"]: _hashed(out) for out in plain.get("outs", ())},
    )


def _entry(file: str, name: str, plain: Any) -> Entry:
    try:
        return from_plain(plain)
    except (KeyError, TypeError, AttributeError):
        hint = f"git checkout {file}"
        raise UsageError(file, f"stage `{name}` is not an entry DVC writes", hint=hint) from None


def _hashed(plain: Mapping[str, Any]) -> Hashed:
    """A path without `hash: md5` carries DVC 2's md5, or a checksum of the storage it lies in."""
    field = next((name for name in CHECKSUMS if name in plain), "md5")
    kind = "md5-dos2unix" if field == "md5" and plain.get("hash") != "md5" else field
    return Hashed(
        plain.get(field, ""), plain.get("size", 0), plain.get("nfiles"), plain.get("isexec", False), kind
    )


def _paths(paths: Mapping[str, Hashed]) -> list[dict[str, Any]]:
    return [{"path": path, **_hash_fields(paths[path])} for path in sorted(paths)]


def _hash_fields(hashed: Hashed) -> dict[str, Any]:
    name = "md5" if hashed.kind == "md5-dos2unix" else hashed.kind
    fields: dict[str, Any] = {"hash": "md5"} if hashed.kind == "md5" else {}
    fields |= {name: hashed.md5, "size": hashed.size}
    if hashed.nfiles is not None:
        fields["nfiles"] = hashed.nfiles
    if hashed.isexec:
        fields["isexec"] = True
    return fields


def _split(text: str) -> tuple[str, dict[str, str]] | None:
    """The lock cut into head and stages by their first line; None when it is not laid out as DVC does."""
    head, mark, body = text.partition("stages:\n")
    if not mark or (head and not head.endswith("\n")) or not body.endswith("\n"):
        return (text, {}) if text == _HEAD else None
    stages: dict[str, str] = {}
    for first, rest in _STAGE.findall(body):
        stages[first] = stages.get(first, first) + rest
    return (head + mark, stages) if sum(map(len, stages.values())) == len(body) else None


def _render_nested(name: str, plain: dict[str, Any]) -> str | None:
    """One stage's lines below `stages:`; through ruamel.yaml when the short way is not sure of its bytes."""
    body = emit_mapping(plain, 4)
    if body is not None and _key_line(name) == f"  {name}:\n":
        return f"  {name}:\n{body}"
    return dump_yaml({"stages": {name: plain}}).removeprefix("stages:\n")


def _key_line(name: str) -> str:
    if is_plain(name) and len(name) < WIDTH // 2:
        return f"  {name}:\n"
    return dump_yaml({"stages": {name: {"x": 0}}}).splitlines(keepends=True)[1]


def _rewrite(text: str, name: str, plain: dict[str, Any]) -> str:
    """DVC's own way: load everything, change one stage, write everything."""
    from ruamel.yaml import YAML

    document = YAML().load(text)
    stages = document.get("stages")
    if stages is None:
        stages = document["stages"] = {}
    stages[name] = plain
    return dump_yaml(document)
