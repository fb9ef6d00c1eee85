"""A table as it was at a git revision: from git itself, or from DVC's cache through what that revision recorded."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tidegate.data.config import load_dvc_config
from tidegate.data.yaml import parse_yaml
from tidegate.errors import NotFoundError
from tidegate.store.git import read_files, resolve_commit

LOCK = "dvc.lock"


def table_at(root: Path, revision: str, path: str, *, folder: Path) -> Path:
    """Make the file at `path` of this revision readable below `folder`, under its own name.

    Raises UsageError for an unknown revision and NotFoundError for a path that it does not hold, or whose
    object is not in the cache.
    """
    commit = resolve_commit(root, revision)
    places = [path, *(str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")]
    files = read_files(root, commit, [path, LOCK, *(f"{place}.dvc" for place in places)])
    into = folder / PurePosixPath(path).name
    if path in files:
        into.write_bytes(files[path])
        return into
    for place, md5 in _outs(files):
        if place in places:
            into.symlink_to(_object(root, md5, path, inner=path[len(place) + 1 :]))
            return into
    raise NotFoundError(f"{revision}:{path}", "neither git nor dvc holds it there", hint="git log -- PATH")


def _outs(files: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Path and md5 of every output that the `.dvc` files and the lock file of a revision name."""
    for name, data in files.items():
        document = parse_yaml(data.decode(errors="replace"), name) if name.endswith((LOCK, ".dvc")) else None
        if not isinstance(document, dict):
            continue
        folder = PurePosixPath(name).parent
        stages = document.get("stages") or {} if name == LOCK else {"": document}
        for stage in stages.values():
            yield from (
                (str(folder / out["path"]), out["md5"]) for out in stage.get("outs") or () if "md5" in out
            )


def _object(root: Path, md5: str, path: str, *, inner: str) -> Path:
    cache = Path(load_dvc_config(root).cache.dir)
    found = _stored(cache, md5, path)
    if not md5.endswith(".dir"):
        return found
    entries: list[dict[str, Any]] = json.loads(found.read_bytes())
    md5s = {entry["relpath"]: entry["md5"] for entry in entries}
    if inner not in md5s:
        raise NotFoundError(path, "not in the directory that dvc recorded")
    return _stored(cache, md5s[inner], path)


def _stored(cache: Path, md5: str, path: str) -> Path:
    """Where an object lies, in the layout of DVC 3 or of DVC 2."""
    for folder in (cache / "files" / "md5", cache):
        found = folder / md5[:2] / md5[2:]
        if found.is_file():
            return found.resolve()
    raise NotFoundError(path, f"object {md5[:12]} is not in the cache", hint="dvc fetch --all-commits")
