"""Remember what was computed from a file for as long as its stat says that nobody touched it."""

import json
import os
import time
from pathlib import Path
from typing import Any

# a change this soon after a read may leave the same timestamp, so such a read is not remembered
_CLOCK_GRAIN_NS = 20_000_000


class StatCache:
    """Values by kind and name in one JSON file, each valid only while its key is still the file's.

    Losing or tearing the file costs time, never correctness.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = False
        self._started = time.time_ns()
        try:
            self._entries: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            self._entries = {}

    def key_of(self, path: Path) -> str:
        """The key of a file as it is now; FileNotFoundError when there is none."""
        return key_of_stat(path.stat())

    def get(self, kind: str, name: str, key: str) -> Any:
        """The value remembered under this very key, or None."""
        entry = self._entries.get(f"{kind} {name}")
        return entry[1] if entry and entry[0] == key else None

    def put(self, kind: str, name: str, *, key: str, value: Any) -> None:
        """Remember a value, unless the file changed so lately that its key proves nothing."""
        if is_settled(key, self._started):
            self._entries[f"{kind} {name}"] = [key, value]
            self._changed = True

    def save(self) -> None:
        """Write what is new, atomically."""
        if not self._changed:
            return
        from tidegate.store.files import write_atomic

        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, json.dumps(self._entries))
        self._changed = False


def key_of_stat(stat: os.stat_result) -> str:
    """Size, times of change and inode; ctime also betrays a restored mtime."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def is_settled(key: str, now_ns: int) -> bool:
    """Whether a change after `now_ns` would be visible in the key."""
    _, modified, changed, _ = key.split(" ")
    return max(int(modified), int(changed)) + _CLOCK_GRAIN_NS < now_ns
