"""Traffic for trying things out: held-out rows over HTTP, one a request, then their truth."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tidegate.domain import Record
from tidegate.project import load_config
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

TIMEOUT_S = 10.0
POLL_S = 0.05
LABEL_BATCH = 50

Shift = Callable[[Any, Any, Any], Any]

# each takes the rows and the lowest and highest value of every column
SHIFTS: dict[str, Shift] = {
    "invert": lambda rows, low, high: low + high - rows,
    "brighter": lambda rows, low, high: (rows + (high - low) / 2).clip(low, high),
    "darker": lambda rows, low, high: (rows - (high - low) / 2).clip(low, high),
}


class Traffic(NamedTuple):
    """What to send, how fast, and when to stop: whichever bound is met first.

    `requests` None means no bound; `rate` is requests per second over all threads, None as fast as possible.
    """

    requests: int | None = None
    seconds: float = 60.0
    rate: float | None = None
    threads: int = 4
    labels: bool = True
    shift: str | None = None
    until: Literal["decided", "alert"] | None = None


class Replayed(Record, frozen=True):
    """What came of it; latencies in milliseconds, `problem` is the first failure, `outcome` what `until` met."""

    sent: int
    failed: int
    labeled: int
    wrong: int
    seconds: float
    p50_ms: float
    p99_ms: float
    problem: str = ""
    outcome: str = ""


class Exchange(NamedTuple):
    """A request that is ready to send, and the truth about its row."""

    body: bytes
    truth: str


class Tally(NamedTuple):
    """What one thread saw."""

    latencies_ms: list[float]
    problems: list[str]
    wrong: list[str]
    labeled: list[int]


def replay(root: Path, traffic: Traffic) -> Replayed:
    """Send the held-out rows in order, again and again, each as a user of its own.

    Raises UnavailableError when nothing answers, ConflictError when `until` waits for a rollout and
    there is none.
    """
    config = load_config(root)
    exchanges = prepare(config, root, shift=traffic.shift)
    _check_service(config)
    with open_ledger(Layout(root).ledger) as ledger:
        met = _outcome_of(traffic, ledger)
        started = time.monotonic()
        tallies = _send_all(Sender(config, exchanges, traffic), met)
        seconds = time.monotonic() - started
        return summarize(tallies, seconds=seconds, outcome=met())
