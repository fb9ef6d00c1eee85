"""DVC's own locks, so that dvc and tidegate can work in one repository at the same moment.

`.dvc/tmp/lock` guards the repository for the length of a command. While a stage's commands run it is free, and
`.dvc/tmp/rwlock` says which process reads and writes which paths. An entry counts for as long as a process with
its number lives, even one that took the number of a dead one: like DVC, it cannot tell the two apart.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.errors import ConflictError
from tidegate.store.lock import Tell, describe, holder_of, try_flock, write_holder

POLL_S = 0.02
_YEAR_S = 365 * 24 * 3600
# an entry must go even when others are busy with the file just then
_RELEASE_WAIT_S = 60.0


class DvcLocks(NamedTuple):
    """Where the locks of a repository are and how long to wait for them.

    `tell` hears whom it waits for; `hardlink` is DVC's `core.hardlink_lock`, for file systems without flock.
    """

    root: Path
    wait_s: float = 10.0
    tell: Tell | None = None
    hardlink: bool = False

    @property
    def folder(self) -> Path:
        """DVC's folder of things that do not last."""
        return self.root / ".dvc" / "tmp"


class Claim(NamedTuple):
    """What a command is going to read and write: paths from the root, absolute ones, or URLs."""

    cmd: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


class _Entry(NamedTuple):
    """One line of the rwlock: a process and what it does with a path."""

    pid: int
    cmd: str
    mode: str
    path: str


def repo_lock(locks: DvcLocks) -> AbstractContextManager[None]:
    """Hold the repository as a dvc command does; ConflictError names the holder when the wait ends."""
    return _guard(locks, "lock", "it holds the repository")


@contextmanager
def rwlock(locks: DvcLocks, claim: Claim) -> Iterator[None]:
    """Let others know what is read and written while the block runs, and keep out of what they do.

    Waits until no other process writes what is read, or touches what is written; paths collide when one is the
    other or holds it. Raises ConflictError, naming process and path, when the wait ends. Claims of the same
    process never collide: keeping its own work apart is the caller's task.
    """
    locks = locks._replace(root=locks.root.resolve())
    mine = _entries_of(locks.root, claim)
    wait = _Wait(locks)
    while blocker := _try_claim(locks, mine):
        wait.on(*_blocked(locks.root, blocker))
    try:
        yield
    finally:
        with _edit_rwlock(locks._replace(wait_s=_RELEASE_WAIT_S)) as entries:
            for entry in mine:
                if entry in entries:
                    entries.remove(entry)


class _Wait:
    """A bounded wait that says once whom it waits for."""

    def __init__(self, locks: DvcLocks) -> None:
        self._locks = locks
        self._deadline = time.monotonic() + locks.wait_s
        self._told = ""

    def on(self, holder: str, doing: str, hint: str) -> None:
        """Sleep a moment; ConflictError when the time is over."""
        if time.monotonic() >= self._deadline:
            raise ConflictError(".dvc", f"{holder} is at work, {doing}", hint=hint)
        said = f"waiting for {holder}, {doing}"
        if self._locks.tell and said != self._told:
            self._locks.tell(said)
        self._told = said
        time.sleep(POLL_S)


def _try_claim(locks: DvcLocks, mine: list[_Entry]) -> _Entry | None:
    """Add the entries unless another process is in the way: that one's entry. The dead are forgotten."""
    with _edit_rwlock(locks) as entries:
        rivals = [entry for entry in entries if _is_rival(entry, mine)]
        for entry in rivals:
            if not _is_alive(entry.pid):
                entries.remove(entry)
        alive = [entry for entry in rivals if entry in entries]
        if not alive:
            entries.extend(mine)
        return alive[0] if alive else None


def _is_rival(entry: _Entry, mine: list[_Entry]) -> bool:
    """Whether an entry of another process collides with ours; reading together is fine."""
    return entry.pid != os.getpid() and any(
        "write" in (entry.mode, one.mode) and _overlap(entry.path, one.path) for one in mine
    )


def _overlap(one: str, other: str) -> bool:
    shorter, longer = sorted((one.rstrip("/"), other.rstrip("/")), key=len)
    return longer == shorter or longer.startswith(f"{shorter}/")


def _entries_of(root: Path, claim: Claim) -> list[_Entry]:
    pid = os.getpid()
    reads = [_Entry(pid, claim.cmd, "read", _absolute(root, at)) for at in dict.fromkeys(claim.read)]
    return [_Entry(pid, claim.cmd, "write", _absolute(root, at)) for at in dict.fromkeys(claim.write)] + reads


def _absolute(root: Path, at: str) -> str:
    return at if "://" in at else os.path.normpath(os.path.join(root, at))  # noqa: PTH118 -- `..` by its text


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _blocked(root: Path, entry: _Entry) -> tuple[str, str, str]:
    path = os.path.relpath(entry.path, root) if entry.path.startswith(f"{root}/") else entry.path
    hint = "wait for it; if no such process runs, remove .dvc/tmp/rwlock"
    return describe(entry.pid, entry.cmd), f"it {entry.mode}s {path}", hint


@contextmanager
def _edit_rwlock(locks: DvcLocks) -> Iterator[list[_Entry]]:
    """All entries to change in place; written back whole, or not at all when the block raises."""
    with _guard(locks._replace(tell=None), "rwlock.lock", "it edits .dvc/tmp/rwlock"):
        path = locks.folder / "rwlock"
        entries = _read_entries(path)
        before = list(entries)
        yield entries
        if entries != before:
            from tidegate.store.files import overwrite

            # no fsync, because nothing here outlives a crash of the machine
            overwrite(path, json.dumps(_as_plain(entries)))


def _read_entries(path: Path) -> list[_Entry]:
    try:
        return list(_parsed(json.loads(path.read_bytes())))
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, AttributeError):
        hint = f"once no dvc and no tidegate runs here: rm {path}"
        raise ConflictError(".dvc/tmp/rwlock", "torn by a killed dvc, expected its list", hint=hint) from None


def _parsed(plain: Any) -> Iterator[_Entry]:
    for path, info in plain.get("write", {}).items():
        yield _Entry(int(info["pid"]), str(info["cmd"]), "write", path)
    for path, infos in plain.get("read", {}).items():
        for info in infos:
            yield _Entry(int(info["pid"]), str(info["cmd"]), "read", path)


def _as_plain(entries: Iterable[_Entry]) -> dict[str, Any]:
    """DVC's form: one writer a path, any number of readers; empty parts left out."""
    plain: dict[str, Any] = {}
    for entry in entries:
        info = {"pid": entry.pid, "cmd": entry.cmd}
        if entry.mode == "write":
            plain.setdefault("write", {})[entry.path] = info
        else:
            plain.setdefault("read", {}).setdefault(entry.path, []).append(info)
    return plain


@contextmanager
def _guard(locks: DvcLocks, name: str, doing: str) -> Iterator[None]:
    locks.folder.mkdir(parents=True, exist_ok=True)
    take = _take_hardlink if locks.hardlink else _take_flock
    release = take(locks, locks.folder / name, doing)
    try:
        yield
    finally:
        release()


def _take_flock(locks: DvcLocks, path: Path, doing: str) -> Callable[[], None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    wait = _Wait(locks)
    try:
        while not try_flock(handle):
            wait.on(describe(holder_of(handle)), doing, "wait for it")
        write_holder(handle, f" {os.getpid()}\n")
    except BaseException:
        os.close(handle)
        raise
    return lambda: os.close(handle)


def _take_hardlink(locks: DvcLocks, path: Path, doing: str) -> Callable[[], None]:
    """The lock is a second name of our own file; its time of change says until when it is ours."""
    import secrets
    import socket

    claim = path.with_name(f"{path.name}|{socket.gethostname()}|{os.getpid()}|{secrets.randbits(62)}")
    claim.write_text(str(claim))
    expires = time.time() + _YEAR_S
    os.utime(claim, (expires, expires))
    wait = _Wait(locks)
    try:
        while not _try_link(claim, path):
            wait.on(describe(_linked_holder(path)), doing, f"wait for it; if nobody is at work, rm {path}")
    except BaseException:
        claim.unlink()
        raise

    def release() -> None:
        path.unlink(missing_ok=True)
        claim.unlink(missing_ok=True)

    return release


def _try_link(claim: Path, path: Path) -> bool:
    try:
        path.hardlink_to(claim)
    except FileExistsError:
        return False
    return True


def _linked_holder(path: Path) -> int | None:
    """The process in a claim of ours; DVC's claims are named by a digest that tells nothing."""
    try:
        parts = path.read_text().split("|")
    except OSError:
        return None
    return int(parts[2]) if len(parts) == 4 and parts[2].isdecimal() else None
