"""Which files inside a directory are executable: DVC keeps that only of single files, we beside its objects.

The list of a directory lies in `<cache>/tidegate/exec/<md5>.json`, where DVC sees no object, and exists only
when there is something in it.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tidegate.data.objects import ObjectCache, make_folder


def read_exec(cache: ObjectCache, md5: str) -> list[str]:
    """The paths of the executable files in the directory with this md5, as far as it is known."""
    try:
        listed = json.loads(_path(cache, md5).read_bytes())
    except (FileNotFoundError, ValueError):
        return []
    return [path for path in listed if isinstance(path, str)] if isinstance(listed, list) else []


def write_exec(cache: ObjectCache, md5: str, paths: Iterable[str]) -> None:
    """Note the executable files of a directory that was saved."""
    wanted = sorted(paths)
    if wanted == read_exec(cache, md5):
        return
    place = _path(cache, md5)
    if not wanted:
        place.unlink(missing_ok=True)
        return
    from tidegate.store.files import write_atomic

    make_folder(cache, str(place.parent))
    write_atomic(place, json.dumps(wanted))


def _path(cache: ObjectCache, md5: str) -> Path:
    return cache.folder / "tidegate" / "exec" / f"{md5}.json"
