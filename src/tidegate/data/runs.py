"""The run cache in a remote: what a stage once made of certain inputs, `runs/K1/K/V`."""

import os

from tidegate.data.arrivals import Arrivals, open_arrivals, publish, receive
from tidegate.data.keys import run_digest
from tidegate.data.objects import ObjectCache
from tidegate.data.remote import Remote
from tidegate.data.transfer import have
from tidegate.data.trip import Report, Transfer, Trip
from tidegate.errors import UnavailableError, UsageError

_ALL = "runs/"


def push_runs(
    cache: ObjectCache, remote: Remote, *, jobs: int | None = None, progress: Report | None = None
) -> Transfer:
    """Store the runs that the remote lacks."""
    trip = Trip(remote, jobs, progress)
    keys = _local_runs(cache)
    there = have(remote, keys)

    def send(key: str) -> int:
        source = f"{cache.folder}/{key}"
        trip.crew.patiently(lambda: remote.put(source, key))
        size = os.stat(source).st_size  # noqa: PTH116
        trip.received(size)
        return size

    trip.carry(send, [key for key in keys if key not in there])
    return trip.finish(len(there))


def fetch_runs(
    cache: ObjectCache, remote: Remote, *, jobs: int | None = None, progress: Report | None = None
) -> Transfer:
    """Bring the runs that the cache lacks."""
    return _fetch(cache, remote, _ALL, trip=Trip(remote, jobs, progress))


def fetch_run(cache: ObjectCache, remote: Remote, key: str) -> Transfer:
    """Bring only the runs with the inputs that `key` stands for."""
    return _fetch(cache, remote, f"{_ALL}{key[:2]}/{key}/", trip=Trip(remote, None, None))


def find_run(remote: Remote, key: str) -> list[str]:
    """The values, as the run cache names them, that the remote has for these inputs."""
    return [found.rpartition("/")[2] for found in _listed(remote, f"{_ALL}{key[:2]}/{key}/")]


def _fetch(cache: ObjectCache, remote: Remote, prefix: str, *, trip: Trip) -> Transfer:
    listed = _listed(remote, prefix)
    lacking = [key for key in listed if not os.path.exists(f"{cache.folder}/{key}")]  # noqa: PTH110
    with open_arrivals(cache, trip) as arrivals:
        trip.carry(lambda key: _bring(arrivals, key), lacking)
    return trip.finish(len(listed) - len(lacking))


def _bring(arrivals: Arrivals, key: str) -> int:
    size = receive(arrivals, key, verify=_is_named_right)
    publish(arrivals, key, mode=0o664 if arrivals.cache.shared else 0o644)
    return size


def _listed(remote: Remote, prefix: str) -> list[str]:
    """Only what looks like a run: a remote may hold anything."""
    try:
        return sorted(key for key in remote.list(prefix) if _is_run(key))
    except OSError as error:
        raise UnavailableError(remote.where, error.strerror or str(error)) from None


def _is_run(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 4 and parts[0] == "runs" and all(part.isalnum() for part in parts[1:])


def _local_runs(cache: ObjectCache) -> list[str]:
    top = f"{cache.folder}/runs"
    start = len(str(cache.folder)) + 1
    found = (f"{folder}/{name}"[start:] for folder, _, names in os.walk(top) for name in names)
    return sorted(filter(_is_run, found))


def _is_named_right(key: str, into: str, _: str) -> bool:
    from tidegate.data.yaml import parse_yaml

    with open(into, "rb") as file:  # noqa: PTH123
        data = file.read()
    try:
        return run_digest(parse_yaml(data.decode(), key)) == key.rpartition("/")[2]
    except (UsageError, UnicodeDecodeError, TypeError):
        return False
