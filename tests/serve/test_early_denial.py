"""Keys are asked for as soon as a request's head is there: who has none sends no body, who has one sends it as ever."""

import asyncio
import hashlib
import json
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from tidegate.domain import AccessKey
from tidegate.serve.access import Access
from tidegate.serve.costs import REMEMBERED
from tidegate.serve.http import App
from tidegate.serve.wire import Front, Limits

LIMIT = 20_000_000
LARGE = 10_000_000
WAIT_S = 10.0
ROW = json.dumps({"row": [1, 2, 3]}).encode()
APP, SLOW = "authorization: Bearer tg_app", "authorization: Bearer tg_slow"
EXPECT = "expect: 100-continue"
CHUNKED = "transfer-encoding: chunked"
NO_KEY = {"error": "no such key, send `authorization: Bearer KEY`"}


def key(name: str, role: str, rate: float | None = None) -> AccessKey:
    return AccessKey(name, hashlib.sha256(f"tg_{name}".encode()).hexdigest(), (role,), rate, 0.0)


# at this rate a bucket holds one token, and no other one comes while a test runs
KEYS = (key("app", "predict"), key("truth", "label"), key("slow", "predict", 0.001))


class Reply(NamedTuple):
    """A reply as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> Reply:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
        first, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        size = int(headers.get("content-length", 0))
        body = await asyncio.wait_for(self.reader.readexactly(size), WAIT_S)
        return Reply(int(first.split()[1]), headers, body)

    async def end(self) -> bytes:
        """What still comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), WAIT_S)


Talk = Callable[[Front, Client], Awaitable[None]]


@pytest.fixture
def serve(gateway) -> Callable[[Talk], None]:
    """`serve(talk)` runs `talk(front, client)` against a front that asks for keys."""
    gateway.service.access = Access(KEYS)

    async def main(talk: Talk) -> None:
        front = Front(App(gateway.service), Limits(LIMIT, 5.0))
        listening = socket.create_server(("127.0.0.1", 0))
        await front.start(listening)
        client = Client(*await asyncio.open_connection(*listening.getsockname()[:2]))
        try:
            await asyncio.wait_for(talk(front, client), 60)
        finally:
            client.writer.close()
            await front.stop()

    return lambda talk: asyncio.run(main(talk))


def head(size: int, *lines: str, path: str = "/predict", method: str = "POST") -> bytes:
    """The head of a request with so many bytes to follow, or with chunks."""
    length = [] if CHUNKED in lines else [f"content-length: {size}"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *length, *lines]).encode() + b"\r\n\r\n"


def whole(*lines: str) -> bytes:
    """A request in one piece."""
    return head(len(ROW), *lines) + ROW


def refused(gateway, status: int) -> float:
    """How many requests were counted as refused with this status."""
    text = gateway.service.metrics.render().decode()
    marks = ("_count{", 'path="refused"', f'status="{status}"')
    return sum(float(line.split()[-1]) for line in text.splitlines() if all(mark in line for mark in marks))


@pytest.mark.parametrize(
    ("lines", "path", "status"),
    [
        ((), "/predict", 401),
        ((EXPECT,), "/predict", 401),
        ((CHUNKED,), "/predict", 401),
        (("authorization: Bearer tg_other",), "/predict", 401),
        (("authorization: Bearer tg_truth",), "/predict", 403),
        ((APP,), "/labels", 403),
        ((), "/nowhere", 404),
        (("x-request-id: " + "a" * 1000,), "/predict", 400),
    ],
)
def test_a_request_that_is_denied_is_answered_before_its_body(
    serve, gateway, lines, path, status: int
) -> None:
    async def talk(front, client) -> None:
        left = front.budget._left
        await client.send(head(LARGE, *lines, path=path))
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert await client.end() == b""
        assert front.budget._left == left

    serve(talk)
    assert refused(gateway, status) == 1
    assert gateway.rows == []


def test_the_reply_is_the_one_that_comes_after_a_body(serve) -> None:
    async def talk(front, client) -> None:
        lines = ("x-request-id: r-1",)
        await client.send(whole(*lines))
        late = await client.reply()
        await client.send(head(LARGE, *lines))
        early = await client.reply()
        assert "connection" not in late.headers
        assert early.headers.pop("connection") == "close"
        assert {**early.headers, "date": ""} == {**late.headers, "date": ""}
        assert (early.status, early.body) == (late.status, late.body) == (401, early.body)
        assert json.loads(early.body) == NO_KEY
        assert early.headers["www-authenticate"] == "Bearer"
        assert early.headers["x-request-id"] == "r-1"

    serve(talk)


def test_a_client_that_sends_its_body_all_the_same_gets_the_reply(serve) -> None:
    async def talk(front, client) -> None:
        left = front.budget._left
        await client.send(head(LARGE))
        await client.send(b" " * LARGE)
        assert (await client.reply()).status == 401
        assert front.budget._left == left
        assert await client.end() == b""

    serve(talk)


def test_the_part_of_a_body_that_came_along_takes_no_room(serve) -> None:
    async def talk(front, client) -> None:
        left = front.budget._left
        await client.send(head(LARGE) + b" " * 1000)
        assert (await client.reply()).status == 401
        assert front.budget._left == left

    serve(talk)


def test_a_head_that_comes_in_two_parts_is_denied_at_its_end(serve) -> None:
    async def talk(front, client) -> None:
        given = head(LARGE)
        await client.send(given[:-3])
        await asyncio.sleep(0.05)
        await client.send(given[-3:])
        assert (await client.reply()).status == 401

    serve(talk)


def test_a_head_request_is_denied_without_a_body(serve) -> None:
    async def talk(front, client) -> None:
        await client.send(head(LARGE, path="/v2", method="HEAD"))
        answer = await client.end()
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert answer.endswith(b"\r\n\r\n")

    serve(talk)


@pytest.mark.parametrize("lines", [(), (EXPECT,)])
def test_a_whole_request_that_is_denied_keeps_its_connection(serve, lines) -> None:
    async def talk(front, client) -> None:
        for _ in range(2):
            await client.send(whole(*lines))
            assert (await client.reply()).status == 401
        await client.send(whole(APP))
        assert (await client.reply()).status == 200

    serve(talk)


@pytest.mark.parametrize("data", [b"", b"not a row", ROW])
def test_a_path_that_needs_no_role_takes_a_body_without_a_key(serve, data: bytes) -> None:
    async def talk(front, client) -> None:
        await client.send(head(len(data), path="/healthz", method="GET"))
        await asyncio.sleep(0.05)
        await client.send(data)
        assert (await client.reply()).status == 200

    serve(talk)


@pytest.mark.parametrize("token", [APP, SLOW])
@pytest.mark.parametrize("cuts", [(0,), (0, 5), (0, 5, 9)])
def test_a_key_lets_a_body_through_in_parts(serve, token: str, cuts: tuple[int, ...]) -> None:
    async def talk(front, client) -> None:
        left = front.budget._left
        await client.send(head(len(ROW), token))
        for start, end in zip(cuts, (*cuts[1:], len(ROW)), strict=True):
            await asyncio.sleep(0.02)
            await client.send(ROW[start:end])
        reply = await client.reply()
        assert (reply.status, "connection" in reply.headers) == (200, False)
        assert front.budget._left == left
        await client.send(whole(APP))
        assert (await client.reply()).status == 200

    serve(talk)


def test_a_key_lets_chunks_through(serve) -> None:
    async def talk(front, client) -> None:
        await client.send(head(0, APP, CHUNKED))
        for part in (ROW[:5], ROW[5:]):
            await asyncio.sleep(0.02)
            await client.send(b"%x\r\n%b\r\n" % (len(part), part))
        await client.send(b"0\r\n\r\n")
        assert (await client.reply()).status == 200

    serve(talk)


def test_a_client_with_a_key_that_waits_is_told_to_go_on_once(serve) -> None:
    async def talk(front, client) -> None:
        await client.send(head(len(ROW), APP, EXPECT))
        assert (await client.reply()).status == 100
        await client.send(ROW[:5])
        await asyncio.sleep(0.02)
        await client.send(ROW[5:])
        assert (await client.reply()).status == 200

    serve(talk)


def test_replies_that_are_due_go_before_the_denial(serve, gateway) -> None:
    async def talk(front, client) -> None:
        gateway.model.opened.clear()
        # a model that is known to be slow is asked in a thread
        for _ in range(REMEMBERED):
            gateway.engine.runner.costs.learn(gateway.model.digest, 1, seconds=100.0)
        names = [f"x-request-id: r-{i}" for i in range(3)]
        await client.send(b"".join(whole(APP, name) for name in names) + head(LARGE, names[0]))
        assert await asyncio.to_thread(gateway.model.entered.wait, WAIT_S)
        gateway.model.opened.set()
        replies = [await client.reply() for _ in range(4)]
        assert [one.status for one in replies] == [200, 200, 200, 401]
        assert [one.headers["x-request-id"] for one in replies] == ["r-0", "r-1", "r-2", "r-0"]
        assert ["connection" in one.headers for one in replies] == [False, False, False, True]
        assert await client.end() == b""

    serve(talk)


def test_a_body_that_follows_pipelined_requests_is_let_through(serve) -> None:
    async def talk(front, client) -> None:
        await client.send(whole(APP) + whole(APP) + head(len(ROW), APP))
        assert [(await client.reply()).status for _ in range(2)] == [200, 200]
        await client.send(ROW + whole(APP))
        assert [(await client.reply()).status for _ in range(2)] == [200, 200]

    serve(talk)


@pytest.mark.parametrize("is_first_early", [False, True])
@pytest.mark.parametrize("is_second_early", [False, True])
def test_a_token_lets_one_request_through(serve, gateway, is_first_early, is_second_early) -> None:
    async def talk(front, client) -> None:
        for is_early, status in ((is_first_early, 200), (is_second_early, 429)):
            if is_early:
                await client.send(head(len(ROW), SLOW))
                await asyncio.sleep(0.05)
                await client.send(ROW)
            else:
                await client.send(whole(SLOW))
            reply = await client.reply()
            assert reply.status == status
        assert reply.headers["retry-after"] == "1"
        assert ("connection" in reply.headers) == is_second_early

    serve(talk)
    assert refused(gateway, 429) == 1
    assert len(gateway.rows) == 1


def test_while_a_gateway_asks_for_no_keys_the_body_comes_first(serve, gateway) -> None:
    gateway.service.access = Access(None)

    async def talk(front, client) -> None:
        await client.send(head(len(ROW), path="/nowhere"))
        await asyncio.sleep(0.02)
        await client.send(ROW + whole())
        first, second = await client.reply(), await client.reply()
        assert (first.status, "connection" in first.headers, second.status) == (404, False, 200)

    serve(talk)


def test_a_request_behind_the_last_reply_takes_no_token(serve, gateway) -> None:
    async def talk(front, client) -> None:
        # the reply before it is the last one, after which nothing can be written
        front.is_stopping = True
        await client.send(head(0, path="/healthz", method="GET") + head(LARGE, SLOW, EXPECT))
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await client.end() == b""

    serve(talk)
    assert gateway.service.access._buckets == {}
