"""`add --out` and `add --to-remote`: track a copy of data that lie anywhere, here or only in the remote."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidegate.data.cache import add_path, ensure_dvc
from tidegate.data.checkout import checkout
from tidegate.data.hash import Hashed, dir_object, hash_path, list_tree
from tidegate.errors import ConflictError, NotFoundError, UnavailableError, UsageError
from tidegate.flow.follow import UNSEEN, Watch
from tidegate.flow.places import Place, find_places, from_root
from tidegate.flow.track import Adding, Tracking, track
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.stages import is_url

if TYPE_CHECKING:
    from tidegate.data.trip import Trip


class Bringing(NamedTuple):
    """Where a copy goes: to the path `out`, or to a remote alone."""

    out: str = ""
    to_remote: bool = False
    remote: str | None = None
    jobs: int | None = None


def bring(root: Path, asked: Adding, to: Bringing, *, watch: Watch = UNSEEN) -> Tracking:
    """Track one file or directory from anywhere at another path, or in the remote without a copy here.

    Raises ConflictError when something is at that path and `force` is not given, UnavailableError when not all of it
    arrived; nothing is recorded then.
    """
    ensure_dvc(root)
    (word,) = asked.words
    if is_url(word):
        raise UsageError(word, "a URL found, expected a path", hint=f"tidegate import-url {word}")
    with open_project(root) as project:
        source = from_root(project, asked.here, word)
        if not os.path.exists(root / source):  # noqa: PTH110
            raise NotFoundError(word, "does not exist, expected a file or a directory")
        at = _destination(project, asked, to, source=source)
        places = find_places(project, [at], force=asked.force, must_exist=False)
        _refuse_inner(places)
        if to.to_remote:
            places = [place._replace(hide=False) for place in places]
            return track(project, places, lambda place: send(project, source, to, watch=watch), watch=watch)
        watched = project._replace(cache=project.cache._replace(stored=watch.stored))
        return track(
            project, places, lambda place: _copy(watched, source, place, force=asked.force), watch=watch
        )


def _destination(project: Project, asked: Adding, to: Bringing, *, source: str) -> str:
    """The path to track: `out`, or in it when it is a directory; without it beside the source, or here."""
    name = os.path.basename(source)  # noqa: PTH119
    if not to.out:
        is_inside = not source.startswith(("../", "/"))
        return source if is_inside else from_root(project, asked.here, name)
    at = from_root(project, asked.here, to.out)
    if (project.root / at).is_dir():
        at = from_root(project, at, name)
    if os.path.lexists(project.root / at) and not asked.force:
        raise ConflictError(at, "exists already, expected a new path", hint="--force replaces it")
    return at


def _refuse_inner(places: list[Place]) -> None:
    for place in places:
        if place.at != place.top:
            raise UsageError(place.at, f"lies inside `{place.top}`, which is tracked as a whole")


def _copy(project: Project, source: str, place: Place, *, force: bool) -> Hashed:
    hashed = add_path(project.cache, source, link=False)
    (project.root / place.at).parent.mkdir(parents=True, exist_ok=True)
    checkout(project.cache, place.at, hashed, force=force)
    return hashed


def send(project: Project, source: str, to: Bringing, *, watch: Watch) -> Hashed:
    """Store the data in the remote under their hashes, straight from where they lie; a list of files comes last."""
    from tidegate.data.remote import open_remote
    from tidegate.data.staging import open_staging, staging_beside
    from tidegate.data.trip import Trip

    trip = Trip(open_remote(project.config, to.remote), to.jobs, None)
    hashed = _hash(project, source)
    top = os.path.join(project.root, source)  # noqa: PTH118
    if not hashed.md5.endswith(".dir"):
        _carry(trip, {hashed.md5: top}, watch)
    else:
        listed = list_tree(project.files, source)
        _carry(trip, {md5: f"{top}/{path}" for path, md5 in listed}, watch)
        with open_staging(staging_beside(project.root, ".")) as names:
            folder = Path(next(names))
            folder.write_bytes(dir_object(listed))
            _carry(trip, {hashed.md5: str(folder)}, watch)
    if _hash(project, source) != hashed:
        raise UnavailableError(source, "changed while it was sent, expected it at rest", hint="try again")
    return hashed


def _hash(project: Project, source: str) -> Hashed:
    hashed = hash_path(project.files, source)
    if hashed is None:
        raise NotFoundError(source, "does not exist, expected a file or a directory")
    return hashed


def _carry(trip: "Trip", paths: dict[str, str], watch: Watch) -> None:
    """Put these files, by md5, into the remote unless it has them; UnavailableError names what did not arrive."""
    from tidegate.data.keys import object_key
    from tidegate.data.transfer import have

    files = {object_key(md5): path for md5, path in paths.items()}
    there = have(trip.remote, list(files))

    def put(key: str) -> int:
        size = os.stat(files[key]).st_size  # noqa: PTH116
        trip.crew.patiently(lambda: trip.remote.put(files[key], key))
        trip.received(size)
        return size

    sent = trip.carry(put, [key for key in files if key not in there])
    failures = trip.finish(len(there)).failures
    if failures:
        first = failures[0]
        found = f"{len(failures)} of {len(files)} files did not arrive, {first.name}: {first.reason}"
        raise UnavailableError(trip.remote.where, found, hint="try again")
    for key in sent:
        if watch.stored:
            watch.stored(os.stat(files[key]).st_size)  # noqa: PTH116
