"""A gateway on sockets of this process, and clients of other makers that ask it from environments of their own.

kserve, mlserver and tritonclient each register the same protobuf names, so no two of them live in one process.
"""

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Check, Range
from tidegate.domain import Prediction, TensorSpec
from tidegate.project import Serve
from tidegate.serve import grpc
from tidegate.serve.engine import Engine
from tidegate.serve.http import App
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route
from tidegate.serve.service import Service, Version
from tidegate.serve.shape import Shape, make_shape
from tidegate.serve.wire import Front, Limits
from tidegate.store.predictions import Entry, rows_of

COLUMNS = ("a", "b", "c")
# what is half as much in single precision, too
CHECK = Check("range", Range(-1e30, 1e30))
DIGITS = make_shape(Contract("digits", tuple(Column(name, "number", checks=(CHECK,)) for name in COLUMNS)))
PEOPLE = make_shape(
    Contract(
        "people",
        (
            Column("name", "string"),
            Column("age", "integer"),
            Column("height", "number", is_required=False),
            Column("member", "boolean"),
        ),
    )
)


class Largest:
    """Answers the name of the largest cell; the scores are the cells halved, in single precision."""

    columns = COLUMNS
    platform = "onnx_onnxv1"
    is_remote = False

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.inputs = (TensorSpec("input", "FP32", (-1, 3)),)
        self.outputs = (TensorSpec("predictions", "BYTES", (-1,)), TensorSpec("scores", "FP32", (-1, 3)))

    def predict(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        return [COLUMNS[i] for i in rows.argmax(axis=1)], (rows / 2).astype("float32")


class Counting(Largest):
    """Answers the place of the largest cell as a number and gives no scores."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.inputs = (TensorSpec("input", "FP64", (-1, 3)),)
        self.outputs = (TensorSpec("predictions", "INT64", (-1,)),)

    def predict(self, rows: np.ndarray) -> tuple[list[int], np.ndarray]:
        return rows.argmax(axis=1).tolist(), rows[:, :0]


class Weighing(Largest):
    """A regression over text, whole numbers, missing numbers and booleans, each in a tensor of its own."""

    columns = ("name", "age", "height", "member")

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        kinds = ("BYTES", "INT64", "FP64", "BOOL")
        named = zip(self.columns, kinds, strict=True)
        self.inputs = tuple(TensorSpec(name, kind, (-1, 1), i) for i, (name, kind) in enumerate(named))
        self.outputs = (TensorSpec("predictions", "FP64", (-1,)),)

    def predict(self, rows: np.ndarray) -> tuple[list[float], np.ndarray]:
        heights = [0.0 if np.isnan(row[2]) else row[2] for row in rows]
        answers = [
            len(row[0]) + row[1] + height + 1000 * row[3] for row, height in zip(rows, heights, strict=True)
        ]
        return [float(answer) for answer in answers], np.empty((len(rows), 0))


class Served(NamedTuple):
    """A gateway that listens: `http` and `grpc` are its addresses, `logged` is what it wrote down."""

    http: str
    grpc: str
    logged: list[Prediction]


class Gateway:
    """HTTP and gRPC of one route, on a loop in a thread of its own."""

    def __init__(self, route: Route, shapes: dict[str, Shape], **settings: object) -> None:
        self.logged: list[Prediction] = []
        self.engine = Engine(self._write)
        self.engine.route = route
        self.service = Service(self.engine, lambda labels: None, Serve(**settings), Metrics())
        self.service.shapes = shapes
        arms = [arm for arm in (route.stable, route.canary) if arm]
        old = Version(2, False, "not released")
        self.service.versions = (*(Version(arm.version, True) for arm in reversed(arms)), old)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> Served:
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._loop.close()
        self.engine.close()

    def _write(self, entries: Sequence[Entry]) -> None:
        self.logged += [row for entry in entries for row in rows_of(entry)]

    async def _start(self) -> Served:
        settings = self.service.settings
        listening = socket.create_server(("127.0.0.1", 0))
        self._front = Front(App(self.service), Limits(settings.max_body_bytes, 5.0))
        self._calls = grpc.Front(self.service)
        await self._front.start(listening)
        port = await self._calls.start("127.0.0.1:0")
        return Served(f"127.0.0.1:{listening.getsockname()[1]}", f"127.0.0.1:{port}", self.logged)

    async def _stop(self) -> None:
        await asyncio.gather(self._front.stop(), self._calls.stop(5.0))


def _digits() -> Gateway:
    """Version 3 is stable and takes FP32, version 4 the canary and takes FP64."""
    route = Route("digits", Arm(Largest("s"), "stable", 3, 7), Arm(Counting("c"), "canary", 4, 7), 0.0, "r1")
    return Gateway(route, {"s": DIGITS, "c": DIGITS}, max_rows=100)


def _people() -> Gateway:
    return Gateway(Route("people", Arm(Weighing("p"), "stable", 1, 1)), {"p": PEOPLE})


@pytest.fixture(scope="session")
def digits() -> Iterator[Served]:
    gateway = _digits()
    yield gateway.start()
    gateway.stop()


@pytest.fixture(scope="session")
def people() -> Iterator[Served]:
    gateway = _people()
    yield gateway.start()
    gateway.stop()


@pytest.fixture(scope="session")
def empty() -> Iterator[Served]:
    """A gateway where nothing is live."""
    gateway = _people()
    gateway.engine.route = None
    yield gateway.start()
    gateway.stop()


@pytest.fixture(scope="session")
def tool(checkout: Path) -> Callable[[str, str], Path]:
    """`tool("triton", "python")`: a program of an environment below `.tools`."""

    def find(environment: str, program: str) -> Path:
        path = checkout / ".tools" / environment / "bin" / program
        if not path.exists():
            pytest.fail(f"{path.relative_to(checkout)} is not installed: run make tools")
        return path

    return find


@pytest.fixture(scope="session")
def ask(tool: Callable[[str, str], Path]) -> Callable[..., dict[str, Any]]:
    """`ask("triton", "ask_triton.py", *words)`: what a script of this folder printed last, as JSON."""

    def run(environment: str, script: str, *words: str) -> dict[str, Any]:
        call = [str(tool(environment, "python")), str(Path(__file__).with_name(script)), *words]
        done = subprocess.run(call, check=False, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run
