"""`push`, `pull`, `fetch` and `status --cloud`: bring recorded data to remotes and back, and compare."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tidegate.data.folders import fetch_folders
from tidegate.data.hash import Hashed
from tidegate.data.objects import has_object, unsound_objects
from tidegate.data.remote import Remote, find_remote, open_remote
from tidegate.data.transfer import compare
from tidegate.data.transfer import fetch as fetch_objects
from tidegate.data.transfer import push as push_objects
from tidegate.data.trip import Failure, Report, Transfer
from tidegate.errors import NotFoundError, TidegateError, UnavailableError
from tidegate.flow.checkout import CheckedOut, How, check_out
from tidegate.flow.wanted import Note, Scope, Wanted, collect, names_of, objects_of
from tidegate.pipeline.project import Project, open_project

_ALL = Scope()


class Trade(NamedTuple):
    """How to exchange data: with which remote instead of the default one, how many at once, the run cache too."""

    remote: str = ""
    jobs: int | None = None
    run_cache: bool = False
    report: Report | None = None
    note: Note = lambda text: None


class Lost(NamedTuple):
    """What could not be brought: its path or name, its md5 if it is an object, and why."""

    where: str
    md5: str
    reason: str


class Synced(NamedTuple):
    """What was moved, how many bytes, what was in place already, and everything that could not be brought."""

    moved: int = 0
    moved_bytes: int = 0
    present: int = 0
    lost: tuple[Lost, ...] = ()

    def plus(self, transfer: Transfer, names: Callable[[Failure], str]) -> "Synced":
        """With one more transfer counted."""
        lost = tuple(Lost(names(one), one.name, one.reason) for one in transfer.failures)
        return self.joined(Synced(transfer.moved, transfer.moved_bytes, transfer.present, lost))

    def joined(self, other: "Synced") -> "Synced":
        """Both together."""
        moved, size = self.moved + other.moved, self.moved_bytes + other.moved_bytes
        return Synced(moved, size, self.present + other.present, self.lost + other.lost)


_USUAL = Trade()


def push(root: Path, scope: Scope = _ALL, trade: Trade = _USUAL) -> Synced:
    """Store in the remotes what they lack, as far as the cache has it; what nobody has is named as lost.

    Raises NotFoundError for an unknown target or remote.
    """
    with open_project(root) as project:
        found = [one for one in _chosen(project, scope, trade) if one.out.push and not one.is_foreign]
        done = _push_runs(project, trade) if trade.run_cache else Synced()
        if trade.run_cache:
            found += _results(project, scope)
        return done.joined(_each_remote(project, found, trade, move=_push_group))


def fetch(root: Path, scope: Scope = _ALL, trade: Trade = _USUAL) -> Synced:
    """Bring into the cache what it lacks or holds damaged, from remotes and from where data were imported."""
    with open_project(root) as project:
        return fetch_into(project, _chosen(project, scope, trade), trade)


def fetch_into(project: Project, found: list[Wanted], trade: Trade) -> Synced:
    """The same for outs that were chosen already."""
    done = _fetch_runs(project, trade) if trade.run_cache else Synced()
    lacking = [one for one in found if not one.is_foreign and not _is_here(project, one)]
    done = done._replace(present=len(found) - len(lacking))
    done = done.joined(_each_remote(project, lacking, trade, move=_fetch_group))
    foreign = [one for one in found if one.is_foreign and not _is_here(project, one)]
    return _fetch_foreign(project, foreign, done) if foreign else done


def pull(
    root: Path, scope: Scope = _ALL, trade: Trade = _USUAL, *, how: How | None = None
) -> tuple[Synced, CheckedOut]:
    """Fetch, then bring the outs of the workspace to their recorded state, as far as everything is there."""
    with open_project(root) as project:
        fetched = fetch_into(project, _chosen(project, scope, trade), trade)
        return fetched, check_out(project, scope, how or How())


def cloud_status(root: Path, scope: Scope = _ALL, trade: Trade = _USUAL) -> dict[str, str]:
    """Where cache and remote differ, by path as seen from where the person stands: new, deleted or missing.

    Lists of directories that only the remote has are brought into the cache, as DVC does.
    """
    with open_project(root) as project:
        found = [one for one in _chosen(project, scope, trade) if one.out.push and not one.is_foreign]
        states: dict[str, str] = {}
        for name, group in _by_remote(found, trade):
            states |= _differences(project, group, open_remote(project.config, name or None), scope.here)
        return states


def _chosen(project: Project, scope: Scope, trade: Trade) -> list[Wanted]:
    """The outs in the cache's care; with a remote named, those bound to another one are left out."""
    if trade.remote:
        find_remote(project.config, trade.remote)
    return [
        one
        for one in collect(project, scope, trade.note)
        if one.out.cache
        if one.hashed or one.is_foreign
        if not trade.remote or one.out.remote in ("", trade.remote)
    ]


def _results(project: Project, scope: Scope) -> list[Wanted]:
    """Metrics and plots that git keeps, but that the run cache needs to restore a stage."""
    found = (one for one in collect(project, scope) if not one.out.cache and one.out.kind != "out")
    return [one for one in found if one.hashed and one.out.push and has_object(project.cache, one.hashed)]


def _by_remote(found: Iterable[Wanted], trade: Trade) -> Iterator[tuple[str, list[Wanted]]]:
    groups: dict[str, list[Wanted]] = {}
    for one in found:
        groups.setdefault(one.out.remote or trade.remote, []).append(one)
    yield from groups.items()


_Move = Callable[[Project, Remote, list[Wanted], Trade], Transfer]


def _each_remote(project: Project, found: list[Wanted], trade: Trade, *, move: _Move) -> Synced:
    """A remote that cannot be reached does not keep the others from their share."""
    done = Synced()
    for name, group in _by_remote(found, trade):
        remote = open_remote(project.config, name or None)
        try:
            transfer = move(project, remote, group, trade)
        except UnavailableError as error:
            done = done._replace(lost=(*done.lost, Lost(error.where, "", error.message)))
            continue
        done = done.plus(transfer, _namer(project, group, transfer))
    return done


def _push_group(project: Project, remote: Remote, group: list[Wanted], trade: Trade) -> Transfer:
    """A directory of which only a part is asked for goes without its own object, which would promise all of it."""
    hashes = _hashes(project, group)
    transfer = push_objects(project.cache, remote, hashes, jobs=trade.jobs, progress=trade.report)
    return _with_lists(project, group, transfer)


def _fetch_group(project: Project, remote: Remote, group: list[Wanted], trade: Trade) -> Transfer:
    narrow = [one.hashed for one in group if one.inner and one.hashed]
    lists = fetch_folders(project.cache, remote, narrow, jobs=trade.jobs) if narrow else Transfer()
    hashes = _hashes(project, group)
    files = fetch_objects(project.cache, remote, hashes, jobs=trade.jobs, progress=trade.report)
    if files.failures:
        # a list whose files did not all arrive is not in the cache yet, but says what they are called
        fetch_folders(project.cache, remote, [hashed for hashed in hashes if hashed.md5.endswith(".dir")])
    return Transfer(
        lists.moved + files.moved,
        lists.moved_bytes + files.moved_bytes,
        files.present,
        (*lists.failures, *files.failures),
    )


def _with_lists(project: Project, group: list[Wanted], transfer: Transfer) -> Transfer:
    """What is inside of a directory cannot be told while the cache lacks its list."""
    narrow = {one.hashed.md5 for one in group if one.inner and one.hashed}
    lacking = unsound_objects(project.cache, narrow) if narrow else []
    failures = tuple(Failure(md5, "missing", "the cache lacks this directory's list") for md5 in lacking)
    return transfer._replace(failures=(*transfer.failures, *failures))


def _hashes(project: Project, group: list[Wanted]) -> list[Hashed]:
    return [hashed for one in group for hashed in objects_of(project.cache, one).values()]


def _is_here(project: Project, one: Wanted) -> bool:
    """Whether the cache holds all that is wanted, undamaged."""
    if one.hashed is None:
        return False
    if one.hashed.md5.endswith(".dir") and unsound_objects(
        project.cache, [one.hashed.md5], kind=one.hashed.kind
    ):
        return False
    names = names_of(project.cache, [one])
    return not unsound_objects(project.cache, [md5 for _, md5 in names], kind=one.hashed.kind)


def _namer(project: Project, group: list[Wanted], transfer: Transfer) -> Callable[[Failure], str]:
    if not transfer.failures:
        return lambda failure: failure.name
    names = {md5: at for (_, md5), at in names_of(project.cache, group).items()}
    outs = {one.hashed.md5: one.out.at for one in group if one.hashed}
    return lambda failure: names.get(failure.name) or outs.get(failure.name) or failure.name


def _differences(project: Project, group: list[Wanted], remote: Remote, here: str) -> dict[str, str]:
    lists = [one.hashed for one in group if one.hashed and one.hashed.md5.endswith(".dir")]
    fetch_folders(project.cache, remote, lists)
    found = compare(project.cache, remote, _hashes(project, group))
    names = {md5: at for (_, md5), at in names_of(project.cache, group, here).items()}
    by_state = {"deleted": found.deleted, "new": found.new, "missing": found.missing}
    return {names.get(md5, md5): state for state, md5s in by_state.items() for md5 in md5s}


def _push_runs(project: Project, trade: Trade) -> Synced:
    from tidegate.data.runs import push_runs

    remote = open_remote(project.config, trade.remote or None)
    done = push_runs(project.cache, remote, jobs=trade.jobs, progress=trade.report)
    return Synced().plus(done, lambda failure: failure.name)


def _fetch_runs(project: Project, trade: Trade) -> Synced:
    from tidegate.data.runs import fetch_runs

    remote = open_remote(project.config, trade.remote or None)
    done = fetch_runs(project.cache, remote, jobs=trade.jobs, progress=trade.report)
    return Synced().plus(done, lambda failure: failure.name)


def _fetch_foreign(project: Project, foreign: list[Wanted], done: Synced) -> Synced:
    """Data imported from other repositories come from there, at the recorded commit."""
    for one in foreign:
        try:
            done = done._replace(moved=done.moved + _bring_import(project, one))
        except TidegateError as error:
            done = done._replace(lost=(*done.lost, Lost(one.out.at, "", f"{error.where}: {error.message}")))
    return done


def _bring_import(project: Project, one: Wanted) -> int:
    """The number of files that are in the cache now."""
    from tidegate.pipeline.imports import fetch_import

    entry = project.lock.get(one.stage)
    if entry is None or entry.outs.get(one.out.path) != one.hashed:
        raise NotFoundError(
            one.stage, "was imported differently at another commit, which has to be checked out"
        )
    hashed = fetch_import(project, project.stages[one.stage])
    if one.hashed and hashed.md5 != one.hashed.md5:
        raise NotFoundError(one.stage, f"the source holds {hashed.md5} now, expected {one.hashed.md5}")
    return 1 if hashed.nfiles is None else hashed.nfiles + 1
