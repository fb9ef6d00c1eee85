"""Requests out of bytes: whatever was read of heads before, the same requests come out."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.serve import assembly
from tidegate.serve.assembly import Assembly, Budget, Heads
from tidegate.serve.request import HttpError, Request

LAW = settings(max_examples=300, deadline=None, derandomize=True)
LIMIT = 1000


class Taken:
    """An assembly with what it has made of the bytes so far."""

    def __init__(self, heads: Heads) -> None:
        self.found: list[tuple[object, ...]] = []
        self.budget = Budget(LIMIT)
        self.assembly = Assembly(self.budget, heads, self._take, lambda head: True)

    def _take(self, request: Request | HttpError, *, keeps: bool) -> None:
        if isinstance(request, HttpError):
            self.found.append((str(request), keeps))
            return
        self.budget.give(len(request.body))
        self.found.append((request.method, request.path, request.headers, request.body, keeps))

    def feed(self, data: bytes) -> bool:
        """Whether these bytes are part of requests."""
        try:
            self.assembly.feed(data)
        except HttpError as error:
            self.found.append((error.status, str(error)))
            return False
        return True


def post(body: bytes, *lines: bytes, length: bytes | None = None) -> bytes:
    size = b"content-length: %d" % len(body) if length is None else length
    return b"\r\n".join([b"POST /predict?x=%41 HTTP/1.1", b"Host: x", size, *lines]) + b"\r\n\r\n" + body


PLAIN = post(b'{"row": [1]}')
OTHER = post(b'{"row": [2]}')
CHUNKED = post(b"5\r\nhello\r\n0\r\n\r\n", length=b"transfer-encoding: chunked")
LAST = post(b"bye", b"connection: close")
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
LENIENT = b"GET /a HTTP/1.1\r\nhost: x\n\r\n\r\n"
BAD = post(b"x", length=b"content-length: 1\r\ncontent-length: 2")
TWICE = post(b"x", b"X-Api-Key: a", b"x-api-key: b")
PIECES = [
    PLAIN,
    OTHER,
    CHUNKED,
    GET,
    LENIENT,
    post(b""),
    post(b"ab", b"Expect: 100-continue"),
    LAST,
    BAD,
    TWICE,
]


def test_a_repeated_head_is_not_parsed_again(monkeypatch) -> None:
    taken = Taken(Heads())
    assert taken.feed(PLAIN)
    monkeypatch.setattr(taken.assembly, "_parse", lambda data: pytest.fail("parsed again"))
    assert taken.feed(OTHER)
    headers = {b"host": b"x", b"content-length": b"12"}
    assert taken.found == [
        ("POST", "/predict", headers, b'{"row": [1]}', True),
        ("POST", "/predict", headers, b'{"row": [2]}', True),
    ]


@pytest.mark.parametrize("data", [CHUNKED, LAST, PLAIN + PLAIN, PLAIN[:-1]])
def test_only_the_head_of_one_whole_request_is_remembered(data) -> None:
    heads = Heads()
    Taken(heads).feed(data)
    assert heads.find(data[: data.find(b"\r\n\r\n") + 4]) is None


@LAW
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.data())
def test_what_is_remembered_changes_nothing(pieces, data) -> None:
    heads = Heads()
    for piece in PIECES:
        Taken(heads).feed(piece)
    stream = b"".join(pieces)
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    cuts = data.draw(st.sets(st.integers(0, len(stream)), max_size=4)) | set(
        data.draw(st.lists(st.sampled_from(ends)))
    )
    marks = sorted({0, *cuts, len(stream)})
    parts = [stream[i:j] for i, j in itertools.pairwise(marks)]
    known, unknown = Taken(heads), Taken(Heads())
    for part in parts:
        # a parser that has never met a head twice
        unknown.assembly._heads = Heads()
        goes_on = unknown.feed(part)
        assert known.feed(part) == goes_on
        assert known.found == unknown.found
        if not goes_on or unknown.assembly.is_over:
            break
    assert known.assembly.is_open == unknown.assembly.is_open


def test_a_repeated_head_takes_its_part_of_the_budget(monkeypatch) -> None:
    taken = Taken(Heads())
    assert taken.feed(PLAIN)
    taken.budget.take(LIMIT * assembly.BODIES - 5)
    assert not taken.feed(PLAIN)
    assert taken.found[-1][0] == 503


def test_the_oldest_heads_are_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(assembly, "MAX_HEADS", 3)
    heads = Heads()
    given = [post(b"x", b"x-request-id: %d" % i) for i in range(5)]
    for one in given:
        Taken(heads).feed(one)
    assert [heads.find(one[:-1]) is not None for one in given] == [False, False, True, True, True]


def test_a_long_head_is_not_remembered() -> None:
    heads = Heads()
    long = post(b"x", b"x-note: " + b"a" * assembly.MAX_HEAD_BYTES)
    taken = Taken(heads)
    assert taken.feed(long)
    assert heads.find(long[:-1]) is None
