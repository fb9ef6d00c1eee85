"""A server as a process, what it is asked, and what it spends on that."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
START_S = 90.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Rows = list[list[float]]


class Server(NamedTuple):
    """How to start a server; `spool` is a folder of what it writes down, emptied when it is not asked."""

    name: str
    words: list[str]
    folder: Path
    env: Mapping[str, str]
    port: int
    spool: Path | None = None


class Target(NamedTuple):
    """A model of a server: the JSON that asks for rows, and where the answers stand in the JSON that comes back.

    `fewest` is the number of connections below which it is not asked.
    """

    title: str
    tool: str
    model: str
    server: Server
    path: str
    ask: Callable[[Rows], Any]
    read: Callable[[Any], list[Any]]
    fewest: int = 1


class Slice(NamedTuple):
    """What came of one server's turn."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


@contextmanager
def running(server: Server) -> Iterator[int]:
    """The server's process, ended with everything that it started."""
    environ = {**os.environ, **ONE_THREAD, **server.env}
    with (server.folder / f"{server.name}.log").open("w") as log:
        process = subprocess.Popen(
            server.words, cwd=server.folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process.pid
    finally:
        tree = family(process.pid)
        process.send_signal(signal.SIGTERM)
        _tell(process.pid, signal.SIGCONT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        for one in tree:
            _send(one, signal.SIGKILL)
        process.wait()


def wait_until_ready(target: Target, rows: Rows, began: float) -> float:
    """Seconds from `began` to the first prediction."""
    said = ""
    while time.monotonic() - began < START_S:
        try:
            status, said = ask(target, rows)
            if status == 200:
                return time.monotonic() - began
        except OSError:
            pass
        threading.Event().wait(0.005)
    log = (target.server.folder / f"{target.server.name}.log").read_text()[-2000:]
    sys.exit(f"{target.server.name} did not answer in {START_S:.0f} s: {said}\n{log}")


def ask(target: Target, rows: Rows) -> tuple[int, Any]:
    """The status and JSON of a reply; OSError while nobody is there."""
    connection = http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=30)
    try:
        body = json.dumps(target.ask(rows)).encode()
        connection.request("POST", target.path, body, {"content-type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()
    return reply.status, json.loads(text) if reply.status == 200 else text


def press(target: Target, bodies: Path, process: int, *, connections: int, seconds: int) -> Slice:
    """A turn of `wrk`; the CPU is that of all processes of the server."""
    url = f"http://127.0.0.1:{target.server.port}{target.path}"
    size = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    before = cpu_seconds(process)
    done = subprocess.run(
        ["wrk", *size, "-s", str(HERE / "ask.lua"), url, "--", str(bodies)],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    spent = cpu_seconds(process) - before
    found = json.loads(done.stdout.splitlines()[-1])
    count = found["requests"]
    # a turn without any reply is a server that hangs
    return Slice(
        count / found["seconds"],
        found["p50_ms"],
        found["p99_ms"],
        spent * 1e6 / max(1, count),
        found["errors"] + (count == 0),
    )


@contextmanager
def awake(process: int) -> Iterator[None]:
    """A turn of a server that sleeps otherwise, so that what it does while idle costs nobody else anything."""
    _tell(process, signal.SIGCONT)
    try:
        yield
    finally:
        _tell(process, signal.SIGSTOP)


def family(process: int) -> list[int]:
    """The process and all that it started, as far as they live."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(path)
        if fields:
            parents[int(path.parent.name)] = int(fields[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_seconds(process: int) -> float:
    """User and system time of the whole family so far."""
    stats = [_stat(Path(f"/proc/{one}/stat")) for one in family(process)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICK


def memory_mb(process: int) -> float:
    """Memory of the whole family, what is shared counted once (PSS)."""
    return sum(pss_mb(one) for one in family(process))


def pss_mb(process: int) -> float:
    """The share of memory of one process."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def _stat(path: Path) -> list[str]:
    """The fields after the name, which may hold anything."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _tell(process: int, what: signal.Signals) -> None:
    """Send a signal to the whole family."""
    for one in family(process):
        _send(one, what)


def _send(process: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, what)
