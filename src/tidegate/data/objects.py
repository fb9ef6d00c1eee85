"""DVC's local cache as it lies on disk: every file once, named by its md5, read-only."""

import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tidegate.data.hash import Files, Hashed
from tidegate.data.md5 import MD5, md5_file
from tidegate.store.layout import Layout

_SHARED_FOLDER = 0o2775


class ObjectCache(NamedTuple):
    """The cache in `folder`, the files of the project it serves, and how these are linked from it.

    `stored` is told the size of each file that was saved.
    """

    folder: Path
    files: Files
    links: tuple[str, ...] = ("reflink", "copy")
    shared: bool = False
    stored: Callable[[int], None] | None = None


def open_cache(files: Files) -> ObjectCache:
    """The project's cache, as DVC's configuration has it."""
    from tidegate.data.config import load_dvc_config

    chosen = load_dvc_config(files.root).cache
    return ObjectCache(chosen.dir, files, chosen.types, chosen.shared)


def object_path(cache: ObjectCache, md5: str, *, kind: str = MD5) -> Path:
    """Where the object of this md5 (`.dir` included) lies, there or not; DVC 2 had a layout of its own."""
    return Path(object_name(cache, md5, kind=kind))


def object_name(cache: ObjectCache, md5: str, *, kind: str = MD5) -> str:
    """The path of an object as text, for those who ask for thousands."""
    inner = "/files/md5" if kind == MD5 else ""
    return f"{cache.folder}{inner}/{md5[:2]}/{md5[2:]}"


def has_object(cache: ObjectCache, hashed: Hashed) -> bool:
    """Whether the object is there; of a directory, whether all its files are, too."""
    return not missing_objects(cache, hashed)


def missing_objects(cache: ObjectCache, hashed: Hashed) -> list[str]:
    """The md5s of the objects that are not there, be it the directory's own or those of its files."""
    entries = read_tree(cache, hashed)
    if entries is None:
        return [hashed.md5]
    md5s = dict.fromkeys([md5 for _, md5 in entries])
    return [md5 for md5 in md5s if not os.path.exists(object_name(cache, md5, kind=hashed.kind))]  # noqa: PTH110


def read_tree(cache: ObjectCache, hashed: Hashed) -> list[tuple[str, str]] | None:
    """Path and md5 of each file of a directory; of a plain file itself, under the empty path.

    None when the directory's object is missing or is none, such as one that names files outside.
    """
    if not hashed.md5.endswith(".dir"):
        return [("", hashed.md5)]
    try:
        with open(object_name(cache, hashed.md5, kind=hashed.kind), "rb") as file:  # noqa: PTH123
            listed = json.loads(file.read())
        entries = [(entry["relpath"], entry["md5"]) for entry in listed]
        is_safe = all(_is_inside(path) and md5.isalnum() for path, md5 in entries)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return entries if is_safe else None


def is_sound(cache: ObjectCache, md5: str, *, kind: str = MD5) -> bool:
    """Whether the object is there and holds what its name says; see `unsound_objects`."""
    return not unsound_objects(cache, [md5], kind=kind)


def unsound_objects(cache: ObjectCache, md5s: Iterable[str], *, kind: str = MD5) -> list[str]:
    """Those of the objects that are missing or damaged, in order.

    What was verified once is not hashed again until its stat changes. A damaged object is moved aside, never
    used, so that it is fetched or made anew.
    """
    from tidegate.data.sound import known_sound, remember_sound

    paths = {object_name(cache, md5, kind=kind): md5 for md5 in md5s}
    seen = {path: status for path in paths if (status := _stat(path))}
    sound = known_sound(sound_table(cache), seen)
    verified = {
        path: status
        for path, status in seen.items()
        if path not in sound and md5_file(path, kind) == paths[path].removesuffix(".dir")
    }
    remember_sound(sound_table(cache), verified)
    _move_aside(cache, [path for path in seen if path not in sound and path not in verified])
    return [md5 for path, md5 in paths.items() if path not in sound and path not in verified]


def sound_table(cache: ObjectCache) -> Path:
    """Where it is noted which objects were verified."""
    return Layout(cache.files.root).state / "cache" / "sound.db"


def make_folder(cache: ObjectCache, folder: str) -> None:
    """Make a folder of the cache and those above it; a shared cache lets the whole group write."""
    if os.path.isdir(folder):  # noqa: PTH112
        return
    make_folder(cache, os.path.dirname(folder))  # noqa: PTH120
    try:
        os.mkdir(folder)  # noqa: PTH102
    except FileExistsError:
        return
    if cache.shared:
        os.chmod(folder, _SHARED_FOLDER)  # noqa: PTH101


def _is_inside(path: str) -> bool:
    return bool(path) and not any(part in ("", ".", "..") for part in path.split("/"))


def _stat(path: str) -> os.stat_result | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _move_aside(cache: ObjectCache, paths: list[str]) -> None:
    if not paths:
        return
    from tidegate.data.aside import Aside

    aside = Aside(cache.files.root)
    for path in paths:
        aside.take(path, f"cache/{os.path.relpath(path, cache.folder)}")
