"""Update a tracked directory by one path inside of it, without a look at the rest."""

import os
from typing import NamedTuple

from tidegate.data.cache import ObjectCache, add_path, object_path, read_tree
from tidegate.data.dvcrecord import UNKNOWN_SIZE
from tidegate.data.execbits import read_exec, write_exec
from tidegate.data.hash import Hashed, dir_object, hash_path, list_tree, md5_bytes
from tidegate.data.objects import make_folder
from tidegate.errors import NotFoundError
from tidegate.flow.places import Place
from tidegate.store.files import write_atomic

_READ_ONLY = 0o444


def add_branch(cache: ObjectCache, place: Place, was: Hashed, *, commit: bool, relink: bool) -> Hashed:
    """The content of the directory with what lies at the place now: changed, new, or gone.

    Like DVC it leaves the size open when files were replaced. Raises NotFoundError when nothing is there and nothing
    was, or the cache lacks the directory's list of files.
    """
    listed = read_tree(cache, was) if was.md5.endswith(".dir") else None
    if listed is None:
        found = "its list of files is not in the cache, expected it there"
        raise NotFoundError(place.top, found, hint=f"tidegate fetch {place.file}")
    path = place.at.removeprefix(f"{place.top}/")
    kept = {name: md5 for name, md5 in listed if name != path and not name.startswith(f"{path}/")}
    part = _look(cache, place.at, path, save=commit, link=relink)
    if part.md5s is None and len(kept) == len(listed):
        raise NotFoundError(place.at, "does not exist, expected a file or a directory")
    entries = kept | (part.md5s or {})
    data = dir_object(entries.items())
    md5 = f"{md5_bytes(data)}.dir"
    if md5 == was.md5:
        return was
    if commit:
        _put(cache, md5, data)
        write_exec(
            cache, md5, [*(name for name in read_exec(cache, was.md5) if name in kept), *part.executable]
        )
    is_known = len(kept) == len(listed) and was.size > 0
    return Hashed(md5, was.size + part.size if is_known else UNKNOWN_SIZE, len(entries))


class _Part(NamedTuple):
    """The files at the path, by path from the directory; None when nothing is there."""

    md5s: dict[str, str] | None
    size: int = 0
    executable: tuple[str, ...] = ()


def _look(cache: ObjectCache, at: str, path: str, *, save: bool, link: bool) -> _Part:
    if not os.path.lexists(cache.files.root / at):
        return _Part(None)
    hashed = add_path(cache, at, link=link) if save else hash_path(cache.files, at)
    if hashed is None:
        return _Part(None)
    if not hashed.md5.endswith(".dir"):
        return _Part({path: hashed.md5}, hashed.size, (path,) * hashed.isexec)
    listed = list_tree(cache.files, at)
    executable = tuple(f"{path}/{name}" for name in read_exec(cache, hashed.md5))
    return _Part({f"{path}/{name}": md5 for name, md5 in listed}, hashed.size, executable)


def _put(cache: ObjectCache, md5: str, data: bytes) -> None:
    """Store a list of files like every object: whole and read-only."""
    path = object_path(cache, md5)
    if not path.exists():
        make_folder(cache, str(path.parent))
        write_atomic(path, data)
        path.chmod(_READ_ONLY)
