"""Traffic for trying things out: held-out rows over HTTP, one a request, then their truth."""

import http.client
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tidegate.data.tables import read_table
from tidegate.domain import TERMINAL_PHASES, Record, agree
from tidegate.errors import ConflictError, UnavailableError, UsageError
from tidegate.flow.endpoint import Address, connect, endpoint_of, is_ready, key_headers
from tidegate.project import Config, load_config
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger, open_ledger

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
    labeled: list[str]


class Sender(NamedTuple):
    """What the threads share: `turns` hands out the numbers of requests, `stop` ends them all."""

    address: Address
    exchanges: Sequence[Exchange]
    traffic: Traffic
    header: str
    token: str
    turns: Iterator[int]
    started: float
    stop: threading.Event


def replay(root: Path, traffic: Traffic, *, progress: Callable[[int], None] = lambda sent: None) -> Replayed:
    """Send the held-out rows in order, again and again, each as a user of its own.

    `progress` is told from time to time how many were sent. Raises UnavailableError when nothing answers,
    ConflictError when `until` waits for a rollout and there is none.
    """
    config = load_config(root)
    address = endpoint_of(root, config)
    exchanges = prepare(config, root, shift=traffic.shift)
    if not is_ready(address):
        raise UnavailableError(address.url, "nothing answers here", hint="tidegate up")
    with open_ledger(Layout(root).ledger) as ledger:
        met = _outcome_of(traffic, ledger)
        sender = _sender(config, address, exchanges, traffic)
        tallies = _send_all(sender, met, progress)
        return _summarize(tallies, seconds=time.monotonic() - sender.started, outcome=met())


def prepare(config: Config, root: Path, *, shift: str | None = None) -> list[Exchange]:
    """The held-out table as requests in the order of the contract's columns, with the names of `model.labels`."""
    table = read_table(root / config.data.heldout)
    names = [name for name in table.columns if name not in (config.data.id, config.data.label)]
    cells = [table.values[name] for name in names]
    if shift:
        numbers = table.numbers(names)
        cells = SHIFTS[shift](numbers, numbers.min(axis=0), numbers.max(axis=0)).T.tolist()
    if config.data.label not in table.values:
        raise UsageError(config.data.heldout, f"no column `{config.data.label}`", hint="set data.label")
    truths = [str(value) for value in table.values[config.data.label]]
    rows = zip(*cells, strict=True)
    bodies = [json.dumps({"row": dict(zip(names, row, strict=True))}, default=str).encode() for row in rows]
    return [Exchange(body, truth) for body, truth in zip(bodies, truths, strict=True)]


def _sender(config: Config, address: Address, exchanges: Sequence[Exchange], traffic: Traffic) -> Sender:
    header = config.serve.unit_header or "x-user"
    token, turns = secrets.token_hex(4), itertools.count()
    return Sender(address, exchanges, traffic, header, token, turns, time.monotonic(), threading.Event())


def _outcome_of(traffic: Traffic, ledger: Ledger) -> Callable[[], str]:
    """A question to ask while sending: what `until` waits for has happened, in a word, or not yet, ""."""
    state = ledger.state()
    rollout = state.rollout
    if traffic.until == "decided" and rollout is None:
        raise ConflictError("replay --until decided", "no rollout is in progress", hint="tidegate ps")

    def met() -> str:
        nonlocal state
        state = ledger.follow(state) if ledger.head() != state.seq else state
        if traffic.until == "alert":
            return state.alerts[-1].kind if state.alerts else ""
        if traffic.until == "decided" and rollout:
            phase = next(one.phase for one in reversed(state.rollouts) if one.id == rollout.id)
            return phase if phase in TERMINAL_PHASES or phase == "held" else ""
        return ""

    return met


def _send_all(sender: Sender, met: Callable[[], str], progress: Callable[[int], None]) -> list[Tally]:
    tallies = [Tally([], [], [], []) for _ in range(sender.traffic.threads)]
    with ThreadPoolExecutor(sender.traffic.threads) as pool:
        waiting: set[Future[None]] = {pool.submit(_send, sender, tally) for tally in tallies}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=POLL_S)
                for future in done:
                    future.result()
                progress(sum(len(tally.latencies_ms) for tally in tallies))
                if met():
                    sender.stop.set()
        finally:
            sender.stop.set()
    return tallies


def _send(sender: Sender, tally: Tally) -> None:
    """Send until a bound is met; every LABEL_BATCH answers their truth follows."""
    connection = connect(sender.address, TIMEOUT_S)
    labels: list[dict[str, str]] = []
    try:
        for number in _numbers(sender):
            exchange = sender.exchanges[number % len(sender.exchanges)]
            request = f"{sender.token}-{number}"
            answer = _ask(connection, sender, exchange, request, tally)
            if answer is not None:
                labels.append({"request": request, "truth": exchange.truth})
                tally.wrong.extend([request] if not agree(answer, exchange.truth) else [])
            if sender.traffic.labels and len(labels) >= LABEL_BATCH:
                _post_labels(connection, labels, tally)
        if sender.traffic.labels and labels:
            _post_labels(connection, labels, tally)
    finally:
        connection.close()


def _numbers(sender: Sender) -> Iterator[int]:
    """The numbers of the requests that this thread sends, each when its time has come."""
    traffic = sender.traffic
    for number in sender.turns:
        if traffic.requests is not None and number >= traffic.requests:
            return
        due = sender.started + (number / traffic.rate if traffic.rate else 0)
        if sender.stop.wait(max(0.0, due - time.monotonic())):
            return
        if time.monotonic() - sender.started >= traffic.seconds:
            return
        yield number


def _ask(
    connection: http.client.HTTPConnection, sender: Sender, exchange: Exchange, request: str, tally: Tally
) -> Any:
    """The prediction, None when the request failed."""
    headers = {"x-request-id": request, sender.header: f"user-{request}"}
    began = time.perf_counter()
    status, body = _post(connection, "/predict", exchange.body, headers)
    tally.latencies_ms.append((time.perf_counter() - began) * 1000)
    if status == 200:
        return body["predictions"][0]
    tally.problems.append(f"{status}: {body.get('error', '')}")
    return None


def _post_labels(connection: http.client.HTTPConnection, labels: list[dict[str, str]], tally: Tally) -> None:
    status, body = _post(connection, "/labels", json.dumps({"labels": labels}).encode(), {})
    if status == 202:
        tally.labeled.extend(label["request"] for label in labels)
    else:
        tally.problems.append(f"{status}: {body.get('error', '')}")
    labels.clear()


def _post(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Status and body; status 0 with the reason when the connection failed."""
    try:
        connection.request("POST", path, body, {"content-type": "application/json"} | key_headers() | headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        return 0, {"error": str(error) or type(error).__name__}


def _summarize(tallies: Sequence[Tally], *, seconds: float, outcome: str) -> Replayed:
    latencies = sorted(ms for tally in tallies for ms in tally.latencies_ms)
    problems = [problem for tally in tallies for problem in tally.problems]
    return Replayed(
        sent=len(latencies),
        failed=len(problems),
        labeled=sum(len(tally.labeled) for tally in tallies),
        wrong=sum(len(tally.wrong) for tally in tallies),
        seconds=round(seconds, 2),
        p50_ms=_quantile(latencies, 0.5),
        p99_ms=_quantile(latencies, 0.99),
        problem=problems[0] if problems else "",
        outcome=outcome,
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2) if ordered else 0.0
