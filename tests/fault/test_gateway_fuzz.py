"""Malformed requests against a running gateway: none breaks it, none leaves anything behind."""

import gzip
import importlib.util
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks/fuzz.py"
REQUESTS = 2_000
BOMB_BYTES = 7_900_000
ENOUGH_BYTES = 60_000_000
PATIENCE_S = 30.0
LIVE = "/inference.GRPCInferenceService/ServerLive"


class Target(NamedTuple):
    """A running gateway and its project."""

    root: Path
    gateway: object

    def log(self) -> str:
        return (self.root / ".tidegate/run/up.log").read_text()


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    """The benchmark of the same name, which sends more of them."""
    if not SCRIPT.exists():
        pytest.skip("the benchmarks are not here")
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


@pytest.fixture(scope="module")
def target(fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    root = tmp_path_factory.mktemp("fuzz")
    with fuzz.running(root) as gateway:
        yield Target(root, gateway)


def request(path: str, body: bytes, *lines: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def connect(target: Target) -> socket.socket:
    return socket.create_connection(("127.0.0.1", target.gateway.port), timeout=PATIENCE_S)


def read_reply(client: socket.socket) -> tuple[int, bytes]:
    """The status and body of the next reply."""
    file = client.makefile("rb", buffering=0)
    status = int(file.readline().split()[1])
    size = 0
    while line := file.readline().strip():
        name, _, value = line.partition(b": ")
        size = int(value) if name == b"content-length" else size
    body = b""
    while len(body) < size:
        body += file.read(size - len(body))
    return status, body


def test_no_malformed_request_breaks_the_gateway_or_leaves_anything(fuzz, target) -> None:
    cases, tally, gateway = fuzz.Malformed(11), fuzz.Tally(), target.gateway
    fuzz.attack(gateway, cases, REQUESTS // 2, tally)
    half, files = gateway.memory(), gateway.settled_files(0)
    fuzz.attack(gateway, cases, REQUESTS // 2, tally)
    fuzz.check_good(gateway, tally)
    assert tally.problems == []
    assert set(tally.counts) == {*cases.kinds, "frames of HTTP/2", "calls of gRPC"}
    assert gateway.memory() - half < ENOUGH_BYTES
    assert gateway.settled_files(files) <= files
    assert int((target.root / ".tidegate/run/gateway-0.pid").read_text()) == gateway.pid
    assert "Traceback" not in target.log()


def test_what_was_refused_is_counted(target) -> None:
    with connect(target) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        status, body = read_reply(client)
    assert status == 200
    name = "tidegate_request_duration_seconds_count{"
    counted = [line for line in body.decode().splitlines() if line.startswith(name)]
    assert any('status="400"' in line for line in counted)
    # the names of paths are those of routes, whatever clients ask for
    assert len(counted) < 100


def ask_until_live(port: int) -> bytes:
    """What the server says to whether it is live; a call that its end cuts off is asked again."""
    import grpc

    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                return channel.unary_unary(LIVE)(b"", timeout=PATIENCE_S, wait_for_ready=True)
        except grpc.RpcError:
            if time.monotonic() > end:
                raise


def test_a_path_that_is_not_utf8_does_not_end_grpc(fuzz, target) -> None:
    from malformed import Case, _frame, _text

    given = {":method": "POST", ":scheme": "http", ":path": "/\xff\xfe", ":authority": "x", "te": "trailers"}
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in given.items())
    frames = _frame(4, 0, 0, b"") + _frame(1, 5, 1, block)
    tally = fuzz.Tally()
    case = Case("frames of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)
    for _ in range(3):
        fuzz.asyncio.run(fuzz._attack(target.gateway.grpc, [case], tally))
        assert ask_until_live(target.gateway.grpc) == b"\x08\x01"
    assert tally.problems == []
    assert "Traceback" not in target.log()


def test_idle_connections_keep_no_bodies(target) -> None:
    body = gzip.compress(b" " * BOMB_BYTES + b'{"row": [1.0, 2.0]}')
    clients = [connect(target) for _ in range(30)]
    before = target.gateway.memory()
    try:
        for client in clients:
            client.sendall(request("/predict", body, "content-encoding: gzip"))
            assert read_reply(client)[0] == 200
        assert target.gateway.memory() - before < ENOUGH_BYTES
    finally:
        for client in clients:
            client.close()


def test_small_bodies_that_become_large_wait_packed(target) -> None:
    body = gzip.compress(b" " * BOMB_BYTES + b'{"row": [1.0, 2.0]}')
    before = most = target.gateway.memory()
    with connect(target) as client:
        client.sendall(request("/predict", body, "content-encoding: gzip") * 30)
        for _ in range(30):
            status, answer = read_reply(client)
            assert (status, json.loads(answer)["predictions"]) == (200, [1])
            most = max(most, target.gateway.memory())
    assert most - before < ENOUGH_BYTES


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "content-encoding", "host"])
def test_a_header_that_may_come_once_comes_once(target, name: str) -> None:
    with connect(target) as client:
        client.sendall(request("/predict", b"{}", f"{name}: identity", f"{name}: identity"))
        status, body = read_reply(client)
    assert (status, json.loads(body)) == (400, {"error": f"`{name}` comes twice"})


def test_connections_that_say_nothing_leave_room_for_others(target) -> None:
    silent = [connect(target) for _ in range(300)]
    try:
        for client in silent:
            client.sendall(b"POST /predict HTTP/1.1\r\nhost")
        began = time.monotonic()
        with connect(target) as client:
            client.sendall(request("/predict", b'{"row": [1.0, 2.0]}'))
            assert read_reply(client)[0] == 200
        assert time.monotonic() - began < PATIENCE_S
    finally:
        for client in silent:
            client.close()
