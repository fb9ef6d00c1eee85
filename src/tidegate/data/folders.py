"""Directories known only by their object: bring that alone, and look at a part of what it lists."""

from collections.abc import Iterable

from tidegate.data.arrivals import bring_folders, open_arrivals, publish, remember_arrived
from tidegate.data.execbits import read_exec, write_exec
from tidegate.data.hash import Hashed, dir_object, md5_bytes
from tidegate.data.keys import object_key
from tidegate.data.objects import ObjectCache, object_path, read_tree
from tidegate.data.remote import Remote
from tidegate.data.trip import Transfer, Trip


def fetch_folders(
    cache: ObjectCache, remote: Remote, wanted: Iterable[Hashed], *, jobs: int | None = None
) -> Transfer:
    """Bring the objects of directories that the cache lacks, without the files that they list."""
    trip = Trip(remote, jobs, None)
    keys = {object_key(hashed.md5, hashed.kind) for hashed in wanted}
    with open_arrivals(cache, trip) as arrivals:
        here, come = bring_folders(arrivals, keys)
        for key in come:
            publish(arrivals, key, sync=True)
        remember_arrived(cache, come)
    return trip.finish(len(here))


def part_of(cache: ObjectCache, hashed: Hashed, inner: str) -> list[tuple[str, Hashed]] | None:
    """The files of a directory at or below the path `inner`, from there; None when its object is not there."""
    entries = read_tree(cache, hashed)
    if entries is None:
        return None
    executable = set(read_exec(cache, hashed.md5))
    start = len(inner) + 1
    return [
        (path[start:], Hashed(md5, 0, isexec=path in executable, kind=hashed.kind))
        for path, md5 in entries
        if path == inner or path.startswith(f"{inner}/")
    ]


def save_part(cache: ObjectCache, files: list[tuple[str, Hashed]], kind: str) -> Hashed:
    """Make an object of a part of a directory, so that the part can be checked out by itself."""
    listed = dir_object([(path, hashed.md5) for path, hashed in files])
    md5 = f"{md5_bytes(listed)}.dir"
    place = object_path(cache, md5, kind=kind)
    if not place.exists():
        from tidegate.store.files import write_atomic

        write_atomic(place, listed)
        place.chmod(0o444)
    write_exec(cache, md5, [path for path, hashed in files if hashed.isexec])
    return Hashed(md5, 0, len(files), kind=kind)
