"""The gateway's life under load: swaps, ends, deadlines, slow and leaving clients, two workers; nobody is let down."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tidegate.serve.record import REQUESTS, SUFFIX, Snapshot
from tidegate.store.layout import Layout
from tidegate.store.predictions import read_predictions

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
CLIENTS = 8
ROW = {"row": [1.0, 2.0]}
HELD = {"row": [99.0, 100.0]}
# rows whose first number is 99 wait until the file is gone
PREDICTOR = """import time
from pathlib import Path

from tidegate import Predictor


class Held(Predictor):
    def predict(self, rows):
        while rows["x0"][0] == 99 and Path("GATE").exists():
            time.sleep(0.005)
        return (rows["x1"] > rows["x0"]).astype(int)
"""

FEW_FILES = """import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))
from tidegate.cli.main import main
main(["serve"])
"""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Client:
    """One connection, kept; `ask` raises what breaks it."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def ask(self, body: object = ROW, method: str = "POST", path: str = "/predict", **headers: str) -> Reply:
        self.connection.request(
            method, path, json.dumps(body), {k.replace("_", "-"): headers[k] for k in headers}
        )
        response = self.connection.getresponse()
        text = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = found["content-type"] == "application/json"
        return Reply(response.status, found, json.loads(text) if is_json else {"text": text.decode()})

    def close(self) -> None:
        self.connection.close()


class Load:
    """Clients that ask all the time, each on a connection of its own, until one of them is told to close."""

    def __init__(self, port: int) -> None:
        self.replies: list[Reply] = []
        self.broken: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(Client(port), n)) for n in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def wait(self, more: int) -> None:
        """Until so many more replies have come."""
        end = len(self.replies) + more
        wait_until(lambda: len(self.replies) >= end or self.broken)

    def _run(self, client: Client, number: int) -> None:
        try:
            for i in range(10**9):
                if self._over.is_set():
                    return
                name = f"c{number}-{i}"
                reply = client.ask(x_request_id=name)
                assert reply.headers["x-request-id"] == name
                self.replies.append(reply)
                if reply.headers.get("connection") == "close":
                    return
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.broken.append(repr(error))
        finally:
            client.close()


class Service(NamedTuple):
    """A project that is up."""

    root: Path
    port: int
    gate: Path

    def pid(self, name: str = "gateway-0") -> int:
        return int((self.root / f".tidegate/run/{name}.pid").read_text())

    def log(self) -> str:
        return (self.root / ".tidegate/run/up.log").read_text()

    def statuses(self, request: str) -> list[int]:
        """How a request was logged."""
        rows, _ = read_predictions(self.root / ".tidegate/log")
        return [row.status for row in rows if row.request.split(".")[0] == request]

    def start(self, body: object = HELD, **headers: str) -> "Pending":
        """A request in a thread of its own."""
        return Pending(self.port, body, headers)


class Pending:
    """A request that waits for its reply."""

    def __init__(self, port: int, body: object, headers: dict[str, str]) -> None:
        self.client = Client(port)
        self._found: list[Reply] = []
        self._thread = threading.Thread(target=lambda: self._found.append(self.client.ask(body, **headers)))
        self._thread.start()

    def reply(self) -> Reply:
        self._thread.join(PATIENCE_S)
        self.client.close()
        return self._found[0]


def wait_until(is_met: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < end, "the condition was not met in time"
        threading.Event().wait(0.01)


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """While this file is there, rows of 99 are held."""
    return tmp_path / "gate"


@pytest.fixture
def up(project: Path, tidegate, gate: Path) -> Iterator[Callable[..., Service]]:
    """`up("workers = 2", held=True)` serves a first release, of the model that can be held or of the one in ONNX."""

    def start(*lines: str, held: bool = False) -> Service:
        port = free_port()
        settings = project / "tidegate.toml"
        text = settings.read_text()
        if held:
            (project / "predictor.py").write_text(PREDICTOR.replace("GATE", str(gate)))
            text = text.replace("[model]", '[model]\npredictor = "predictor.py:Held"')
        settings.write_text("\n".join([text, "[serve]", f'address = "127.0.0.1:{port}"', *lines, ""]))
        for words in (("repro",), ("gate",), ("plan",), ("apply",), ("up",)):
            tidegate(project, *words)
        return Service(project, port, gate)

    yield start
    gate.unlink(missing_ok=True)
    tidegate(project, "down")


@contextmanager
def held(service: Service, request: str = "held") -> Iterator[Pending]:
    """A request that the model has, and holds."""
    service.gate.touch()
    pending = service.start(x_request_id=request)
    try:
        wait_until(lambda: is_busy(service))
        yield pending
    finally:
        service.gate.unlink(missing_ok=True)


def is_busy(service: Service) -> bool:
    """Whether rows wait for the model, by the gateway's own count."""
    client = Client(service.port)
    text = client.ask(None, "GET", "/metrics").body["text"]
    client.close()
    line = next(line for line in text.splitlines() if line.startswith("tidegate_waiting_rows"))
    return float(line.split()[-1]) > 0


def test_swaps_of_the_live_bundle_fail_no_request(up, tidegate, candidate) -> None:
    service = up()
    live = {bundle_of(service.root)}
    candidate(service.root, slope=2.0, wrong=4)
    with Load(service.port) as load:
        load.wait(50)
        for words in (("repro",), ("gate",), ("plan",), ("apply",), ("rollout", "promote")):
            tidegate(service.root, *words)
        live.add(bundle_of(service.root))
        for number in ("1", "2", "1"):
            tidegate(service.root, "rollback", "--to", number)
            now = bundle_of(service.root)
            wait_until(lambda now=now: load.broken or load.replies[-1].headers["x-tidegate-bundle"] == now)
        load.wait(50)
    assert load.broken == []
    assert {reply.status for reply in load.replies} == {200}
    assert {reply.headers["x-tidegate-bundle"] for reply in load.replies} == live
    assert all(reply.body["bundle"] == reply.headers["x-tidegate-bundle"] for reply in load.replies)
    assert all(reply.body["predictions"] == [1] for reply in load.replies)


def bundle_of(root: Path) -> str:
    from tidegate.store.layout import Layout
    from tidegate.store.ledger import open_ledger

    with open_ledger(Layout(root).ledger) as ledger:
        live = ledger.state().live
    assert live
    return live.bundle


def test_the_end_answers_every_request_that_was_sent(up, tidegate) -> None:
    service = up()
    idle = Client(service.port)
    assert idle.ask().status == 200
    worker = service.pid()
    with Load(service.port) as load:
        load.wait(100)
        tidegate(service.root, "down")
        load.join()
    assert load.broken == []
    assert {reply.status for reply in load.replies} == {200}
    assert [reply.headers["connection"] for reply in load.replies if "connection" in reply.headers] == [
        "close"
    ] * CLIENTS
    assert is_gone(worker)
    assert idle.connection.sock.recv(1) == b""
    idle.close()


def test_what_the_model_has_is_answered_before_the_end(up) -> None:
    service = up(held=True)
    with held(service) as pending:
        process, worker = service.pid("supervisor"), service.pid()
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: refuses(service.port))
        assert not is_gone(worker)
    reply = pending.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    wait_until(lambda: is_gone(worker))
    assert service.statuses("held") == [200]


def refuses(port: int) -> bool:
    """Whether a worker that ends takes no new connection: it may be there, but nobody answers."""
    with socket.socket() as client:
        client.settimeout(0.2)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            return not client.recv(1)
        except OSError:
            return True


def test_what_runs_longer_than_the_drain_is_cut(up) -> None:
    service = up('drain = "1s"', held=True)
    service.gate.touch()
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_S) as client:
        body = json.dumps(HELD).encode()
        client.sendall(
            b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        wait_until(lambda: is_busy(service))
        os.kill(service.pid(), signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            assert client.recv(1) == b""
            raise ConnectionResetError


def test_up_and_down_again_and_again(up, tidegate) -> None:
    service = up()
    for number in range(3):
        tidegate(service.root, "down")
        assert refuses(service.port)
        tidegate(service.root, "up")
        client = Client(service.port)
        assert client.ask(x_request_id=f"up-{number}").status == 200
        client.close()
        assert service.statuses(f"up-{number}") == [200]
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("way", ["header", "parameter"])
def test_a_deadline_holds_while_the_request_waits_in_line(up, way: str) -> None:
    service = up(held=True)
    with held(service) as first:
        client = Client(service.port)
        if way == "header":
            late = client.ask(x_request_id="late", x_request_timeout_ms="100")
        else:
            tensor = {"name": "x0", "shape": [1], "datatype": "FP64", "data": [1.0]}
            inputs = [tensor, {**tensor, "name": "x1"}]
            body = {"id": "late", "inputs": inputs, "parameters": {"timeout": 100_000}}
            late = client.ask(body, path="/v2/models/tiny/infer")
        assert late.status == 504
        assert late.body == {"error": "the answer was not there at the request's deadline"}
    assert first.reply().status == 200
    assert client.ask(x_request_id="next").status == 200
    client.close()
    assert (service.statuses("held"), service.statuses("late"), service.statuses("next")) == (
        [200],
        [504],
        [200],
    )


def test_more_rows_than_can_wait_are_sent_away(up) -> None:
    service = up(held=True)
    rows = {"rows": [[1.0, 2.0]] * 1024}
    with held(service) as first:
        waiting = [service.start(rows, x_request_id=f"w{number}") for number in range(15)]
        client = Client(service.port)
        refused: list[Reply] = []

        def is_full() -> bool:
            found = client.ask(rows, x_request_id="too-many", x_request_timeout_ms="200")
            refused.extend([found] if found.status == 503 else [])
            return bool(refused)

        wait_until(is_full)
        assert refused[0].headers["retry-after"] == "1"
        assert "rows are waiting" in refused[0].body["error"]
        assert client.ask(None, "GET", "/readyz").status == 200
    assert first.reply().status == 200
    assert {one.reply().status for one in waiting} <= {200, 503}
    assert client.ask().status == 200
    client.close()


def test_a_client_that_leaves_disturbs_nobody_in_its_batch(up) -> None:
    service = up(held=True)
    with held(service) as first:
        stays = [service.start(ROW, x_request_id=f"stays-{number}") for number in range(3)]
        for number in range(3):
            with socket.create_connection(("127.0.0.1", service.port)) as gone:
                body = json.dumps(ROW).encode()
                head = f"POST /predict HTTP/1.1\r\nhost: x\r\nx-request-id: gone-{number}\r\n"
                gone.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    assert first.reply().status == 200
    for number, one in enumerate(stays):
        reply = one.reply()
        assert (reply.status, reply.body["request_id"]) == (200, f"stays-{number}")
    client = Client(service.port)
    assert client.ask().status == 200
    client.close()


def test_slow_senders_do_not_keep_others_from_being_served(up) -> None:
    service = up()
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(200)]
    with Load(service.port) as load:
        for byte in b"POST /predict HTTP/1.1\r\nhost: x\r\n":
            for one in slow:
                one.sendall(bytes([byte]))
        load.wait(50)
    assert load.broken == []
    assert {reply.status for reply in load.replies} == {200}
    for one in slow:
        one.close()


def test_connections_without_end_leave_files_for_the_log(up, tidegate) -> None:
    service = up()
    tidegate(service.root, "down")
    command = [sys.executable, "-c", FEW_FILES.format(files=400)]
    with subprocess.Popen(command, cwd=service.root, stdout=subprocess.PIPE) as serving:
        assert serving.stdout
        serving.stdout.readline()
        many: list[socket.socket] = []
        try:
            for _ in range(600):
                many.append(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_S))
            body = json.dumps(ROW).encode()
            head = "POST /predict HTTP/1.1\r\nhost: x\r\nx-request-id: first"
            many[0].sendall(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            assert many[0].recv(99).startswith(b"HTTP/1.1 200 ")
            assert service.statuses("first") == [200]
        finally:
            for one in many:
                one.close()
            serving.terminate()


def test_two_workers_share_the_load_count_together_and_come_back(up) -> None:
    service = up("workers = 2")
    names = ("gateway-0", "gateway-1")
    with Load(service.port) as load:
        load.wait(200)
    assert load.broken == []
    asked: list[int] = []

    def have_both_answered() -> bool:
        client = Client(service.port)
        asked.append(client.ask(x_request_id=f"two-{len(asked)}").status)
        client.close()
        log = service.root / ".tidegate/log"
        return all(any(name in path.name for path in log.iterdir()) for name in names)

    wait_until(have_both_answered)
    assert set(asked) == {200}
    before = {name: service.pid(name) for name in names}
    n = len(load.replies) + len(asked)
    wait_until(lambda: counted(service) == n)
    # what a worker has not left for the others by now would go with it
    wait_until(lambda: kept(service) == n)
    os.kill(before["gateway-0"], signal.SIGKILL)
    wait_until(lambda: service.pid("gateway-0") != before["gateway-0"])
    assert service.pid("gateway-1") == before["gateway-1"]
    with Load(service.port) as load:
        load.wait(100)
    assert load.broken == []
    wait_until(lambda: counted(service) == n + len(load.replies))


def kept(service: Service) -> float:
    """The answered predictions that the workers have left in their files."""
    snapshots = [
        msgspec.json.decode(path.read_bytes(), type=Snapshot)
        for path in Layout(service.root).metrics.glob(f"*{SUFFIX}")
    ]
    cells = [cell for one in snapshots for cell in one.histograms.get(REQUESTS, [])]
    return sum(sum(counts[:-1]) for labels, counts in cells if labels[:2] == ("/predict", "200"))


def counted(service: Service) -> float:
    """The answered predictions by the metrics of whichever worker is asked."""
    client = Client(service.port)
    text = client.ask(None, "GET", "/metrics").body["text"]
    client.close()
    start = "tidegate_request_duration_seconds_count{"
    lines = [line for line in text.splitlines() if line.startswith(start) and 'path="/predict"' in line]
    return sum(float(line.split()[-1]) for line in lines if 'status="200"' in line)
