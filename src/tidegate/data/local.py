"""What lies at the place of an out, and how it gives way without losing what nobody saved."""

import os
import stat
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.data.aside import Aside
from tidegate.data.hash import hash_path, list_tree
from tidegate.data.md5 import md5_file
from tidegate.data.objects import ObjectCache, unsound_objects
from tidegate.data.sharing import full_path
from tidegate.data.statcache import is_settled, key_of_stat
from tidegate.errors import UsageError


class Local(NamedTuple):
    """What lies at an out: the md5 of each file by its path from there, as listed `since`."""

    cache: ObjectCache
    at: str
    kind: str
    since: int
    md5s: Mapping[str, str]

    def full(self, inner: str) -> str:
        """The path of a file in it."""
        return full_path(self.cache, self.at, inner)


def look(cache: ObjectCache, at: str, *, kind: str, keep: Aside) -> Local:
    """List what is there; broken links, which cannot be hashed, are moved to `keep` first."""
    since = time.time_ns()
    top = full_path(cache, at, "")
    if os.path.isdir(top):  # noqa: PTH112
        try:
            entries = list_tree(cache.files, at, kind=kind)
        except UsageError:
            take_broken_links(cache, at, keep)
            entries = list_tree(cache.files, at, kind=kind)
    else:
        present = hash_path(cache.files, at, kind=kind)
        entries = [("", present.md5)] if present else []
    return Local(cache, at, kind, since, dict(entries))


def take_broken_links(cache: ObjectCache, at: str, keep: Aside) -> None:
    """Such as those to a cache that is gone: nothing can be hashed while they are there."""
    top = full_path(cache, at, "")
    for folder, _, names in os.walk(top):
        for name in names:
            path = f"{folder}/{name}"
            if not os.path.exists(path):  # noqa: PTH110
                keep.take(path, f"{at}{path[len(top) :]}")


def unsaved_files(local: Local, paths: Iterable[str]) -> set[str]:
    """Those of the files that the cache does not hold."""
    md5s = {path: local.md5s[path] for path in paths if path in local.md5s}
    unsound = set(unsound_objects(local.cache, md5s.values(), kind=local.kind))
    return {path for path, md5 in md5s.items() if md5 in unsound}


def remove(local: Local, paths: Iterable[str], *, unsaved: set[str] | None, keep: Aside | None) -> None:
    """Delete files that the cache holds and move the others aside; without `keep`, delete them all."""
    for path in paths:
        full = local.full(path)
        if keep and _is_loss(local, path, unsaved=unsaved or set()):
            keep.take(full, _name(local, path))
        else:
            os.unlink(full)  # noqa: PTH108


def place(local: Local, base: str, *, paths: Iterable[str], unsaved: set[str] | None, keep: Aside) -> None:
    """Give files made at `base` their names; what DVC does not see, such as links to directories, may be in the way.

    A whole new directory appears at once.
    """
    if not local.md5s and _is_moved(base, local.full("")):
        return
    roomy: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder not in roomy:
            _make_room(local, path, keep=keep)
            roomy.add(folder)
        _give_way(local, path, unsaved=unsaved, keep=keep)
        os.rename(f"{base}/{path}" if path else base, local.full(path))  # noqa: PTH104


def _is_moved(base: str, top: str) -> bool:
    """Renaming a directory replaces nothing but an empty directory; a file would replace any file."""
    if not os.path.isdir(base) or os.path.lexists(top):  # noqa: PTH112
        return False
    try:
        os.rename(base, top)  # noqa: PTH104
    except OSError:
        return False
    return True


def prune(top: str, *, keep_top: bool = False) -> None:
    """Remove the directories in which nothing is left."""
    if os.path.islink(top):  # noqa: PTH114
        return
    for folder, _, _ in os.walk(top, topdown=False):
        if folder != top or not keep_top:
            try:
                os.rmdir(folder)  # noqa: PTH106
            except OSError:
                continue


def _give_way(local: Local, path: str, *, unsaved: set[str] | None, keep: Aside) -> None:
    """Leave only what may be overwritten: without `unsaved` any file, otherwise one that the cache holds."""
    full = local.full(path)
    is_folder = os.path.isdir(full)  # noqa: PTH112
    if is_folder:
        prune(full)
    if not os.path.lexists(full):
        return
    if is_folder or (unsaved is not None and _is_loss(local, path, unsaved=unsaved)):
        keep.take(full, _name(local, path))


def _make_room(local: Local, path: str, *, keep: Aside) -> None:
    """Make the directories above a file, out of real directories alone: a link would lead out of the out."""
    top = local.full("")
    if not path:
        os.makedirs(os.path.dirname(top), exist_ok=True)  # noqa: PTH103, PTH120
        return
    if os.path.lexists(top) and not os.path.isdir(top):  # noqa: PTH112
        keep.take(top, local.at)
    os.makedirs(top, exist_ok=True)  # noqa: PTH103
    parts = path.split("/")[:-1]
    for inner in ("/".join(parts[: depth + 1]) for depth in range(len(parts))):
        full = local.full(inner)
        if os.path.lexists(full) and not stat.S_ISDIR(os.lstat(full).st_mode):
            keep.take(full, f"{local.at}/{inner}")
        if not os.path.lexists(full):
            os.mkdir(full)  # noqa: PTH102


def _is_loss(local: Local, path: str, *, unsaved: set[str]) -> bool:
    """Whether the file holds what the cache does not: something else than what was listed, or never seen."""
    return path in unsaved or path not in local.md5s or _has_changed(local, path)


def _has_changed(local: Local, path: str) -> bool:
    """Whether the file is no longer what was listed; only one touched since then is read again."""
    full = local.full(path)
    if is_settled(key_of_stat(os.stat(full)), local.since):  # noqa: PTH116
        return False
    return md5_file(full, local.kind) != local.md5s[path]


def _name(local: Local, path: str) -> str:
    return f"{local.at}/{path}" if path else local.at
