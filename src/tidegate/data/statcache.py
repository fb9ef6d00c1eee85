"""Remember what was computed from a file for as long as its stat says that nobody touched it."""

import json
import os
import time
from _thread import get_ident
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

# the kernel stamps files with the time of its last tick, at most this long ago
_TICK_NS = 20_000_000
# file systems that count in whole seconds (or two) stamp that much earlier
_COARSE_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000
_MD5_LENGTH = 32
_ROWS_A_LINE = 1000


class StatCache:
    """Values by kind and name in one JSON file, each valid only while its key is still the file's.

    Losing or tearing the file costs time, never correctness.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = time.time_ns()
        self._new: dict[str, Any] = {}
        self._entries = _read_object(path)
        self._read_at = _stamp(path)

    def key_of(self, path: Path) -> str:
        """The key of a file as it is now; FileNotFoundError when there is none."""
        return key_of_stat(path.stat())

    def get(self, kind: str, name: str, key: str) -> Any:
        """The value remembered under this very key, or None."""
        match self._entries.get(f"{kind} {name}"):
            case [remembered, value] if remembered == key:
                return value
        return None

    def put(self, kind: str, name: str, *, key: str, value: Any) -> None:
        """Remember a value, unless the file changed after this memory was opened: its key may prove nothing."""
        if is_settled(key, self._opened):
            self.put_settled(kind, name, key=key, value=value)

    def put_settled(self, kind: str, name: str, *, key: str, value: Any) -> None:
        """Remember a value whose key was settled, as `is_settled` says, before the file was read."""
        self._entries[f"{kind} {name}"] = self._new[f"{kind} {name}"] = [key, value]

    def save(self) -> None:
        """Write what is new, atomically, beside what another process saved meanwhile."""
        if not self._new:
            return
        if _stamp(self.path) != self._read_at:
            self._entries = {**_read_object(self.path), **self._new}
        _replace(self.path, [self._entries])
        self._new = {}
        self._read_at = _stamp(self.path)


class TreeRows:
    """The md5 of each file in one directory, in a file of its own that is read only when the directory changed.

    A row is one string, `md5 key`, and a line of the file holds a thousand of them as JSON: the fastest form that
    survives being torn, and 100,000 rows never lie in memory twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Any] = {}
        self._is_changed = False
        with suppress(OSError), path.open("rb") as lines:
            for line in lines:
                self._rows.update(_parse_object(line))

    def get(self, name: str, key: str) -> str | None:
        """The md5 remembered under this very key, or None."""
        row = self._rows.get(name)
        if isinstance(row, str) and row[_MD5_LENGTH:] == f" {key}":
            return row[:_MD5_LENGTH]
        return None

    def put_settled(self, name: str, *, key: str, md5: str) -> None:
        """Remember the md5 of a file whose key was settled, as `is_settled` says, before the file was read."""
        self._rows[name] = f"{md5} {key}"
        self._is_changed = True

    def keep(self, names: Iterable[str]) -> None:
        """Forget the files that are gone."""
        gone = self._rows.keys() - set(names)
        for name in gone:
            del self._rows[name]
        self._is_changed = self._is_changed or bool(gone)

    def save(self) -> None:
        """Replace the file, if anything changed."""
        if self._is_changed:
            rows = iter(self._rows.items())
            _replace(self.path, iter(lambda: dict(islice(rows, _ROWS_A_LINE)), {}))
        self._is_changed = False


def key_of_stat(stat: os.stat_result) -> str:
    """Size, times of change and inode; ctime, which nobody can set, also betrays a restored mtime."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def is_settled(key: str, now_ns: int) -> bool:
    """Whether every change after `now_ns` shows in the key: its ctime is older than the clock's grain."""
    return settles_at(key) < now_ns


def settles_at(key: str) -> int:
    """The time, in ns, after which a change shows in the key."""
    changed = int(key.split(" ")[2])
    return changed + (_TICK_NS if changed % _SECOND_NS else _COARSE_NS)


def _replace(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Replace the file whole, without a sync: after a crash it may be torn, which only costs time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.tmp")
    try:
        with temporary.open("w", encoding="ascii") as file:
            for value in objects:
                file.write(f"{json.dumps(value, separators=(',', ':'))}\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return _parse_object(path.read_bytes())
    except OSError:
        return {}


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _stamp(path: Path) -> str:
    try:
        return key_of_stat(path.stat())
    except OSError:
        return ""
