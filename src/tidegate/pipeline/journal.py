"""The run in progress, on disk: so that a run cut short is finished, and recorded, by the next one."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple


class Progress(NamedTuple):
    """A run under way: its id, when it began, the stages that ran, and the process group at work."""

    id: str = ""
    started: float = 0.0
    ran: tuple[str, ...] = ()
    group: int = 0
    born: str = ""


class Journal:
    """The file that says how far the run is; gone once the run is recorded elsewhere.

    Opening it after a crash takes up the interrupted run and ends what that run left working.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        left = _read(path)
        self.progress = left if left.ran else Progress()
        if left.born and _born(left.group) == left.born:
            from tidegate.pipeline.execute import stop_group

            stop_group(left.group)

    def begin(self) -> None:
        """Give the run its id before its first stage."""
        if not self.progress.id:
            now = time.time()
            self._write(Progress(new_run_id(now), now))

    def working(self, group: int) -> None:
        """Note the process group now at work."""
        self._write(self.progress._replace(group=group, born=_born(group)))

    def finished(self, stage: str) -> None:
        """Note a stage that ran and is in dvc.lock."""
        ran = dict.fromkeys((*self.progress.ran, stage))
        self._write(self.progress._replace(ran=tuple(ran), group=0, born=""))

    def clear(self) -> None:
        """The run is recorded, or nothing of it is worth recording."""
        self.path.unlink(missing_ok=True)

    def _write(self, progress: Progress) -> None:
        from tidegate.store.files import write_atomic

        self.progress = progress
        write_atomic(self.path, json.dumps(progress._asdict()))


def new_run_id(now: float) -> str:
    """A short id that sorts by time: seconds in base 36, then four characters of chance."""
    return _base36(int(now)) + _base36(int.from_bytes(os.urandom(4)) % 36**4).rjust(4, "0")


def _read(path: Path) -> Progress:
    try:
        plain = json.loads(path.read_bytes())
        return Progress(**{**plain, "ran": tuple(plain["ran"])})
    except (OSError, ValueError, TypeError, KeyError):
        return Progress()


def _born(process: int) -> str:
    """The start time of a process in Linux' clock ticks, to tell it from a later one of the same number."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[19]


def _base36(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + text
    return text or "0"
