"""Malformed requests against a running gateway: what it answers, and whether it stays as it was.

    python benchmarks/fuzz.py [--requests 100000] [--seed 1]

A gateway with prediction log, metrics and gRPC serves a tiny model in ONNX. Nine of ten requests are HTTP: mutants
of a valid request to every route, and bytes that never were one; the others are gRPC, half of them as frames of
HTTP/2. Each must be answered, or its connection closed, within 10 s, never with INTERNAL, UNKNOWN or a 500, unless
the model itself answers no number; every 1,000 a good request must be answered right. Memory and open files are
those of the worker's process. Exits with 1 when anything was wrong, or when the second half of the requests left
more than 16 MB behind.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from malformed import SERVICE, Case, Malformed, request

PATIENCE_S = 10.0
AT_ONCE = 16
ROUND = 1_000
GROWTH_BYTES = 16_000_000
FINE = frozenset((100, 200, 202, 400, 404, 405, 408, 413, 414, 415, 431))
FINE_GRPC = frozenset(
    ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
)
GOOD = request("/predict", b'{"row": [1.0, 2.0]}', b"x-request-id: good", b"connection: close")
SETTINGS = """[project]
name = "tiny"
task = "binary"
[data]
evaluation = "evaluation.csv"
heldout = "test.csv"
[model]
path = "model.onnx"
reference = "train.csv"
[[gate.rule]]
kind = "min"
value = 0.5
[serve]
address = "127.0.0.1:{port}"
grpc = "127.0.0.1:{grpc}"
"""


class Gateway(NamedTuple):
    """A gateway's ports and its worker's process."""

    port: int
    grpc: int
    pid: int

    def memory(self) -> int:
        """What it has in memory, in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def settled_files(self, most: int) -> int:
        """The same, once the connections that are just ending are gone."""
        end = time.monotonic() + 3
        while self.files() > most and time.monotonic() < end:
            time.sleep(0.05)
        return self.files()


class Tally:
    """What came back: statuses by kind, and what must not be."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.problems: list[str] = []

    def add(self, kind: str, status: str) -> None:
        """One answer."""
        self.counts.setdefault(kind, Counter())[status] += 1

    def wrong(self, problem: str, data: bytes) -> None:
        """Something that must not be, and the request."""
        self.problems.append(f"{problem}: {data[:600]!r}")


def attack(gateway: Gateway, cases: Malformed, n: int, tally: Tally) -> None:
    """Send `n` malformed requests, a tenth of them to gRPC."""
    asyncio.run(_attack(gateway.port, [cases.http() for _ in range(n - n // 10)], tally))
    asyncio.run(_attack(gateway.grpc, [cases.frames() for _ in range(n // 20)], tally))
    _call(gateway, [cases.grpc() for _ in range(n // 10 - n // 20)], tally)


async def _attack(port: int, cases: Sequence[Case], tally: Tally) -> None:
    waiting = iter(cases)

    async def client() -> None:
        for case in waiting:
            await _send(port, case, tally)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))


async def _send(port: int, case: Case, tally: Tally) -> None:
    try:
        answer = await asyncio.wait_for(_talk(port, case), PATIENCE_S)
    except TimeoutError:
        tally.wrong(f"{case.kind}: no end within {PATIENCE_S:.0f} s", case.data)
        return
    if case.kind == "frames of HTTP/2":
        tally.add(case.kind, "closed")
        return
    for status, problem in replies(answer):
        tally.add(case.kind, str(status))
        if problem:
            tally.wrong(f"{case.kind}: {status} {problem}", case.data)
    if not answer:
        tally.add(case.kind, "closed")


async def _talk(port: int, case: Case) -> bytes:
    """Everything that comes back until the gateway closes."""
    reader, writer = await _open(port)
    found: list[bytes] = []
    try:
        start = 0
        for cut in (*case.cuts, len(case.data)):
            writer.write(case.data[start:cut])
            # a gateway that has refused the beginning need not take the rest
            await asyncio.gather(writer.drain(), asyncio.sleep(0))
            start = cut
        if case.leaves:
            writer.transport.abort()
            return b""
        writer.write_eof()
        while part := await reader.read(1 << 16):
            found.append(part)
    except OSError:
        found.append(b"")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return b"".join(found)


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; grpc's server may just be starting again."""
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(0.01)


def replies(answer: bytes) -> Iterator[tuple[int, str]]:
    """The status of each reply in what came back, and what is wrong with it."""
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ", 2)
        if words[0] != b"HTTP/1.1" or not words[1].isdigit():
            yield 0, f"no reply, {answer[:80]!r}"
            return
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        size, status = int(headers.get(b"content-length", b"0")), int(words[1])
        # the reply to a HEAD has the length of a body that does not come
        body = b"" if not rest or rest.startswith(b"HTTP/1.1 ") else rest[:size]
        answer = rest[len(body) :]
        yield status, _problem(status, body, headers)


def _problem(status: int, body: bytes, headers: dict[bytes, bytes]) -> str:
    """What is wrong with a reply; a model of 32 bits may fail at numbers that it cannot hold."""
    if body and len(body) != int(headers[b"content-length"]):
        return "the body is cut"
    if status < 400 or not body or b"content-encoding" in headers:
        return "" if status in FINE else "is no status for this"
    said = json.loads(body).get("error", "")
    is_of_the_model = status == 500 and said.startswith("model: answered NaN or infinity")
    return "" if said and (status in FINE or is_of_the_model) else f"is no status for this, {said}"


def _call(gateway: Gateway, calls: Sequence[tuple[str, bytes]], tally: Tally) -> None:
    """Unary calls over gRPC, some at a time."""
    import grpc

    waiting = list(calls)
    with grpc.insecure_channel(f"127.0.0.1:{gateway.grpc}") as channel:
        # the frames before may have ended grpc's server; what that still held is cancelled
        live = channel.unary_unary(f"{SERVICE}ServerLive")
        while live.future(b"", timeout=PATIENCE_S, wait_for_ready=True).code().name == "CANCELLED":
            pass
        while waiting:
            batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            sent = [
                channel.unary_unary(name).future(data, timeout=PATIENCE_S, wait_for_ready=True)
                for name, data in batch
            ]
            for (name, data), future in zip(batch, sent, strict=True):
                code = future.code().name
                tally.add("calls of gRPC", code)
                if code not in FINE_GRPC:
                    tally.wrong(f"{name}: {code} {future.details()}", data)


def check_good(gateway: Gateway, tally: Tally) -> None:
    """A good request is answered right."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as client:
        client.sendall(GOOD)
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    if body.get("predictions") != [1] or body.get("request_id") != "good":
        tally.wrong("a good request is answered wrong", answer)


@contextmanager
def running(root: Path) -> Iterator[Gateway]:
    """The gateway of a new project."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, calls = one.getsockname()[1], other.getsockname()[1]
    _make_project(root, SETTINGS.format(port=port, grpc=calls))
    try:
        for words in ("gate", "plan", "apply", "up"):
            _tidegate(root, words)
        yield Gateway(port, calls, int((root / ".tidegate/run/gateway-0.pid").read_text()))
    finally:
        _tidegate(root, "down")


def _make_project(root: Path, settings: str) -> None:
    from onnx import parser
    from soak import MODEL

    rows = [(n, n % 2, float(n % 7 + 8 * (1 - n % 2)), float(n % 5 + 8 * (n % 2))) for n in range(400)]
    lines = ["id,label,x0,x1", *(",".join(map(str, row)) for row in rows)]
    for name in ("train", "test"):
        (root / f"{name}.csv").write_text("\n".join(lines) + "\n")
    answers = [f"{name},{truth},{truth}" for name, truth, *_ in rows]
    (root / "evaluation.csv").write_text("\n".join(["id,truth,prediction", *answers]) + "\n")
    (root / "model.onnx").write_bytes(parser.parse_model(MODEL).SerializeToString())
    (root / "tidegate.toml").write_text(settings)


def _tidegate(root: Path, word: str) -> None:
    command = [sys.executable, "-c", "from tidegate.cli.start import main; main()", word]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"tidegate {word}: {done.stdout}{done.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as gateway:
        tally = _run(gateway, Malformed(asked.seed), asked.requests)
        if int((Path(folder) / ".tidegate/run/gateway-0.pid").read_text()) != gateway.pid:
            tally.problems.append("the worker died")
        said = (Path(folder) / ".tidegate/run/up.log").read_text()
        tally.problems += ["the log has a trace"] if "Traceback" in said else []
    for problem in tally.problems[:20]:
        print(f"PROBLEM: {problem}")
    return 1 if tally.problems else 0


def _run(gateway: Gateway, cases: Malformed, n: int) -> Tally:
    attack(gateway, Malformed(0), ROUND, Tally())
    tally, began = Tally(), time.monotonic()
    files = gateway.settled_files(0)
    memory = [gateway.memory()]
    for _ in range(0, n, ROUND):
        attack(gateway, cases, ROUND, tally)
        check_good(gateway, tally)
        memory.append(gateway.memory())
    left = gateway.settled_files(files) - files
    _print(tally, n, time.monotonic() - began)
    half = memory[len(memory) // 2]
    told = " -> ".join(f"{one / 1e6:.0f}" for one in (memory[0], half, memory[-1]))
    print(f"memory {told} MB at the start, half way and at the end; {left} files left open")
    if memory[-1] - half > GROWTH_BYTES:
        tally.problems.append("memory grows")
    if left > 0:
        tally.problems.append(f"{left} files stay open")
    return tally


def _print(tally: Tally, n: int, seconds: float) -> None:
    print(f"{n:,} malformed requests in {seconds:.0f} s, {len(tally.problems)} answered as they must not be")
    for kind, counts in tally.counts.items():
        found = ", ".join(f"{status} {count:,}" for status, count in counts.most_common())
        print(f"  {kind:<20} {found}")


if __name__ == "__main__":
    sys.exit(main())
