"""The records of a `.dvc` file, and how DVC nests and orders them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tidegate.data.hash import Hashed

UNKNOWN_SIZE = -1
REPO_KEYS = ("url", "rev", "rev_lock", "config", "remote")


class Content(NamedTuple):
    """What is recorded of a file's or directory's content.

    `hashed` is None before the first download; `others` are checksums of further kinds; `cloud` and `files` are
    the versions a remote gave, kept as they are.
    """

    hashed: Hashed | None = None
    version_id: str = ""
    others: Mapping[str, str] = {}
    cloud: Mapping[str, Any] = {}
    files: tuple[Mapping[str, Any], ...] = ()


class Source(NamedTuple):
    """A dep: where data was imported from; `repo` of another repository, `db` of a query (then no path)."""

    path: str
    content: Content = Content()
    repo: Mapping[str, Any] = {}
    db: Mapping[str, Any] = {}
    fs_config: Mapping[str, Any] = {}


class Tracked(NamedTuple):
    """An out: data kept in the cache, with what people say about it and where it may go."""

    path: str
    content: Content = Content()
    desc: str = ""
    type: str = ""
    labels: tuple[str, ...] = ()
    meta: Any = None
    cache: bool = True
    persist: bool = False
    remote: str = ""
    push: bool = True
    fs_config: Mapping[str, Any] = {}


class DvcFile(NamedTuple):
    """One `.dvc` file; `md5` only in those of imports, paths are relative to `wdir` beside the file."""

    outs: tuple[Tracked, ...] = ()
    deps: tuple[Source, ...] = ()
    md5: str = ""
    wdir: str = ""
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: Any = None


def as_plain(record: DvcFile) -> dict[str, Any]:
    """The record as DVC nests and orders it; what is empty is left out."""
    whole = {
        "desc": record.desc,
        "md5": record.md5,
        "wdir": "" if record.wdir == "." else record.wdir,
        "frozen": record.frozen,
        "deps": [_plain_source(dep) for dep in record.deps],
        "outs": [_plain_tracked(out) for out in record.outs],
        "always_changed": record.always_changed,
        "meta": record.meta,
    }
    return {key: value for key, value in whole.items() if value}


def _plain_source(dep: Source) -> dict[str, Any]:
    if dep.db:
        return {"db": {key: value for key, value in dep.db.items() if value}}
    if dep.repo:
        return {"path": dep.path, "repo": {key: dep.repo[key] for key in REPO_KEYS if dep.repo.get(key)}}
    files = {"files": _plain_files(dep.content)} if dep.content.files else {}
    return {**_located_content(dep.content, dep.path, dep.fs_config), **files}


def _plain_tracked(out: Tracked) -> dict[str, Any]:
    flags = {
        "desc": out.desc,
        "type": out.type,
        "labels": list(out.labels),
        "meta": out.meta,
        "cache": None if out.cache else False,
        "persist": out.persist,
        "remote": out.remote,
        "push": None if out.push else False,
        "files": _plain_files(out.content),
    }
    head = _located_content(out.content, out.path, out.fs_config)
    said = {
        key: value for key, value in flags.items() if value or (key in ("cache", "push") and value is False)
    }
    return {**head, **said}


def _located_content(content: Content, path: str, fs_config: Mapping[str, Any]) -> dict[str, Any]:
    """Hash, kind and path in DVC's order; entries of DVC 2 stay without the kind."""
    legacy = content.hashed is not None and content.hashed.kind == "md5-dos2unix"
    plain = {} if content.files else _plain_content(content)
    plain |= {"path": path} if legacy else {"hash": "md5", "path": path}
    return plain | ({"fs_config": dict(fs_config)} if fs_config else {})


def _plain_content(content: Content) -> dict[str, Any]:
    hashed = content.hashed
    fields: dict[str, Any] = {}
    if hashed:
        key = hashed.kind.removesuffix("-dos2unix")
        fields = {
            key: hashed.md5 or None,
            "size": None if hashed.size == UNKNOWN_SIZE else hashed.size,
            "nfiles": hashed.nfiles,
            "isexec": hashed.isexec or None,
        }
    fields |= {
        "version_id": content.version_id or None,
        **content.others,
        "cloud": dict(content.cloud) or None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _plain_files(content: Content) -> list[dict[str, Any]]:
    return [dict(file) for file in content.files]
