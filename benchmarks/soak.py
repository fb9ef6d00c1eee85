"""The gateway at 90 % of its peak while a worker and a model's own process are killed: what is lost, what comes back.

    python benchmarks/soak.py [--seconds 60] [--connections 16]

Two workers serve a stable model in ONNX and, to half of the users, a canary that is a Python class in a process
of its own. Each reply is held against its request: the id, and the answer, which the row decides. A third of the
way a worker is killed, at two thirds the canary's processes. Afterwards every request that was answered with 200
must be in the prediction log exactly once. Exits with 1 when anything was wrong, missing or double.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tidegate.store.predictions import read_predictions

WORKERS = 2
PEAK_S = 5.0
RECOVERY_S = 3.0
CHILD = "tidegate.registry.runtime.child"
SETTINGS = """[project]
name = "tiny"
task = "binary"
[data]
evaluation = "evaluation.csv"
heldout = "test.csv"
[model]
path = "{path}"
reference = "train.csv"
{model}
[[gate.rule]]
kind = "min"
value = 0.5
[serve]
address = "127.0.0.1:{port}"
workers = {workers}
[rollout]
steps = ["50%"]
step_every = "1h"
"""
MODEL = """<ir_version: 8, opset_import: ["": 17]>
tiny (float[N,2] x) => (int64[N] label, float[N,2] scores) <float[2,2] w = {1.0, 0.0, 0.0, 1.0}> {
  scores = MatMul(x, w)
  label = ArgMax<axis = 1, keepdims = 0>(scores)
}"""
PREDICTOR = """from tidegate import Predictor


class Larger(Predictor):
    def predict(self, rows):
        return (rows["x1"] > rows["x0"]).astype(int)
"""


class Sent(NamedTuple):
    """A request and what came of it: `status` 0 when the connection broke."""

    request: str
    at: float
    status: int
    role: str
    is_wrong: bool


class Load:
    """Clients that each keep a connection; `rate` requests a second over all of them, None as fast as they can."""

    def __init__(self, port: int, connections: int) -> None:
        self.sent: list[Sent] = []
        self._port = port
        self._connections = connections
        self._draw = random.Random(7)
        self._numbers = iter(range(10**9))

    async def run(self, seconds: float, rate: float | None = None) -> list[Sent]:
        """The requests of this time."""
        before, end = len(self.sent), time.monotonic() + seconds
        pause = self._connections / rate if rate else 0.0
        await asyncio.gather(*(self._client(end, pause) for _ in range(self._connections)))
        return self.sent[before:]

    async def _client(self, end: float, pause: float) -> None:
        reader = writer = None
        due = time.monotonic() + self._draw.random() * pause
        while time.monotonic() < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += pause
            request, row = (
                f"q{next(self._numbers)}",
                [self._draw.randint(0, 99), self._draw.randint(100, 199)],
            )
            self._draw.shuffle(row)
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                found = await asyncio.wait_for(_ask(reader, writer, request, row), 15)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                found = Sent(request, time.monotonic(), 0, "", False)
                if writer is not None:
                    writer.close()
                writer = None
                await asyncio.sleep(0.01)
            self.sent.append(found)
        if writer is not None:
            writer.close()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: str, row: list[int]
) -> Sent:
    body = json.dumps({"row": row}).encode()
    head = (
        f"POST /predict HTTP/1.1\r\nhost: x\r\nx-request-id: {request}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    reply = json.loads(await reader.readexactly(int(headers["content-length"])))
    status = int(first.split()[1])
    right = reply.get("request_id") == request and reply.get("predictions") == [int(row[1] > row[0])]
    is_wrong = status == 200 and not (right and headers["x-request-id"] == request)
    return Sent(request, time.monotonic(), status, headers.get("x-tidegate-role", ""), is_wrong)


def make_project(root: Path, port: int) -> None:
    """A live model, and a canary in Python that takes half of the users."""
    from onnx import parser

    draw = random.Random(1)
    for name in ("train", "test"):
        rows = [(n, *draw.sample(range(200), 2)) for n in range(400)]
        lines = [f"{n},{int(b > a)},{a},{b}" for n, a, b in rows]
        (root / f"{name}.csv").write_text("\n".join(["id,label,x0,x1", *lines]) + "\n")
    truths = [line.split(",")[:2] for line in (root / "test.csv").read_text().split()[1:]]
    answers = [f"{name},{truth},{truth}" for name, truth in truths]
    (root / "evaluation.csv").write_text("\n".join(["id,truth,prediction", *answers]) + "\n")
    (root / "model.onnx").write_bytes(parser.parse_model(MODEL).SerializeToString())
    _release(root, SETTINGS.format(path="model.onnx", model="", port=port, workers=WORKERS))
    (root / "predictor.py").write_text(PREDICTOR)
    (root / "weights").mkdir()
    (root / "weights/none.txt").write_text("none\n")
    model = 'predictor = "predictor.py:Larger"'
    _release(root, SETTINGS.format(path="weights", model=model, port=port, workers=WORKERS))


def _release(root: Path, settings: str) -> None:
    (root / "tidegate.toml").write_text(settings)
    for words in (("gate",), ("plan",), ("apply",)):
        tidegate(root, *words)


def tidegate(root: Path, *words: str) -> None:
    command = [sys.executable, "-c", "from tidegate.cli.start import main; main()", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"tidegate {' '.join(words)}: {done.stdout}{done.stderr}")


def children_of(process: int) -> list[int]:
    """The processes that hold models for this worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (path / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == process and CHILD.encode() in words:
            found.append(int(path.name))
    return found


async def soak(root: Path, load: Load, seconds: float) -> list[str]:
    """What was wrong, after telling what happened."""
    peak = len(await load.run(PEAK_S)) / PEAK_S
    rate = 0.9 * peak
    print(f"peak {peak:,.0f} requests a second; {seconds:.0f} s at {rate:,.0f}")
    running = asyncio.create_task(load.run(seconds, rate))
    kills: dict[str, float] = {}
    await asyncio.sleep(seconds / 3)
    kills["worker"] = time.monotonic()
    os.kill(worker(root, 0), signal.SIGKILL)
    await asyncio.sleep(seconds / 3)
    kills["canary's processes"] = time.monotonic()
    for number in range(WORKERS):
        for child in children_of(worker(root, number)):
            os.kill(child, signal.SIGKILL)
    return _judge(await running, kills)


def worker(root: Path, number: int) -> int:
    """A gateway worker's process."""
    return int((root / f".tidegate/run/gateway-{number}.pid").read_text())


def _judge(sent: list[Sent], kills: dict[str, float]) -> list[str]:
    counts = Counter(one.status for one in sent)
    print(
        f"{len(sent):,} requests: "
        + ", ".join(f"{n:,} with {status or 'no reply'}" for status, n in counts.items())
    )
    problems = [f"wrong answer to {one.request}" for one in sent if one.is_wrong]
    bounds = [*kills.values(), float("inf")]
    if any(one.status != 200 and one.at < bounds[0] for one in sent):
        problems.append("requests failed before anything was killed")
    for (what, at), until in zip(kills.items(), bounds[1:], strict=True):
        failed = [one for one in sent if one.status != 200 and at <= one.at < until]
        last = max((one.at for one in failed), default=at) - at
        print(f"{what} killed: {len(failed):,} requests failed, the last {last:.2f} s later")
        if last > RECOVERY_S:
            problems.append(f"after the {what} died, requests failed for {last:.1f} s")
    return problems


def check_log(root: Path, acknowledged: list[str]) -> list[str]:
    """What the log lacks or has twice of the requests that were answered."""
    rows, _ = read_predictions(root / ".tidegate/log")
    logged = Counter(row.request for row in rows if row.status == 200)
    missing = [one for one in acknowledged if not logged[one]]
    double = [one for one in acknowledged if logged[one] > 1]
    print(f"prediction log: {len(acknowledged):,} answered, {len(missing)} missing, {len(double)} double")
    return [f"{one} is not in the log" for one in missing[:5]] + [
        f"{one} is there twice" for one in double[:5]
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        root = Path(folder)
        make_project(root, port)
        # without the watcher, which would roll the canary back at its first failures
        command = [sys.executable, "-c", "from tidegate.cli.start import main; main()", "serve"]
        service = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _wait(port)
            load = Load(port, asked.connections)
            problems = asyncio.run(soak(root, load, asked.seconds))
        finally:
            service.terminate()
            service.communicate(timeout=30)
        problems += check_log(root, [one.request for one in load.sent if one.status == 200])
    for problem in problems[:20]:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


def _wait(port: int) -> None:
    from tidegate.flow.endpoint import Address, is_ready

    end = time.monotonic() + 60
    while not is_ready(Address("127.0.0.1", port)):
        if time.monotonic() > end:
            raise SystemExit("the gateway does not answer")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
