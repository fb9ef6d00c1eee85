"""The watcher: reads what the gateways log, asks the pure judges, writes their verdicts into the ledger.

Run as `python -m tidegate.flow.watch ROOT SUPERVISOR` by the supervisor. Everything it knows it reads again from the
ledger and the prediction log, so it may die at any moment.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from tidegate.domain import Alert, Release
from tidegate.errors import TidegateError
from tidegate.flow.evidence import ReleaseWatch, RolloutWatch, watch_release, watch_rollout
from tidegate.flow.log import Keeper
from tidegate.flow.release import change, move_entries
from tidegate.monitor.decide import Cleared, clear_on_release
from tidegate.monitor.decide import decide as decide_alerts
from tidegate.project import load_config
from tidegate.rollout.decide import Move, abort, decide
from tidegate.rollout.measure import GRACE_S, Evidence
from tidegate.store.layout import Layout
from tidegate.store.ledger import Entry, Ledger, open_ledger
from tidegate.store.lock import hold
from tidegate.store.state import State

TICK_S = 0.2
# of the files that say how many rows a worker's log has lost
GAP = ".dropped"


class Watcher:
    """Follows the ledger: one rollout watch and one release watch at a time."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self._config = load_config(root)
        self._layout = Layout(root)
        self._ledger = ledger
        self._state = State()
        self._rollout: tuple[str, RolloutWatch] | None = None
        self._release: tuple[int, ReleaseWatch] | None = None
        self._log, self._run = self._layout.log, self._layout.run
        self._lost = _lost_rows(self._run)
        self._known: object = None

    def tick(self, now: float) -> None:
        """Look once, and write down what follows; where nothing moved since the last time, nothing does."""
        if self._ledger.head() != self._state.seq:
            self._state = self._ledger.follow(self._state)
        signs = self._signs(now)
        if self._state.rollout is None and signs == self._known:
            return
        self._known = None
        self._steer(now)
        self._monitor(now)
        self._known = signs

    def _signs(self, now: float) -> object:
        """Everything that a verdict about the live release may follow from; a rollout's may follow from time alone."""
        window = float(self._release[1].settings.window) if self._release else 1.0
        closed = int((now - GRACE_S) // window)
        return self._state.seq, _files(self._log), _files(self._run, GAP), self._lost, closed

    def _steer(self, now: float) -> None:
        rollout = self._state.rollout
        if rollout is None:
            self._rollout = None
            return
        if self._rollout is None or self._rollout[0] != rollout.id:
            try:
                self._rollout = (rollout.id, watch_rollout(self._config, self._layout, rollout))
            except TidegateError as error:
                self._carry_out(abort(rollout, now, f"the candidate cannot be served: {error}"), None)
                return
        watch = self._rollout[1]
        evidence = watch.evidence(now)
        move = decide(rollout, evidence, watch.settings, now=now)
        if move:
            self._carry_out(move, evidence)

    def _carry_out(self, move: Move, evidence: Evidence | None) -> None:
        """Append the move unless somebody moved the rollout meanwhile; then look again."""

        def entries_of(state: State) -> list[Entry]:
            return move_entries(move, state, evidence) if state.rollout == self._state.rollout else []

        if change(self._ledger, entries_of):
            say(f"rollout {move.rollout.id} {move.change.replace('_', ' ')}: {move.rollout.because}")

    def _monitor(self, now: float) -> None:
        live = self._state.live
        if live is None:
            return
        if self._release is None or self._release[0] != live.number:
            self._end_alerts(live)
            self._release = (live.number, watch_release(self._config, self._layout, self._state))
        watch = self._release[1]
        lost = _lost_rows(self._run)
        seen = watch.seen(now, dropped=max(0, lost - self._lost))
        self._lost = lost
        alerts = self._state.alerts
        self._note(decide_alerts(alerts, seen, watch.settings, subject=live.endpoint, now=now))

    def _end_alerts(self, live: Release) -> None:
        """What was raised about an earlier release is over."""
        earlier = tuple(alert for alert in self._state.alerts if alert.since < live.at)
        self._note(clear_on_release(earlier, live.endpoint))

    def _note(self, changes: Sequence[Alert | Cleared]) -> None:
        entries = [_entry(one) for one in changes]
        if entries:
            self._ledger.append_all(entries)
        for one in changes:
            say(f"alert {one.kind}: {one.because}" if isinstance(one, Alert) else f"alert {one.kind} is over")


def watch(root: Path, supervisor: int) -> None:
    """Tick until SIGTERM, or until the supervisor is gone."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    layout = Layout(root)
    keeper = Keeper(root, load_config(root).log)
    with (
        hold(layout.run / "watch.lock", what="watch"),
        open_ledger(layout.ledger) as ledger,
        closing(keeper),
    ):
        watcher = Watcher(root, ledger)
        while not stopping.wait(TICK_S) and os.getppid() == supervisor:
            try:
                watcher.tick(time.time())
                keeper.tick(time.time())
            except TidegateError as error:
                # one bad bundle or a busy ledger must not end the watch over the rest
                say(str(error))


def say(text: str) -> None:
    """A line for the service's log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} {text}", file=sys.stderr, flush=True)  # noqa: T201


def _entry(one: Alert | Cleared) -> Entry:
    if isinstance(one, Alert):
        return Entry("alert.raised", one.subject, msgspec.to_builtins(one))
    return Entry("alert.cleared", one.subject, {"kind": one.kind})


def _files(folder: Path, suffix: str = "") -> frozenset[tuple[str, int, int, int]] | None:
    """The files of a folder, with what changes when they are written; None without it, and while a file goes."""
    try:
        with os.scandir(folder) as entries:
            found = [(one.name, one.stat()) for one in entries if one.name.endswith(suffix)]
    except FileNotFoundError:
        return None
    return frozenset((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _lost_rows(run: Path) -> int:
    return sum(int(path.read_text() or 0) for path in run.glob(f"*{GAP}"))


if __name__ == "__main__":
    watch(Path(sys.argv[1]), int(sys.argv[2]))
