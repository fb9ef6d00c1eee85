"""Bring objects of the cache to a remote and back: in parallel, verified, resumable, each failure named.

A directory's object travels after its files, so that its presence implies theirs; yet nobody relies on that:
what is missing beside it is sent again.
"""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from tidegate.data.arrivals import Arrivals, bring, bring_folders, open_arrivals, publish, remember_arrived
from tidegate.data.hash import Hashed
from tidegate.data.keys import is_folder, md5_of, object_key, parts_of, parts_within, unsound_keys
from tidegate.data.objects import ObjectCache
from tidegate.data.remote import Remote
from tidegate.data.trip import Failure, Progress, Report, Transfer, Trip
from tidegate.errors import UnavailableError

__all__ = ["Comparison", "Failure", "Progress", "Report", "Transfer", "compare", "fetch", "push"]


class Comparison(NamedTuple):
    """The md5s that differ between cache and remote: only here, only there, nowhere; and how many agree."""

    new: tuple[str, ...]
    deleted: tuple[str, ...]
    missing: tuple[str, ...]
    same: int


def push(
    cache: ObjectCache,
    remote: Remote,
    wanted: Iterable[Hashed],
    *,
    jobs: int | None = None,
    progress: Report | None = None,
) -> Transfer:
    """Store in the remote what it lacks; a damaged object is moved aside and named, never sent.

    Raises UnavailableError when the remote does not even say what it has.
    """
    trip = Trip(remote, jobs, progress)
    keys = _keys(wanted)
    folders = sorted(filter(is_folder, keys))
    bad = _judge(cache, folders)
    parts = {key: None if key in bad else parts_of(cache, key) for key in folders}
    files = _files(keys, parts)
    there = have(remote, [*files, *folders])
    absent = [key for key in files if key not in there]
    bad |= _judge(cache, absent)
    trip.failures += [failure for key, failure in bad.items() if key not in there]
    sent = _send(cache, trip, [key for key in absent if key not in bad])
    unsent = [key for key in folders if key not in there and key not in bad]
    _send(cache, trip, [key for key in unsent if _is_complete(key, parts[key], there | sent, trip)])
    return trip.finish(len(there))


def fetch(
    cache: ObjectCache,
    remote: Remote,
    wanted: Iterable[Hashed],
    *,
    jobs: int | None = None,
    progress: Report | None = None,
) -> Transfer:
    """Bring into the cache what it lacks or holds damaged; every byte is hashed as it arrives."""
    trip = Trip(remote, jobs, progress)
    keys = _keys(wanted)
    with open_arrivals(cache, trip) as arrivals:
        here, come = bring_folders(arrivals, keys)
        parts = _read_parts(arrivals, here, come)
        files = _files(keys, parts)
        lacking = unsound_keys(cache, files)
        gone = lacking - bring(arrivals, lacking)
        complete = {key for key in come if gone.isdisjoint(parts[key] or ())}
        for key in complete:
            publish(arrivals, key, sync=True)
        remember_arrived(cache, complete)
    return trip.finish(len(files) - len(lacking) + len(here))


def compare(cache: ObjectCache, remote: Remote, wanted: Iterable[Hashed]) -> Comparison:
    """Where each object is, by existence alone; nothing is moved but lists of files that the cache lacks."""
    keys = _keys(wanted)
    there = have(remote, sorted(keys))
    with open_arrivals(cache, Trip(remote, None, None)) as arrivals:
        held, come = bring_folders(arrivals, {key for key in keys if key in there or _exists(cache, key)})
        files = _files(keys, _read_parts(arrivals, held, come))
    there |= have(remote, [key for key in files if key not in keys])
    every = keys.union(files)
    here = {key for key in every if _exists(cache, key)}
    return Comparison(
        new=_md5s(here - there),
        deleted=_md5s(there - here),
        missing=_md5s(every - here - there),
        same=len(here & there),
    )


def have(remote: Remote, keys: list[str]) -> set[str]:
    """Those of the keys that the remote has; UnavailableError when it cannot be asked."""
    try:
        return remote.have(keys)
    except OSError as error:
        hint = "check the address, the network and the credentials, then try again"
        raise UnavailableError(remote.where, error.strerror or str(error), hint=hint) from None


def _keys(wanted: Iterable[Hashed]) -> set[str]:
    return {object_key(hashed.md5, hashed.kind) for hashed in wanted}


def _files(keys: set[str], parts: Mapping[str, list[str] | None]) -> list[str]:
    """In the order of names, so that one folder of the remote is filled after the other."""
    plain = {key for key in keys if not is_folder(key)}
    return sorted(plain.union(*(inner or () for inner in parts.values())))


def _read_parts(arrivals: Arrivals, here: set[str], come: set[str]) -> dict[str, list[str] | None]:
    known = {key: parts_of(arrivals.cache, key) for key in here}
    return known | {key: parts_within(arrivals.part(key), key) for key in come}


def _judge(cache: ObjectCache, keys: list[str]) -> dict[str, Failure]:
    """Those of the cache's objects that cannot be sent, and why not."""
    here = {key for key in keys if _exists(cache, key)}
    damaged = partial(Failure, kind="corrupt", reason="the cache's bytes differ from their name, moved aside")
    missing = partial(Failure, kind="missing", reason="neither in the cache nor in the remote")
    return {
        key: damaged(md5_of(key)) if key in here else missing(md5_of(key))
        for key in sorted(unsound_keys(cache, keys))
    }


def _exists(cache: ObjectCache, key: str) -> bool:
    return os.path.exists(f"{cache.folder}/{key}")  # noqa: PTH110 -- asked for thousands


def _send(cache: ObjectCache, trip: Trip, keys: list[str]) -> set[str]:
    """Store these in the remote, durably; those that have arrived."""

    def one(key: str) -> int:
        source = f"{cache.folder}/{key}"
        size = os.stat(source).st_size  # noqa: PTH116
        trip.crew.patiently(lambda: trip.remote.put(source, key))
        trip.received(size)
        return size

    sent = trip.carry(one, keys)
    if sent and trip.remote.is_buffered:
        os.sync()
    return sent


def _is_complete(key: str, parts: list[str] | None, there: set[str], trip: Trip) -> bool:
    """A list of files without its files would promise too much."""
    if parts is not None and there.issuperset(parts):
        return True
    lacking = (
        f"{len(set(parts) - there)} of its files are not there"
        if parts is not None
        else "it is no list of files"
    )
    trip.failures.append(Failure(md5_of(key), "failed", f"held back, {lacking}"))
    return False


def _md5s(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(md5_of(key) for key in keys))
