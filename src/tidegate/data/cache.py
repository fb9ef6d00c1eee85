"""DVC's local cache: every file once, named by its md5, read-only; `.dvc/cache/files/md5/ab/cdef...`."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from tidegate.data.hash import Files, Hashed, dir_object, list_tree, md5_file
from tidegate.data.statcache import key_of_stat
from tidegate.errors import UnavailableError

# above this many new objects one sync of the file system is cheaper than one per file
_SYNC_EACH = 64


class ObjectCache(NamedTuple):
    """The cache in `folder`, and the files of the project it serves."""

    folder: Path
    files: Files


def ensure_dvc(root: Path) -> None:
    """Make `.dvc/` as `dvc init` does, unless it is there; outside git DVC must be told so."""
    folder = root / ".dvc"
    if not (folder / "config").exists():
        from tidegate.store.files import write_atomic

        folder.mkdir(exist_ok=True)
        in_git = any((above / ".git").exists() for above in (root, *root.parents))
        write_atomic(folder / ".gitignore", "/config.local\n/tmp\n/cache\n")
        write_atomic(folder / "config", "" if in_git else "[core]\n    no_scm = True\n")


def open_cache(files: Files) -> ObjectCache:
    """The project's cache: `cache.dir` of `.dvc/config.local` or `.dvc/config`, else `.dvc/cache`."""
    dvc = files.root / ".dvc"
    chosen = _configured_dir(dvc / "config.local") or _configured_dir(dvc / "config")
    return ObjectCache(dvc / (chosen or "cache"), files)


def object_path(cache: ObjectCache, md5: str) -> Path:
    """Where the object of this md5 (`.dir` included) lies, there or not."""
    return cache.folder / "files" / "md5" / md5[:2] / md5[2:]


def has_object(cache: ObjectCache, md5: str) -> bool:
    """Whether the object is there; of a directory, whether all its files are, too."""
    if not md5.endswith(".dir"):
        return object_path(cache, md5).exists()
    entries = _read_dir(cache, md5)
    base = f"{cache.folder}/files/md5/"
    return entries is not None and all(os.path.exists(f"{base}{md5[:2]}/{md5[2:]}") for _, md5 in entries)  # noqa: PTH110


def save_object(cache: ObjectCache, path: str, hashed: Hashed) -> None:
    """Copy a file or directory of the project into the cache; what is already there stays.

    A directory's own object comes last, so its presence implies its files. Raises UnavailableError when
    the content changes meanwhile.
    """
    if not hashed.md5.endswith(".dir"):
        _save_files(cache, [(cache.files.root / path, hashed.md5)])
        return
    entries = list_tree(cache.files, path)
    _save_files(cache, [(cache.files.root / path / name, md5) for name, md5 in entries])
    target = object_path(cache, hashed.md5)
    if not target.exists():
        from tidegate.store.files import write_atomic

        write_atomic(target, dir_object(entries))
        target.chmod(0o444)


def restore_object(cache: ObjectCache, path: str, hashed: Hashed) -> bool:
    """Put an object back into the project; False, with nothing changed, when it is missing or damaged.

    A damaged object is deleted, so that it is made anew instead of trusted.
    """
    is_dir = hashed.md5.endswith(".dir")
    entries = (_read_dir(cache, hashed.md5) or []) if is_dir else [("", hashed.md5)]
    if not all(_is_sound(cache, md5) for md5 in (hashed.md5, *(md5 for _, md5 in entries))):
        return False
    target = cache.files.root / path
    remove_path(target)
    if is_dir:
        target.mkdir(parents=True)
    for name, md5 in entries:
        _copy_out(object_path(cache, md5), target / name if name else target)
    if hashed.isexec:
        target.chmod(target.stat().st_mode | 0o100)
    return True


def remove_path(path: Path) -> None:
    """Delete a file, a link or a whole directory; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _configured_dir(config: Path) -> str | None:
    try:
        text = config.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    if "cache" not in text:
        return None
    from configparser import ConfigParser

    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser.get("cache", "dir", fallback=None)


def _read_dir(cache: ObjectCache, md5: str) -> list[tuple[str, str]] | None:
    """Path and md5 of each file of a directory object; None when it is missing or unreadable."""
    try:
        listed = json.loads(object_path(cache, md5).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return [(entry["relpath"], entry["md5"]) for entry in listed]


def _save_files(cache: ObjectCache, sources: list[tuple[Path, str]]) -> None:
    new = [(source, md5) for source, md5 in sources if not object_path(cache, md5).exists()]
    sync_each = len(new) <= _SYNC_EACH
    for source, md5 in new:
        _save_file(source, object_path(cache, md5), sync=sync_each)
    if not sync_each:
        os.sync()


def _save_file(source: Path, target: Path, *, sync: bool) -> None:
    """The temporary name follows from the object's, so a killed copy is overwritten, not left over."""
    before = key_of_stat(source.stat())
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = target.with_name(f".{target.name}.tmp")
    copy.unlink(missing_ok=True)
    _copy_file(source, copy)
    if key_of_stat(source.stat()) != before:
        copy.unlink()
        raise UnavailableError(str(source), "changed while it was saved", hint="tidegate repro")
    if sync:
        _sync(copy)
    copy.chmod(0o444)
    copy.rename(target)


def _copy_out(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = target.with_name(f".{target.name}.tmp")
    _copy_file(source, copy)
    copy.rename(target)


def _copy_file(source: Path, target: Path) -> None:
    import shutil

    shutil.copyfile(source, target)


def _is_sound(cache: ObjectCache, md5: str) -> bool:
    path = object_path(cache, md5)
    if not path.exists():
        return False
    if md5_file(path) == md5.removesuffix(".dir"):
        return True
    path.unlink()
    return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
