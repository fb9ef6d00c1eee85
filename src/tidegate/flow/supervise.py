"""The supervisor of a service's processes: each is started again when it dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import NamedTuple

from tidegate.store.files import write_atomic
from tidegate.store.layout import Layout

POLL_S = 0.1
IDLE_S = 5.0
QUICK_DEATH_S = 10.0
LONGEST_PAUSE_S = 5.0

SUPERVISOR = "supervisor"


class Child(NamedTuple):
    """A running process of the service, how often in a row it died young, and when it may start again."""

    process: "subprocess.Popen[bytes] | None"
    born: float
    deaths: int
    due: float


def supervise(
    layout: Layout, commands: Mapping[str, list[str]], listening: socket.socket, *, stop_s: float
) -> None:
    """Run the children until SIGTERM or SIGINT, then give them `stop_s` to end."""
    # a handler may put while somebody gets; in the wrong moment setting an Event would wait for itself
    heard: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda number, _: heard.put(number))
    _empty_counts(layout)
    _write_pid(layout, SUPERVISOR, os.getpid())
    children = {name: Child(None, 0.0, 0, 0.0) for name in commands}
    try:
        while _next_signal(heard, children) in (None, signal.SIGCHLD):
            for name, words in commands.items():
                start = _Start(layout, name, words, listening)
                children[name] = _keep_alive(children[name], start, now=time.monotonic())
    finally:
        _stop_all(children, stop_s)
        for name in (SUPERVISOR, *commands):
            (layout.run / f"{name}.pid").unlink(missing_ok=True)


def _next_signal(heard: SimpleQueue[int], children: Mapping[str, Child]) -> int | None:
    """What signal came, such as that of a child's death; None after a while, which is short for one to be started."""
    is_due = any(child.process is None for child in children.values())
    try:
        return heard.get(timeout=POLL_S if is_due else IDLE_S)
    except Empty:
        return None


class _Start(NamedTuple):
    """How to start a child."""

    layout: Layout
    name: str
    words: list[str]
    listening: socket.socket

    def __call__(self) -> "subprocess.Popen[bytes]":
        handles = (self.listening.fileno(),)
        process = subprocess.Popen(self.words, pass_fds=handles, stdin=subprocess.DEVNULL)
        _write_pid(self.layout, self.name, process.pid)
        return process


def _keep_alive(child: Child, start: _Start, *, now: float) -> Child:
    """The child as it is, or after its death a new one, later each time that it dies young."""
    if child.process is not None and child.process.poll() is None:
        return child
    if child.process is None:
        return Child(start(), now, child.deaths, 0.0) if now >= child.due else child
    deaths = child.deaths + 1 if now - child.born < QUICK_DEATH_S else 1
    pause = min(0.1 * 2**deaths, LONGEST_PAUSE_S)
    ended = f"{start.name} ended with exit code {child.process.returncode}"
    print(f"{ended}, starting it again in {pause:.1f} s", file=sys.stderr, flush=True)  # noqa: T201
    return Child(None, now, deaths, now + pause)


def _stop_all(children: Mapping[str, Child], seconds: float) -> None:
    running = [child.process for child in children.values() if child.process is not None]
    for process in running:
        process.terminate()
    end = time.monotonic() + seconds
    for process in running:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _empty_counts(layout: Layout) -> None:
    """The workers' counts for Prometheus start from nothing."""
    for left in layout.metrics.glob("*"):
        left.unlink()


def _write_pid(layout: Layout, name: str, process: int) -> None:
    write_atomic(layout.run / f"{name}.pid", f"{process}\n")
