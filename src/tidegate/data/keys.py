"""Where an object lies, relative to the cache's folder and to a remote's url alike: its key."""

import json
from collections.abc import Iterable
from typing import Any

from tidegate.data.md5 import DOS2UNIX, MD5
from tidegate.data.objects import ObjectCache, unsound_objects

_NEW_LAYOUT = "files/md5/"


def object_key(md5: str, kind: str = MD5) -> str:
    """`files/md5/ab/cdef`; without the folders for objects of DVC 2."""
    return f"{_NEW_LAYOUT if kind == MD5 else ''}{md5[:2]}/{md5[2:]}"


def md5_of(key: str) -> str:
    """The md5, `.dir` included, of an object's key."""
    return "".join(key.rsplit("/", 2)[-2:])


def kind_of(key: str) -> str:
    """The kind of md5 that names the object."""
    return MD5 if key.startswith(_NEW_LAYOUT) else DOS2UNIX


def is_folder(key: str) -> bool:
    """Whether the object is the list of a directory's files."""
    return key.endswith(".dir")


def parts_of(cache: ObjectCache, key: str) -> list[str] | None:
    """The keys of a directory's files, each once; None when the cache holds no such list."""
    return parts_within(f"{cache.folder}/{key}", key)


def parts_within(path: str, key: str) -> list[str] | None:
    """The same, of the directory object `key` that lies at `path`."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- a path object costs more
            md5s = dict.fromkeys([entry["md5"] for entry in json.loads(file.read())])
        is_safe = all(md5.isalnum() for md5 in md5s)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None
    kind = kind_of(key)
    return [object_key(md5, kind) for md5 in md5s] if is_safe else None


def unsound_keys(cache: ObjectCache, keys: Iterable[str]) -> set[str]:
    """Those of the objects that the cache lacks or holds damaged; the latter are moved aside."""
    by_kind: dict[str, list[str]] = {}
    for key in keys:
        by_kind.setdefault(kind_of(key), []).append(md5_of(key))
    return {
        object_key(md5, kind)
        for kind, md5s in by_kind.items()
        for md5 in unsound_objects(cache, md5s, kind=kind)
    }


def run_digest(plain: dict[str, Any]) -> str:
    """The name of a run in the run cache: the digest of its lock entry without sizes."""
    from tidegate.store.files import sha256_bytes

    return sha256_bytes(json.dumps(_without_sizes(plain), sort_keys=True).encode())


def _without_sizes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_sizes(part) for key, part in value.items() if key not in ("size", "nfiles")}
    return [_without_sizes(part) for part in value] if isinstance(value, list) else value
