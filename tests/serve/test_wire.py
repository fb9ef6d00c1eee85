"""The front on a socket: replies keep their order, nothing is read or kept without a bound, stopping loses nothing."""

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.serve import assembly, runner, wire
from tidegate.serve import engine as engines
from tidegate.serve.costs import REMEMBERED
from tidegate.serve.http import App
from tidegate.serve.wire import Front, Limits

LIMIT = 10_000
WAIT_S = 10.0
ROW = json.dumps({"row": [1, 2, 3]}).encode()
FUZZ = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Reply(NamedTuple):
    """A reply as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def reply(self, *, is_head: bool = False) -> Reply:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
        first, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        size = 0 if is_head else int(headers.get("content-length", 0))
        return Reply(
            int(first.split()[1]), headers, await asyncio.wait_for(self.reader.readexactly(size), WAIT_S)
        )

    async def end(self) -> bytes:
        """What still comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), WAIT_S)


def request(path: str = "/predict", body: bytes = ROW, *lines: str, method: str = "POST") -> bytes:
    """A request as a client writes it."""
    head = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.fixture
def serve(gateway) -> Callable[[Callable[[Front, Callable[[], Awaitable[Client]]], Awaitable[None]]], None]:
    """`serve(talk)` runs `talk(front, connect)` against a front on a socket of its own."""

    def run(talk) -> None:
        async def main() -> None:
            front = Front(App(gateway.service), Limits(LIMIT, 5.0))
            listening = socket.create_server(("127.0.0.1", 0))
            await front.start(listening)
            opened: list[Client] = []

            async def connect() -> Client:
                client = Client(*await asyncio.open_connection(*listening.getsockname()[:2]))
                opened.append(client)
                return client

            try:
                await asyncio.wait_for(talk(front, connect), 60)
            finally:
                for client in opened:
                    client.writer.close()
                await front.stop()

        asyncio.run(main())

    return run


def talk_to(serve, *parts: bytes, replies: int = 1, ends: bool = False) -> list[Reply]:
    """What comes back to these bytes."""
    found: list[Reply] = []

    async def talk(front, connect) -> None:
        client = await connect()
        await client.send(*parts)
        for _ in range(replies):
            found.append(await client.reply())
        if ends:
            assert await client.end() == b""

    serve(talk)
    return found


def test_a_request_is_answered_and_the_connection_kept(serve) -> None:
    first, second = talk_to(serve, request(), request(), replies=2)
    assert (first.status, second.status) == (200, 200)
    assert json.loads(first.body)["predictions"] == ["c"]
    assert "connection" not in first.headers
    assert first.headers["date"].endswith("GMT")


def test_pipelined_requests_are_answered_in_their_order(serve) -> None:
    ids = [f"r-{number}" for number in range(60)]
    replies = talk_to(
        serve, b"".join(request("/predict", ROW, f"x-request-id: {one}") for one in ids), replies=60
    )
    assert [reply.headers["x-request-id"] for reply in replies] == ids


@pytest.mark.parametrize("lone_turns", [0, engines.LONE_TURNS], ids=["at once", "in turns"])
@pytest.mark.parametrize("n", [3, 200])
def test_pipelined_requests_in_one_packet_keep_their_order_when_some_are_answered_at_once(
    serve, gateway, monkeypatch, n: int, lone_turns: int
) -> None:
    monkeypatch.setattr(engines, "LONE_TURNS", lone_turns)
    monkeypatch.setattr(runner, "SLOW_S", 1e9)
    ids = [f"r-{number}" for number in range(n)]
    data = b"".join(request("/predict", ROW, f"x-request-id: {one}") for one in ids)
    replies = talk_to(serve, data, replies=n)
    assert [reply.headers["x-request-id"] for reply in replies] == ids
    assert {reply.status for reply in replies} == {200}
    assert [row.request for row in gateway.rows] == ids
    assert gateway.engine.waiting_rows == 0


def test_bytes_may_come_one_by_one(serve) -> None:
    whole = request("/v2?x=1", b"", method="GET")
    (reply,) = talk_to(serve, *(whole[i : i + 1] for i in range(len(whole))))
    assert json.loads(reply.body)["name"] == "tidegate"


def test_a_body_in_chunks_is_one_body(serve) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(ROW[i : i + 4]), ROW[i : i + 4]) for i in range(0, len(ROW), 4))
    (reply,) = talk_to(serve, head, chunks + b"0\r\nx-late: 1\r\n\r\n")
    assert reply.status == 200


def test_a_client_that_asks_first_is_told_to_go_on(serve) -> None:
    async def talk(front, connect) -> None:
        client = await connect()
        whole = request("/predict", ROW, "expect: 100-continue")
        await client.send(whole[: -len(ROW)])
        assert (await client.reply()).status == 100
        await client.send(ROW)
        assert (await client.reply()).status == 200

    serve(talk)


def test_a_head_has_the_length_but_not_the_body(serve) -> None:
    async def talk(front, connect) -> None:
        client = await connect()
        await client.send(request("/v2", b"", method="HEAD"))
        reply = await client.reply(is_head=True)
        assert (reply.status, int(reply.headers["content-length"]) > 0) == (200, True)
        await client.send(request())
        assert (await client.reply()).status == 200

    serve(talk)


@pytest.mark.parametrize("line", ["connection: close", "Connection: Close"])
def test_a_client_that_wants_to_end_is_let_go(serve, line: str) -> None:
    (reply,) = talk_to(serve, request("/predict", ROW, line), ends=True)
    assert (reply.status, reply.headers["connection"]) == (200, "close")


def test_http_1_0_gets_one_answer(serve) -> None:
    (reply,) = talk_to(serve, b"GET /v2 HTTP/1.0\r\n\r\n", ends=True)
    assert reply.status == 200


def test_an_offer_of_another_protocol_is_answered_in_this_one(serve) -> None:
    upgrade = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    (reply,) = talk_to(serve, request("/v2", b"", *upgrade, method="GET"))
    assert reply.status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v2 HTTP/9.9\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
        (b"GET /v2 HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(200)) + b"\r\n", 431),
        (b"GET /v2 HTTP/1.1\r\nx-long: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"POST /predict HTTP/1.1\r\ncontent-length: 10001\r\n\r\n", 413),
        (b"POST /predict HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2711\r\n" + b"x" * 10_001, 413),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(serve, data: bytes, status: int) -> None:
    (reply,) = talk_to(serve, data, ends=True)
    assert (reply.status, reply.headers["connection"]) == (status, "close")
    assert json.loads(reply.body)["error"]


def test_requests_before_a_malformed_one_are_answered(serve) -> None:
    good, bad = talk_to(serve, request() + b"nonsense\r\n\r\n", replies=2, ends=True)
    assert (good.status, bad.status) == (200, 400)


@pytest.mark.parametrize(
    ("head", "name"), [(b"POST /predict HTTP/1.1\r\nhost:", "HEAD_S"), (request()[:-3], "BODY_S")]
)
def test_a_request_that_dawdles_is_refused(serve, monkeypatch, head: bytes, name: str) -> None:
    monkeypatch.setattr(wire, name, 0.0)
    monkeypatch.setattr(wire, "SWEEP_S", 0.01)
    (reply,) = talk_to(serve, head, ends=True)
    assert reply.status == 408


def test_an_idle_connection_is_closed(serve, monkeypatch) -> None:
    monkeypatch.setattr(wire, "IDLE_S", 0.0)
    monkeypatch.setattr(wire, "SWEEP_S", 0.01)
    talk_to(serve, replies=0, ends=True)


def test_more_connections_than_allowed_are_told_to_come_back(serve) -> None:
    async def talk(front, connect) -> None:
        front.limits = front.limits._replace(connections=1)
        first = await connect()
        await first.send(request())
        assert (await first.reply()).status == 200
        second = await connect()
        reply = await second.reply()
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")

    serve(talk)


def test_far_more_connections_than_allowed_are_cut(serve, monkeypatch) -> None:
    monkeypatch.setattr(wire, "MAX_TOLD", 0)

    async def talk(front, connect) -> None:
        front.limits = front.limits._replace(connections=1)
        first = await connect()
        await first.send(request())
        assert (await first.reply()).status == 200
        second = await connect()
        with contextlib.suppress(ConnectionResetError):
            assert await second.end() == b""
        await first.send(request())
        assert (await first.reply()).status == 200

    serve(talk)


def test_a_client_that_does_not_read_is_cut(serve, monkeypatch) -> None:
    monkeypatch.setattr(wire, "WRITE_S", 0.0)
    monkeypatch.setattr(wire, "SWEEP_S", 0.01)
    monkeypatch.setattr(wire, "HIGH_WATER_BYTES", 1)

    async def talk(front, connect) -> None:
        client = await connect()
        client.writer.transport.pause_reading()
        with pytest.raises(ConnectionError):
            while True:
                await client.send(request("/v2/openapi.json", b"", method="GET") * 100)

    serve(talk)


def test_a_client_that_leaves_harms_no_neighbor_of_its_batch(serve, gateway) -> None:
    async def talk(front, connect) -> None:
        gone, stays = await connect(), await connect()
        await gone.send(request("/predict", ROW, "x-request-id: gone"))
        gone.writer.transport.abort()
        await stays.send(request("/predict", ROW, "x-request-id: stays"))
        reply = await stays.reply()
        assert (reply.status, reply.headers["x-request-id"]) == (200, "stays")

    serve(talk)
    assert "stays" in [row.request for row in gateway.rows]


def test_bodies_are_bounded_together_and_room_comes_back(serve, monkeypatch) -> None:
    monkeypatch.setattr(assembly, "BODIES", 1)
    part = request("/predict", b" " * LIMIT)[:-4_000]

    async def talk(front, connect) -> None:
        left = front.budget._left
        first, second, third = [await connect() for _ in range(3)]
        await first.send(part)
        await until(lambda: front.budget._left < left)
        await second.send(part)
        reply = await second.reply()
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        packed = gzip.compress(b" " * (LIMIT - len(ROW)) + ROW)
        await third.send(request("/predict", packed, "content-encoding: gzip"))
        assert (await third.reply()).status == 503
        first.writer.transport.abort()
        second.writer.transport.abort()
        await until(lambda: front.budget._left == left)
        await third.send(request("/predict", packed, "content-encoding: gzip"))
        assert (await third.reply()).status == 200
        await third.send(request("/none", b"x"))
        assert (await third.reply()).status == 404
        assert front.budget._left == left

    serve(talk)


async def until(is_met: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_met():
            await asyncio.sleep(0.01)


def test_stopping_answers_what_runs_and_refuses_the_rest(serve, gateway, monkeypatch) -> None:
    async def talk(front, connect) -> None:
        client, idle = await connect(), await connect()
        await client.send(request())
        assert (await client.reply()).status == 200
        await idle.send(request())
        assert (await idle.reply()).status == 200
        gateway.model.opened.clear()
        gateway.model.entered.clear()
        for _ in range(REMEMBERED):
            gateway.engine.runner.costs.learn(gateway.model.digest, 1, seconds=100.0)
        await client.send(request("/predict", ROW, "x-request-id: last"))
        assert await asyncio.to_thread(gateway.model.entered.wait, WAIT_S)
        stopping = asyncio.create_task(front.stop())
        assert await idle.end() == b""
        gateway.model.opened.set()
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        await stopping

    serve(talk)


@FUZZ
@given(st.data())
def test_no_bytes_break_the_front(serve, data) -> None:
    good = request("/v2", b"", method="GET")
    noise = data.draw(st.binary(max_size=200) | st.just(request()) | st.just(good))
    at = data.draw(st.integers(0, len(good)))
    mutant = good[:at] + noise + good[at:]

    async def talk(front, connect) -> None:
        client = await connect()
        await client.send(mutant)
        client.writer.write_eof()
        answer = await client.end()
        assert all(
            part.split(b" ", 1)[0] in (b"200", b"400", b"404", b"405", b"413", b"414", b"431")
            for part in answer.split(b"HTTP/1.1 ")[1:]
        )
        probe = await connect()
        await probe.send(good)
        assert (await probe.reply()).status == 200

    serve(talk)


def test_many_quick_requests_behind_a_prediction_hurt_nobody(serve, gateway) -> None:
    async def talk(front, connect) -> None:
        first, second = await connect(), await connect()
        many = request() + request("/v2", b"", method="GET") * 300
        first.writer.write(many)
        second.writer.write(request())
        assert (await second.reply()).status == 200
        for _ in range(301):
            assert (await first.reply()).status == 200
        assert gateway.engine.waiting_rows == 0

    serve(talk)
