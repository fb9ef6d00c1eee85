"""The run in progress, on disk: so that a run cut short is finished, and recorded, by the next one."""

import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import TidegateError


class Progress(NamedTuple):
    """A run under way.

    Its id, when it began, the stages that ran, the process group of each stage at work with the group's birth,
    and what failed commands left behind: a stat key by path.
    """

    id: str = ""
    started: float = 0.0
    ran: tuple[str, ...] = ()
    groups: Mapping[str, tuple[int, str]] = {}
    debris: Mapping[str, str] = {}


class Journal:
    """The file that says how far the run is; gone once the run is recorded elsewhere.

    Opening it after a crash takes up the interrupted run and ends what that run left working.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._is_over = False
        left = _read(path)
        self.progress = Progress(debris=left.debris) if not left.ran else left._replace(groups={})
        _stop(left.groups)

    def begin(self) -> None:
        """Give the run its id before its first stage."""
        with self._guard:
            if not self.progress.id:
                now = time.time()
                self._write(self.progress._replace(id=new_run_id(now), started=now))

    def working(self, stage: str, group: int) -> None:
        """Note the process group now at work for a stage; TidegateError when the run is being ended."""
        with self._guard:
            if self._is_over:
                raise TidegateError(f"stage `{stage}`", "ended with the run")
            groups = {**self.progress.groups, stage: (group, _born(group))}
            self._write(self.progress._replace(groups=groups))

    def finished(self, stage: str) -> None:
        """Note a stage that ran and is in dvc.lock."""
        with self._guard:
            ran = tuple(dict.fromkeys((*self.progress.ran, stage)))
            self._write(self.progress._replace(ran=ran, groups=_without(self.progress.groups, stage)))

    def failed(self, stage: str, debris: Mapping[str, str]) -> None:
        """Note what the failed commands of a stage left in the places of its outs."""
        with self._guard:
            groups = _without(self.progress.groups, stage)
            self._write(self.progress._replace(groups=groups, debris={**self.progress.debris, **debris}))

    def stop(self) -> None:
        """End every process group at work, and any that is just starting."""
        with self._guard:
            self._is_over = True
        _stop(self.progress.groups)

    def clear(self) -> None:
        """The run is recorded, or nothing of it is worth recording; what failed runs left is still known."""
        if self.progress.debris:
            self._write(Progress(debris=self.progress.debris))
        else:
            self.path.unlink(missing_ok=True)

    def _write(self, progress: Progress) -> None:
        from tidegate.store.files import overwrite

        self.progress = progress
        # processes do not outlive a power cut, and dvc.lock says what is done: no fsync
        overwrite(self.path, json.dumps(progress._asdict()))


def new_run_id(now: float) -> str:
    """A short id that sorts by time: seconds in base 36, then four characters of chance."""
    return _base36(int(now)) + _base36(int.from_bytes(os.urandom(4)) % 36**4).rjust(4, "0")


def _without(groups: Mapping[str, tuple[int, str]], stage: str) -> dict[str, tuple[int, str]]:
    return {name: group for name, group in groups.items() if name != stage}


def _stop(groups: Mapping[str, tuple[int, str]]) -> None:
    """Only processes that are still those noted: a number may have gone to another one since."""
    for group, born in groups.values():
        if born and _born(group) == born:
            from tidegate.pipeline.execute import stop_group

            stop_group(group)


def _read(path: Path) -> Progress:
    try:
        plain = json.loads(path.read_bytes())
        groups = {stage: (int(group), str(born)) for stage, (group, born) in plain["groups"].items()}
        return Progress(**{**plain, "ran": tuple(plain["ran"]), "groups": groups})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
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
