"""A model made by hand, a log in memory, and the application asked as a server asks it."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from msgspec.structs import replace

from tidegate.data.contract import Column, Contract
from tidegate.domain import Label, Prediction, TensorSpec
from tidegate.domain.model import Told
from tidegate.project import Serve
from tidegate.serve.asgi import Asgi
from tidegate.serve.engine import Engine
from tidegate.serve.http import App
from tidegate.serve.job import Ask
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route
from tidegate.serve.service import Service
from tidegate.serve.shape import make_shape
from tidegate.store.predictions import Entry, rows_of

COLUMNS = ("a", "b", "c")
STABLE, CANARY = "5" * 64, "c" * 64
POISON = 666.0
GAP_S = 5.0
SHAPE = make_shape(Contract("digits", tuple(Column(name, "number", name != "c") for name in COLUMNS)))


class FakeModel:
    """Answers the name of the largest cell, with the cells as scores, 0 for NaN; a row with 666 makes it raise.

    `calls` are the row counts it was asked with. While `opened` is cleared, `predict` waits for it.
    """

    def __init__(self, digest: str, *, error: BaseException | None = None) -> None:
        self.digest = digest
        self.columns = COLUMNS
        self.inputs = (TensorSpec("input", "FP64", (-1, 3)),)
        self.outputs = (TensorSpec("predictions", "BYTES", (-1,)), TensorSpec("scores", "FP32", (-1, 3)))
        self.platform = "onnx_onnxv1"
        self.is_remote = False
        self.calls: list[int] = []
        self.threads: list[str] = []
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.opened.set()
        self._error = error or ValueError("cannot take 666")

    def ask(
        self,
        rows: np.ndarray,
        loop: asyncio.AbstractEventLoop,
        done: Callable[[Told], None],
        *,
        awake: bool = False,
    ) -> bool:
        """It always takes a thread."""
        return False

    def predict(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        self.calls.append(len(rows))
        self.threads.append(threading.current_thread().name)
        self.entered.set()
        assert self.opened.wait(GAP_S)
        if (rows == POISON).any():
            raise self._error
        return [self.columns[i] for i in rows.argmax(axis=1)], np.nan_to_num(rows)


class Reply(NamedTuple):
    """What a client gets; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Gateway:
    """A gateway in this process over a fake model: what it logs is in `rows` and `labels`.

    `fault`, once set, is raised by everything that writes.
    """

    def __init__(self, metrics: Metrics | None = None, **settings: object) -> None:
        self.model, self.canary = FakeModel(STABLE), FakeModel(CANARY)
        self.writes: list[list[Prediction]] = []
        self.labels: list[Label] = []
        self.fault: Exception | None = None
        self.engine = Engine(self._write)
        self.engine.route = Route("digits", Arm(self.model, "stable", 3, 7))
        self.service = Service(self.engine, self._write_labels, Serve(**settings), metrics or Metrics())
        self.service.shapes = dict.fromkeys((STABLE, CANARY), SHAPE)
        self.app = Asgi(App(self.service), limit=self.service.settings.max_body_bytes)

    @property
    def rows(self) -> list[Prediction]:
        return [row for rows in self.writes for row in rows]

    def start_canary(self, weight: float) -> None:
        canary = Arm(self.canary, "canary", 4, 7)
        self.engine.route = replace(self.engine.live(), canary=canary, weight=weight, salt="r1")

    def ask(self, method: str, path: str, body: object = b"", **headers: str) -> Reply:
        """One request; a body that is no bytes goes as JSON, one that is a list of bytes in chunks."""
        return asyncio.run(self.asking(method, path, body, **headers))

    async def asking(self, method: str, path: str, body: object = b"", **headers: str) -> Reply:
        is_chunked = isinstance(body, list) and all(isinstance(part, bytes) for part in body)
        parts = body if is_chunked else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        messages = iter(
            {"type": "http.request", "body": part, "more_body": i < len(parts) - 1}
            for i, part in enumerate(parts)
        )

        async def receive() -> dict[str, Any]:
            return next(messages)

        length = {} if is_chunked else {"content-length": str(len(parts[0]))}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call(method, path, length | named, receive)

    async def call(
        self, method: str, path: str, headers: dict[str, str], receive: Callable[[], Awaitable[Any]]
    ) -> Reply:
        """One request as the ASGI server passes it."""
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.app({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
        start, end = sent
        found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Reply(start["status"], found, end["body"])

    def close(self) -> None:
        self.model.opened.set()
        self.canary.opened.set()
        self.engine.close()

    def _write(self, entries: Sequence[Entry]) -> None:
        if self.fault:
            raise self.fault
        self.writes.append([row for entry in entries for row in rows_of(entry)])

    def _write_labels(self, labels: list[Label]) -> None:
        if self.fault:
            raise self.fault
        self.labels += labels


def make_ask(request: str, *rows: Sequence[float], unit: str = "") -> Ask:
    """A request of these rows, of one row when none is given, which came at 1000 s."""
    return Ask(request, unit, np.array(rows or [(1.0, 2.0, 3.0)], dtype=float), 1000.0)


def make_tensor(data: object, shape: Sequence[int] = (1, 3), **changed: object) -> dict[str, object]:
    """The body of an inference request with one tensor, whose fields may be changed."""
    tensor = {"name": "input", "shape": list(shape), "datatype": "FP64", "data": data}
    return {"inputs": [{**tensor, **changed}]}


@pytest.fixture(scope="session")
def fake_model() -> type[FakeModel]:
    return FakeModel


@pytest.fixture(scope="session")
def one_ask() -> Callable[..., Ask]:
    return make_ask


@pytest.fixture(scope="session")
def tensor() -> Callable[..., dict[str, object]]:
    return make_tensor


@pytest.fixture
def make_gateway(request: pytest.FixtureRequest) -> Callable[..., Gateway]:
    """`make_gateway(**settings)`, closed when the test ends."""

    def make(**settings: object) -> Gateway:
        gateway = Gateway(**settings)
        request.addfinalizer(gateway.close)
        return gateway

    return make


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway()


@pytest.fixture(scope="module")
def shared_gateway() -> Iterator[Gateway]:
    """One gateway for the many examples of a law."""
    gateway = Gateway()
    yield gateway
    gateway.close()
