"""Bring an out to its recorded state, and never lose what nobody saved: that is moved aside."""

import os
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from tidegate.data.aside import Aside
from tidegate.data.execbits import read_exec
from tidegate.data.hash import Hashed, hash_path, list_tree, remember
from tidegate.data.links import SHARING, link
from tidegate.data.md5 import MD5, md5_file
from tidegate.data.objects import ObjectCache, object_name, read_tree, sound_table, unsound_objects
from tidegate.data.sharing import full_path, is_linked, link_kind, make_private, unlink_shared
from tidegate.data.sound import remember_sound
from tidegate.data.staging import open_staging, staging_beside
from tidegate.data.statcache import is_settled, key_of_stat
from tidegate.errors import NotFoundError, UsageError

__all__ = ["Checkout", "checkout", "clear", "discard", "unlink_shared"]

Change = Literal["unchanged", "added", "modified", "deleted"]
_NAMED = 3


class Checkout(NamedTuple):
    """What happened to the out at `at`, and where its content went that the cache did not hold."""

    at: str
    change: Change
    aside: Path | None = None


class _Local(NamedTuple):
    """What lies at an out: the md5 of each file by its path from there, as listed `since`."""

    cache: ObjectCache
    at: str
    kind: str
    since: int
    md5s: Mapping[str, str]

    def full(self, inner: str) -> str:
        """The path of a file in it."""
        return full_path(self.cache, self.at, inner)


def checkout(
    cache: ObjectCache, at: str, hashed: Hashed | None, *, force: bool = False, relink: bool = False
) -> Checkout:
    """Bring the out at `at` to the content `hashed`; None stands for nothing at all.

    Only what differs is touched; `relink` also replaces links of another kind than the configured one.
    Content that the cache does not hold is moved aside, with `force` it is deleted. Raises NotFoundError,
    with nothing changed, when objects are missing.
    """
    top = full_path(cache, at, "")
    if hashed is None:
        is_there = os.path.lexists(top)
        aside = None
        if force:
            discard(cache, at)
        else:
            aside = clear(cache, at)
        return Checkout(at, "deleted" if is_there else "unchanged", aside)
    keep = Aside(cache.files.root)
    if not relink and _is_right(cache, at, hashed, keep=keep):
        _restore_exec(cache, at, hashed)
        return Checkout(at, "unchanged", keep.folder)
    is_new = not os.path.lexists(top)
    local = _look(cache, at, kind=hashed.kind, keep=keep)
    changed = _replace(local, hashed, relink=relink, keep=None if force else keep)
    _restore_exec(cache, at, hashed)
    return Checkout(at, "added" if is_new else "modified" if changed else "unchanged", keep.folder)


def clear(cache: ObjectCache, at: str, *, kind: str = MD5) -> Path | None:
    """Empty the place of an out: what the cache holds is deleted, the rest moved aside to the folder returned."""
    top = full_path(cache, at, "")
    if not os.path.lexists(top):
        return None
    keep = Aside(cache.files.root)
    if os.path.islink(top) and os.path.isdir(top):  # noqa: PTH112, PTH114
        keep.take(top, at)
        return keep.folder
    local = _look(cache, at, kind=kind, keep=keep)
    _remove(local, local.md5s, unsaved=_unsaved(local, local.md5s), keep=keep)
    _prune(top)
    if os.path.lexists(top):
        keep.take(top, at)
    return keep.folder


def discard(cache: ObjectCache, at: str) -> None:
    """Delete the out, whether or not the cache holds it; nothing there is fine."""
    top = full_path(cache, at, "")
    if os.path.isdir(top) and not os.path.islink(top):  # noqa: PTH112, PTH114
        import shutil

        shutil.rmtree(top)
    elif os.path.lexists(top):
        os.unlink(top)  # noqa: PTH108


def _is_right(cache: ObjectCache, at: str, hashed: Hashed, *, keep: Aside) -> bool:
    try:
        present = hash_path(cache.files, at, kind=hashed.kind)
    except UsageError:
        _take_broken_links(cache, at, keep)
        present = hash_path(cache.files, at, kind=hashed.kind)
    return present is not None and present.md5 == hashed.md5


def _look(cache: ObjectCache, at: str, *, kind: str, keep: Aside) -> _Local:
    since = time.time_ns()
    top = full_path(cache, at, "")
    if os.path.isdir(top):  # noqa: PTH112
        try:
            entries = list_tree(cache.files, at, kind=kind)
        except UsageError:
            _take_broken_links(cache, at, keep)
            entries = list_tree(cache.files, at, kind=kind)
    else:
        present = hash_path(cache.files, at, kind=kind)
        entries = [("", present.md5)] if present else []
    return _Local(cache, at, kind, since, dict(entries))


def _take_broken_links(cache: ObjectCache, at: str, keep: Aside) -> None:
    """Such as those to a cache that is gone: nothing can be hashed while they are there."""
    top = full_path(cache, at, "")
    for folder, _, names in os.walk(top):
        for name in names:
            path = f"{folder}/{name}"
            if not os.path.exists(path):  # noqa: PTH110
                keep.take(path, f"{at}{path[len(top) :]}")


def _replace(local: _Local, hashed: Hashed, *, relink: bool, keep: Aside | None) -> bool:
    """Make all that is wanted, then give way, then put it in place: a kill leaves old, new or no files."""
    cache, at = local.cache, local.at
    wanted = dict(_wanted(cache, at, hashed))
    new = [path for path, md5 in wanted.items() if local.md5s.get(path) != md5]
    _require(local, [wanted[path] for path in new])
    executable = {""} if hashed.isexec else set(read_exec(cache, hashed.md5))
    beside = staging_beside(cache.files.root, at)
    kind = link_kind(cache, beside)
    stale = _stale(local, wanted, kind=kind) if relink else []
    _require(local, [wanted[path] for path in stale])
    gone = [path for path in local.md5s if path not in wanted]
    unsaved = _unsaved(local, [*gone, *new]) if keep else None
    with open_staging(beside) as names:
        made = {path: next(names) for path in (*new, *stale)}
        for path, name in made.items():
            own = path in executable and kind in SHARING
            link(_object(local, wanted[path]), name, kind="copy" if own else kind)
        _remove(local, gone, unsaved=unsaved, keep=keep)
        _place(local, made, unsaved=unsaved, keep=keep or Aside(cache.files.root))
    if hashed.md5.endswith(".dir"):
        os.makedirs(local.full(""), exist_ok=True)  # noqa: PTH103
        _prune(local.full(""), keep_top=True)
    _note(local, [(path, wanted[path]) for path in made], kind=kind)
    return bool(new or gone)


def _stale(local: _Local, wanted: Mapping[str, str], *, kind: str) -> list[str]:
    """The files with the right content that are another kind of link."""
    right = [path for path, md5 in wanted.items() if local.md5s.get(path) == md5]
    objects = {path: _object(local, wanted[path]) for path in right}
    return [path for path in right if not is_linked(local.full(path), objects[path], kind=kind)]


def _note(local: _Local, entries: list[tuple[str, str]], *, kind: str) -> None:
    """Nothing just put in place need be hashed again; the links just made changed the stats of the objects."""
    remember(local.cache.files, local.at, entries, kind=local.kind)
    if kind == "hardlink":
        objects = [_object(local, md5) for _, md5 in entries]
        remember_sound(sound_table(local.cache), {path: os.stat(path) for path in objects})  # noqa: PTH116


def _wanted(cache: ObjectCache, at: str, hashed: Hashed) -> list[tuple[str, str]]:
    if hashed.md5.endswith(".dir") and unsound_objects(cache, [hashed.md5], kind=hashed.kind):
        raise _missing(at, [hashed.md5])
    entries = read_tree(cache, hashed)
    if entries is None:
        raise _missing(at, [hashed.md5])
    return entries


def _require(local: _Local, md5s: list[str]) -> None:
    missing = unsound_objects(local.cache, md5s, kind=local.kind)
    if missing:
        raise _missing(local.at, missing)


def _missing(at: str, md5s: list[str]) -> NotFoundError:
    named = ", ".join(md5s[:_NAMED]) + ", ..." * (len(md5s) > _NAMED)
    many = "1 object is" if len(md5s) == 1 else f"{len(md5s)} objects are"
    return NotFoundError(at, f"{many} not in the cache: {named}", hint="tidegate fetch")


def _object(local: _Local, md5: str) -> str:
    return object_name(local.cache, md5, kind=local.kind)


def _unsaved(local: _Local, paths: Iterable[str]) -> set[str]:
    """Those of the files that the cache does not hold."""
    md5s = {path: local.md5s[path] for path in paths if path in local.md5s}
    unsound = set(unsound_objects(local.cache, md5s.values(), kind=local.kind))
    return {path for path, md5 in md5s.items() if md5 in unsound}


def _remove(local: _Local, paths: Iterable[str], *, unsaved: set[str] | None, keep: Aside | None) -> None:
    """Delete files that the cache holds and move the others aside; without `keep`, delete them all."""
    for path in paths:
        full = local.full(path)
        if keep and _is_loss(local, path, unsaved=unsaved or set()):
            keep.take(full, _name(local, path))
        else:
            os.unlink(full)  # noqa: PTH108


def _is_loss(local: _Local, path: str, *, unsaved: set[str]) -> bool:
    """Whether the file holds what the cache does not: something else than what was listed, or never seen."""
    return path in unsaved or path not in local.md5s or _has_changed(local, path)


def _has_changed(local: _Local, path: str) -> bool:
    """Whether the file is no longer what was listed; only one touched since then is read again."""
    full = local.full(path)
    if is_settled(key_of_stat(os.stat(full)), local.since):  # noqa: PTH116
        return False
    return md5_file(full, local.kind) != local.md5s[path]


def _place(local: _Local, made: Mapping[str, str], *, unsaved: set[str] | None, keep: Aside) -> None:
    """Give the files their names; what DVC does not see, such as links to directories, may be in the way."""
    roomy: set[str] = set()
    for path, temporary in made.items():
        folder = path.rpartition("/")[0]
        if folder not in roomy:
            _make_room(local, path, keep=keep)
            roomy.add(folder)
        full = local.full(path)
        _give_way(local, path, unsaved=unsaved, keep=keep)
        os.rename(temporary, full)  # noqa: PTH104


def _give_way(local: _Local, path: str, *, unsaved: set[str] | None, keep: Aside) -> None:
    """Leave only what may be overwritten: without `unsaved` any file, otherwise one that the cache holds."""
    full = local.full(path)
    is_folder = os.path.isdir(full)  # noqa: PTH112
    if is_folder:
        _prune(full)
    if not os.path.lexists(full):
        return
    if is_folder or (unsaved is not None and _is_loss(local, path, unsaved=unsaved)):
        keep.take(full, _name(local, path))


def _name(local: _Local, path: str) -> str:
    return f"{local.at}/{path}" if path else local.at


def _make_room(local: _Local, path: str, *, keep: Aside) -> None:
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


def _prune(top: str, *, keep_top: bool = False) -> None:
    """Remove the directories in which nothing is left."""
    if os.path.islink(top):  # noqa: PTH114
        return
    for folder, _, _ in os.walk(top, topdown=False):
        if folder != top or not keep_top:
            try:
                os.rmdir(folder)  # noqa: PTH106
            except OSError:
                continue


def _restore_exec(cache: ObjectCache, at: str, hashed: Hashed) -> None:
    """Set the executable bit that DVC records of a single file, and we of those in a directory."""
    paths = read_exec(cache, hashed.md5) if hashed.md5.endswith(".dir") else [""] * hashed.isexec
    plain = [full for path in paths if _is_plain(full := full_path(cache, at, path))]
    if not plain:
        return
    with open_staging(staging_beside(cache.files.root, at)) as names:
        for full in plain:
            make_private(cache, full, names=names)
            os.chmod(full, os.stat(full).st_mode | stat.S_IXUSR)  # noqa: PTH101, PTH116


def _is_plain(full: str) -> bool:
    try:
        status = os.stat(full)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode) and not status.st_mode & stat.S_IXUSR
