"""What may stand in a `.dvc` file: a parsed document checked once and made a record."""

import re
from collections.abc import Mapping
from typing import Any

from tidegate.data.dvcrecord import REPO_KEYS, UNKNOWN_SIZE, Content, DvcFile, Source, Tracked
from tidegate.data.hash import Hashed
from tidegate.errors import did_you_mean

_CHECKSUMS = ("md5", "etag", "checksum")
_ABSOLUTE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
Place = tuple[str | int, ...]
Keys = Mapping[str, type | tuple[type, ...]]

_ENTRY: Keys = {
    "md5": (str, int),
    "size": int,
    "nfiles": int,
    "isexec": bool,
    "version_id": str,
    "etag": (str, int),
    "checksum": (str, int),
    "cloud": dict,
    "hash": str,
    "path": str,
    "fs_config": dict,
    "persist": bool,
    "files": list,
}
_DEP: Keys = {**_ENTRY, "repo": dict, "db": dict}
_OUT: Keys = {
    **_ENTRY,
    "desc": str,
    "type": str,
    "labels": list,
    "meta": object,
    "cache": bool,
    "remote": str,
    "push": bool,
}
_FILE: Keys = {
    "desc": str,
    "md5": (str, int),
    "wdir": str,
    "frozen": bool,
    "locked": bool,
    "deps": list,
    "outs": list,
    "always_changed": bool,
    "meta": object,
}
_REPO: Keys = {**dict.fromkeys(REPO_KEYS, str), "config": (str, dict), "remote": (str, dict)}
_DB: Keys = {"query": str, "connection": str, "file_format": str, "table": str}
_MAY_BE_NULL = frozenset({"md5", "etag", "checksum", "wdir", "deps", "outs"})


class FaultError(Exception):
    """Something wrong at a place of the file; becomes a UsageError once the line is looked up."""

    def __init__(self, place: Place, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.message = message
        self.hint = hint


def from_plain(document: Any) -> DvcFile:
    """The record of a parsed document; raises FaultError at the place of the first thing wrong."""
    plain = {} if document is None else document
    _expect(plain, dict, ())
    if "cmd" in plain:
        raise FaultError(("cmd",), "a `.dvc` file has no `cmd`", "describe the stage in dvc.yaml")
    _check(plain, _FILE, ())
    return DvcFile(
        outs=tuple(_tracked(out, ("outs", i)) for i, out in enumerate(plain.get("outs") or ())),
        deps=tuple(_source(dep, ("deps", i)) for i, dep in enumerate(plain.get("deps") or ())),
        md5=str(plain.get("md5") or ""),
        wdir=plain.get("wdir") or "",
        frozen=plain.get("frozen", False) or plain.get("locked", False),
        always_changed=plain.get("always_changed", False),
        desc=plain.get("desc", ""),
        meta=plain.get("meta"),
    )


def _source(plain: Any, place: Place) -> Source:
    _check(plain, _DEP, place)
    for key, keys in (("repo", _REPO), ("db", _DB)):
        _check(plain.get(key, {}), keys, (*place, key))
    if "repo" in plain and "url" not in plain["repo"]:
        raise FaultError((*place, "repo"), "no `url` found, expected the address of a repository")
    if "db" not in plain:
        _need_path(plain, place)
    return Source(
        path=plain.get("path", ""),
        content=_content(plain, place),
        repo=plain.get("repo", {}),
        db=plain.get("db", {}),
        fs_config=plain.get("fs_config", {}),
    )


def _tracked(plain: Any, place: Place) -> Tracked:
    _check(plain, _OUT, place)
    _need_path(plain, place)
    for i, label in enumerate(plain.get("labels", ())):
        _expect(label, str, (*place, "labels", i))
    return Tracked(
        path=plain["path"],
        content=_content(plain, place),
        desc=plain.get("desc", ""),
        type=plain.get("type", ""),
        labels=tuple(plain.get("labels", ())),
        meta=plain.get("meta"),
        cache=plain.get("cache", True),
        persist=plain.get("persist", False),
        remote=plain.get("remote", ""),
        push=plain.get("push", True),
        fs_config=plain.get("fs_config", {}),
    )


def _content(plain: Mapping[str, Any], place: Place) -> Content:
    """The first checksum is the hash; the rest are what a remote said besides."""
    named = [key for key in plain if key in _CHECKSUMS and plain[key]]
    first = named[0] if named else "md5"
    hashed = None
    if named or "size" in plain:
        size, nfiles = plain.get("size", UNKNOWN_SIZE), plain.get("nfiles")
        md5 = str(plain.get(first) or "")
        hashed = Hashed(md5, size, nfiles, plain.get("isexec", False), _kind(first, plain))
    files = plain.get("files", [])
    for i, file in enumerate(files):
        _expect(file, dict, (*place, "files", i))
    others = {key: str(plain[key]) for key in named[1:]}
    return Content(hashed, plain.get("version_id", ""), others, plain.get("cloud", {}), tuple(files))


def _kind(checksum: str, plain: Mapping[str, Any]) -> str:
    """Only DVC 2 wrote an md5 without naming its kind; outside a repository there never was another kind."""
    if checksum != "md5":
        return checksum
    is_legacy = "hash" not in plain and not _ABSOLUTE.match(plain.get("path", ""))
    return "md5-dos2unix" if is_legacy else "md5"


def _check(plain: Any, keys: Keys, place: Place) -> None:
    """Known keys with values of their type; the nearest name is offered for an unknown one."""
    _expect(plain, dict, place)
    for key, value in plain.items():
        if key not in keys:
            found = f"unknown key `{key}`{did_you_mean(str(key), keys)}"
            raise FaultError((*place, key), found, f"known here: {', '.join(list(keys)[:8])}")
        if not (value is None and key in _MAY_BE_NULL):
            _expect(value, keys[key], (*place, key))


def _need_path(plain: Mapping[str, Any], place: Place) -> None:
    if not plain.get("path"):
        raise FaultError(place, "no `path` found, expected the path of a file or directory")


_NAMES = {str: "text", bool: "true or false", int: "a whole number", list: "a list", dict: "a mapping"}


def _expect(value: Any, kind: type | tuple[type, ...], place: Place) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (
        isinstance(value, bool) and bool not in kinds and object not in kinds
    ):
        expected = " or ".join(_NAMES[one] for one in kinds)
        found = "nothing" if value is None else f"`{value}`"
        raise FaultError(place, f"{found} found, expected {expected}")
