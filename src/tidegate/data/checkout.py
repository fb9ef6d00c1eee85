"""Bring an out to its recorded state, and never lose what nobody saved: that is moved aside."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from tidegate.data.aside import Aside
from tidegate.data.execbits import read_exec
from tidegate.data.hash import Hashed, hash_path
from tidegate.data.links import SHARING, link
from tidegate.data.local import Local, look, place, prune, remove, take_broken_links, unsaved_files
from tidegate.data.md5 import MD5
from tidegate.data.objects import ObjectCache, object_name, read_tree, sound_table, unsound_objects
from tidegate.data.sharing import (
    full_path,
    is_linked,
    link_kind,
    make_private,
    remember_placed,
    unlink_shared,
)
from tidegate.data.sound import remember_sound
from tidegate.data.staging import open_staging, staging_beside
from tidegate.errors import NotFoundError, UsageError

__all__ = ["Checkout", "checkout", "clear", "discard", "unlink_shared"]

Change = Literal["unchanged", "added", "modified", "deleted"]
_NAMED = 3


class Checkout(NamedTuple):
    """What happened to the out at `at`, and where its content went that the cache did not hold."""

    at: str
    change: Change
    aside: Path | None = None


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
    local = look(cache, at, kind=hashed.kind, keep=keep)
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
    local = look(cache, at, kind=kind, keep=keep)
    remove(local, local.md5s, unsaved=unsaved_files(local, local.md5s), keep=keep)
    prune(top)
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
        take_broken_links(cache, at, keep)
        present = hash_path(cache.files, at, kind=hashed.kind)
    return present is not None and present.md5 == hashed.md5


def _replace(local: Local, hashed: Hashed, *, relink: bool, keep: Aside | None) -> bool:
    """Make all that is wanted, then give way, then put it in place: a kill leaves old, new or no files."""
    cache, at = local.cache, local.at
    wanted = dict(_wanted(cache, at, hashed))
    new = [path for path, md5 in wanted.items() if local.md5s.get(path) != md5]
    _require(local, [wanted[path] for path in new])
    beside = staging_beside(cache.files.root, at)
    kinds = _kinds(cache, hashed, beside=beside)
    stale = _stale(local, wanted, kinds=kinds) if relink else []
    _require(local, [wanted[path] for path in stale])
    gone = [path for path in local.md5s if path not in wanted]
    unsaved = unsaved_files(local, [*gone, *new]) if keep else None
    with open_staging(beside) as names:
        made = {path: wanted[path] for path in (*new, *stale)}
        base = next(names)
        _make(local, made, base=base, kinds=kinds)
        remove(local, gone, unsaved=unsaved, keep=keep)
        place(local, base, paths=made, unsaved=unsaved, keep=keep or Aside(cache.files.root))
    if hashed.md5.endswith(".dir"):
        os.makedirs(local.full(""), exist_ok=True)  # noqa: PTH103
        prune(local.full(""), keep_top=True)
    _note(local, list(made.items()), kind=kinds[""])
    return bool(new or gone)


def _kinds(cache: ObjectCache, hashed: Hashed, *, beside: str) -> dict[str, str]:
    """The kind of link of everything, under the empty path, and of the files that must not share it.

    A link to an executable file would make its object executable.
    """
    kind = link_kind(cache, beside)
    executable = _executable(cache, hashed) if kind in SHARING else ()
    return {"": kind, **dict.fromkeys(executable, "copy")}


def _executable(cache: ObjectCache, hashed: Hashed) -> list[str]:
    return read_exec(cache, hashed.md5) if hashed.md5.endswith(".dir") else [""] * hashed.isexec


def _stale(local: Local, wanted: Mapping[str, str], *, kinds: Mapping[str, str]) -> list[str]:
    """The files with the right content that are another kind of link."""
    return [
        path
        for path, md5 in wanted.items()
        if local.md5s.get(path) == md5
        if not is_linked(local.full(path), _object(local, md5), kind=kinds.get(path, kinds[""]))
    ]


def _make(local: Local, made: Mapping[str, str], *, base: str, kinds: Mapping[str, str]) -> None:
    """Make files as they will lie at the out, but at `base`."""
    for folder in sorted({path.rpartition("/")[0] for path in made if path}):
        os.makedirs(f"{base}/{folder}", exist_ok=True)  # noqa: PTH103
    for path, md5 in made.items():
        target = f"{base}/{path}" if path else base
        link(_object(local, md5), target, kind=kinds.get(path, kinds[""]))


def _note(local: Local, entries: list[tuple[str, str]], *, kind: str) -> None:
    """Nothing just put in place need be hashed again; the links just made changed the stats of the objects."""
    remember_placed(local.cache, local.at, entries, kind=local.kind)
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


def _require(local: Local, md5s: list[str]) -> None:
    missing = unsound_objects(local.cache, md5s, kind=local.kind)
    if missing:
        raise _missing(local.at, missing)


def _missing(at: str, md5s: list[str]) -> NotFoundError:
    named = ", ".join(md5s[:_NAMED]) + ", ..." * (len(md5s) > _NAMED)
    many = "1 object is" if len(md5s) == 1 else f"{len(md5s)} objects are"
    return NotFoundError(at, f"{many} not in the cache: {named}", hint="tidegate fetch")


def _object(local: Local, md5: str) -> str:
    return object_name(local.cache, md5, kind=local.kind)


def _restore_exec(cache: ObjectCache, at: str, hashed: Hashed) -> None:
    """Set the executable bit that DVC records of a single file, and we of those in a directory."""
    plain = [full for path in _executable(cache, hashed) if _is_plain(full := full_path(cache, at, path))]
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
