"""Malformed requests by the seed: mutants of a valid request to every route, and bytes that never were one."""

import gzip
import json
import random
import struct
import zlib
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

LIMIT = 8_000_000
TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
RAW = {"name": "x", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}}
BINARY = json.dumps({"id": "b1", "inputs": [RAW], "outputs": [{"name": "predictions"}]}).encode()
BODIES: dict[str, Any] = {
    "/predict": {"rows": [[1.0, 2.0], {"x0": 3.0, "x1": 1.5}]},
    "/v2/models/tiny/infer": {"id": "q1", "inputs": [TENSOR], "parameters": {"timeout": 9_000_000}},
    "/v2/models/tiny/versions/1/infer": {"inputs": [TENSOR], "outputs": [{"name": "scores"}]},
    "/invocations": {"dataframe_split": {"columns": ["x0", "x1"], "data": [[1.0, 2.0]]}},
    "/labels": {"labels": [{"request": "q1", "truth": 1}]},
    "/v2/repository/index": {"ready": True},
    "/v2/repository/models/tiny/load": {"parameters": {}},
}
READ = (
    "/v2",
    "/metrics",
    "/healthz",
    "/readyz",
    "/v2/models/tiny",
    "/v2/models/tiny/ready",
    "/v2/openapi.json",
)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, -(10**400), 2**63, 2**64, 1e308, -0.0, "", "1", "\x00", "é" * 300, "\ud800",
    [], {}, [[]], [None], [[1, 2], [3]], {"": {}}, "NaN", "x" * 10_000, ["a"] * 1000, [[[[[[1]]]]]],
)  # fmt: skip
TOKENS = (
    b"NaN", b"Infinity", b"1e999", b"-", b"01", b"1" * 5000, b"'a'", b"\\u12", b'"\xff\xfe"', b'"\xed\xa0\x80"',
    b'"\\ud800"', b"/**/", b"{", b"]", b",,", b"\xef\xbb\xbf", b"\x00", b'"\n"', b"0x10", b"1_0", b"nul",
)  # fmt: skip
HEADERS = (
    b"x-request-id: %b", b"x-request-timeout-ms: %b", b"inference-header-content-length: %b",
    b"content-encoding: %b", b"accept-encoding: %b", b"content-type: %b", b"x-user: %b", b"authorization: Bearer %b",
    b"expect: %b", b"upgrade: %b", b"connection: %b", b"content-length: %b", b"transfer-encoding: %b", b"%b: 1",
    b"host: %b", b"%b",
)  # fmt: skip
VALUES = (
    b"", b" ", b"0", b"-1", b"+1", b"1e3", b"99999999999999999999", b"\xff\xfe", b"\x00", b"a b", b"\xc2\xb2", b"gzip",
    b"gzip, gzip", b"br", b"deflate", b"chunked", b"identity", b"chunked, identity", b"xchunked", b"100-continue",
    b"h2c", b"websocket", b"close, keep-alive", b"a" * 9000, b"1\r\n folded: yes", b"1\rx: y", b"1\nx: y", b"text/csv",
    b"application/json; charset=utf-16", b"multipart/form-data; boundary=x", b"\xd9\xa3", b"0x10", b"1;2",
)  # fmt: skip
TARGETS = (
    b"*", b"/", b"//", b"/../../etc/passwd", b"/%2e%2e/", b"/%", b"/v2/models/%00/infer", b"http://x/v2", b"x:1",
    b"/v2/models//infer", b"/v2/models/tiny/versions/" + b"9" * 500 + b"/infer", b"/v2/models/tiny/versions/-1/infer",
    b"/\xff\xfe", b"/" + b"a" * 9000, b"/?" + b"b" * 9000, b"/predict?x=1#y", b"/v2/repository/models/../load", b"",
    b"/v2/models/tiny/versions//infer", b"/PREDICT", b"/metrics/", b"/labels//",
)  # fmt: skip
METHODS = (
    b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH", b"get", b"POST", b"PRI",
    b"M-SEARCH", b"G\x00T", b"SOURCE", b"QUERY", b"\xff",
)  # fmt: skip
FOREIGN = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 500,
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x05\x01\x00",
    b"*1\r\n$4\r\nPING\r\n",
    b"EHLO x\r\n",
    b"GET /v2\r\n\r\n",
    b"\r\n" * 500,
    b"HTTP/1.1 200 OK\r\n\r\n",
)
# gRPC's own routes, and fields of protobuf: `string name = 1; string version = 2` and so on
METHODS_GRPC = (
    "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer", "RepositoryIndex",
    "RepositoryModelLoad", "RepositoryModelUnload",
)  # fmt: skip
SERVICE = "/inference.GRPCInferenceService/"


class Case(NamedTuple):
    """What a client sends; `cuts` are where it pauses, and at the end it leaves or waits for the answer."""

    kind: str
    data: bytes
    cuts: tuple[int, ...] = ()
    leaves: bool = False


class Malformed:
    """The malformed requests of a seed, one kind after the other."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._number = 0
        self._makers: dict[str, Callable[[], bytes]] = {
            "bytes of a body": self._mutated_body,
            "values of JSON": self._odd_json,
            "tokens of JSON": self._odd_tokens,
            "nested JSON": self._nested,
            "raw tensors": self._raw,
            "packed bodies": self._packed,
            "headers": self._odd_headers,
            "targets and methods": self._odd_target,
            "smuggled lengths": self._smuggled,
            "chunks": self._chunks,
            "bytes of a head": self._mutated_head,
            "pipelines": self._pipeline,
            "cut short": self._cut,
            "another protocol": self._foreign,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """What can be wrong."""
        return tuple(self._makers)

    def http(self) -> Case:
        """The next one over HTTP."""
        kind = self.kinds[self._number % len(self._makers)]
        self._number += 1
        data = self._makers[kind]()
        draw = self._draw
        cuts = tuple(sorted(draw.randrange(len(data) + 1) for _ in range(draw.choice((0, 0, 0, 1, 3)))))
        return Case(kind, data, cuts, draw.random() < 0.05)

    def frames(self) -> Case:
        """The next bytes of HTTP/2 for the port of gRPC."""
        method, message = self.grpc()
        draw = self._draw
        given = {":method": "POST", ":scheme": "http", ":path": method, ":authority": "x", "te": "trailers"}
        given["content-type"] = draw.choice(("application/grpc", "application/grpc", "application/json", ""))
        odd = (
            "grpc-timeout",
            "grpc-encoding",
            "x-request-id",
            "authorization",
            "x-bin",
            "grpc-status",
            "\xe9",
            ":path",
        )
        for name in draw.sample(odd, draw.choice((0, 1, 3))):
            given[name] = draw.choice(
                ("", "1n", "99999999H", "-1S", "gzip", "identity", "\x00", "\xff", "a" * 20_000)
            )
        block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in given.items())
        size = draw.choice((len(message), len(message), 0, 2**32 - 1, len(message) + 1))
        flag = draw.choice((0, 0, 0, 1, 7))
        packed = gzip.compress(b"\x00" * 3 * LIMIT, mtime=0) if flag == 1 else message
        body = struct.pack(">BI", flag, len(packed) if flag == 1 else size) + packed
        frames = _frame(4, 0, 0, b"") + _frame(1, 4, 1, block) + _frame(0, 1, 1, body[:16_000])
        if draw.random() < 0.4:
            frames = self._mutated(frames)
        return Case("frames of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)

    def grpc(self) -> tuple[str, bytes]:
        """The next method and message over gRPC."""
        draw = self._draw
        method = draw.choice(METHODS_GRPC) if draw.random() < 0.5 else "ModelInfer"
        if draw.random() < 0.03:
            method = draw.choice(("", "Nothing", "modelinfer", "ModelInfer/x"))
        data = (
            _field(1, b"tiny") + self._inference()
            if draw.random() < 0.9
            else draw.randbytes(draw.randrange(99))
        )
        return f"{SERVICE}{method}", self._mutated(data) if draw.random() < 0.6 else data

    # one maker a kind

    def _mutated_body(self) -> bytes:
        path, body = self._some_body()
        return request(path, self._mutated(body))

    def _odd_json(self) -> bytes:
        path = self._draw.choice(tuple(BODIES))
        value = json.loads(json.dumps(BODIES[path]))
        for _ in range(self._draw.choice((1, 1, 2, 4))):
            value = self._with_odd(value)
        return request(path, json.dumps(value).encode("utf-8", "surrogatepass"))

    def _odd_tokens(self) -> bytes:
        path, body = self._some_body()
        places = [i for i, byte in enumerate(body) if byte in b'[]{}:,"'] or [0]
        at = self._draw.choice(places) + 1
        token = self._draw.choice(TOKENS)
        return request(path, body[:at] + token + body[at + self._draw.randrange(8) :])

    def _nested(self) -> bytes:
        depth = self._draw.choice((10, 500, 1023, 1025, 5_000, 100_000))
        opening, closing = self._draw.choice(
            ((b"[", b"]"), (b'{"a":', b"}"), (b'{"rows":', b"}"), (b'[{"":', b"}]"))
        )
        inner = opening * depth + b"1" + closing * self._draw.choice((0, depth))
        path, body = self._some_body()
        if self._draw.random() < 0.5:
            inner = body.replace(b"1", inner, 1)
        return request(path, inner)

    def _raw(self) -> bytes:
        draw = self._draw
        tensor = json.loads(json.dumps(RAW))
        sizes = (16, 0, 1, 15, 17, -1, 2**31, 2**63, 10**30, "16", None, 1.5, True, [16])
        tensor["parameters"]["binary_data_size"] = draw.choice(sizes)
        shapes = (
            [2, 2],
            [2**31, 2**31],
            [-1, 2],
            [0, 0],
            [],
            [2**62, 4],
            [1] * 200,
            [4, 1],
            [2, "2"],
            4,
            [1, 4],
            [2**63],
        )
        tensor["shape"] = draw.choice(shapes)
        tensor["datatype"] = draw.choice(
            ("FP32", "BYTES", "FP16", "BF16", "BOOL", "INT64", "fp32", "", 7, "OBJECT")
        )
        head = json.dumps({"inputs": [tensor] * draw.choice((1, 1, 2, 50))}).encode()
        raw = draw.choice(
            (
                draw.randbytes(16),
                b"",
                struct.pack("<I", 2**32 - 1) + b"a",
                struct.pack("<I4s", 4, b"abcd"),
                b"\xff" * 16,
            )
        )
        size = draw.choice(
            (len(head), len(head), len(head), 0, -1, len(head) + 1, len(head) - 1, 10**18, "x")
        )
        return request(
            "/v2/models/tiny/infer", head + raw, b"inference-header-content-length: %b" % str(size).encode()
        )

    def _packed(self) -> bytes:
        draw = self._draw
        path, body = self._some_body()
        coding = draw.choice((b"gzip", b"gzip", b"x-gzip", b"deflate", b"GZIP", b"gzip, gzip"))
        what = draw.random()
        blanks = draw.choice((LIMIT - 200, LIMIT, LIMIT + 1, 3 * LIMIT)) if what < 0.2 else 0
        packed = _pack(body, blanks, is_gzip=coding != b"deflate")
        if what > 0.5:
            packed = self._mutated(packed)
        return request(path, packed, b"content-encoding: " + coding)

    def _odd_headers(self) -> bytes:
        draw = self._draw
        lines = [
            draw.choice(HEADERS).replace(b"%b", draw.choice(VALUES)) for _ in range(draw.choice((1, 1, 2, 5)))
        ]
        if draw.random() < 0.05:
            lines *= 200
        path, body = self._some_body()
        return request(path, body, *lines)

    def _odd_target(self) -> bytes:
        draw = self._draw
        method = draw.choice(METHODS)
        target = draw.choice((*TARGETS, *(path.encode() for path in (*BODIES, *READ))))
        version = draw.choice(
            (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 x", b"", b"ICE/1.0")
        )
        body = draw.choice((b"", b"{}", self._some_body()[1]))
        return b"%b %b %b\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (
            method,
            target,
            version,
            len(body),
            body,
        )

    def _smuggled(self) -> bytes:
        body = b'{"row": [1, 2]}'
        inner = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        size = b"%d" % len(body)
        lines = self._draw.choice(
            (
                (b"content-length: " + size, b"transfer-encoding: chunked"),
                (b"transfer-encoding: chunked", b"content-length: " + size),
                (b"content-length: " + size, b"content-length: 0"),
                (b"content-length: " + size, b"content-length: " + size),
                (b"content-length: " + size + b", " + size,),
                (b"content-length : " + size,),
                (b"content-length:\x0b" + size,),
                (b"content-length: +" + size,),
                (b"content-length: 0x0f",),
                (b"transfer-encoding: chunked, identity",),
                (b"transfer-encoding: identity, chunked",),
                (b"transfer-encoding: chunked", b"transfer-encoding: identity"),
                (b"transfer-encoding:\r\n chunked",),
                (b"transfer-encoding\t: chunked",),
                (b"transfer-encoding: \x00chunked",),
                (b"x: y\r\n content-length: " + size,),
                (b"x: y\ntransfer-encoding: chunked",),
                (b"\xefcontent-length: " + size,),
                (),
            )
        )
        return _head("/predict", *lines) + self._draw.choice(
            (body, chunked, inner, body + inner, chunked + inner)
        )

    def _chunks(self) -> bytes:
        draw = self._draw
        size = draw.choice(
            (
                b"0",
                b"f",
                b"F",
                b"00000000000000f",
                b"ffffffffffffffff",
                b"-1",
                b"+f",
                b"0xf",
                b" f",
                b"f ",
                b"",
                b"g",
                b"7a1201",
            )
        )
        extra = draw.choice((b"", b";a=b", b";" + b"a" * 20_000, b';a="\r\n"', b"\x00"))
        end = draw.choice((b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n"))
        last = draw.choice(
            (
                b"0\r\n\r\n",
                b"0\r\n",
                b"",
                b"0\r\nx: y\r\n\r\n",
                b"0\r\n" + b"x: y\r\n" * 300 + b"\r\n",
                b"1\r\n",
            )
        )
        many = draw.choice((1, 1, 2, 3_000))
        body = (b"%b%b\r\n%b%b" % (size, extra, b'{"row": [1, 2]}', end)) * many
        return _head("/predict", b"transfer-encoding: chunked") + body + last

    def _mutated_head(self) -> bytes:
        path, body = self._some_body()
        whole = request(path, body, b"x-request-id: h1", b"accept-encoding: gzip")
        at = whole.index(b"\r\n\r\n") + 4
        return self._mutated(whole[:at]) + whole[at:]

    def _pipeline(self) -> bytes:
        draw = self._draw
        makers = [make for kind, make in self._makers.items() if kind not in ("pipelines", "cut short")]
        good = request("/predict", b'{"row": [1, 2]}')
        parts = [
            draw.choice((good, good, _head("/v2", method=b"GET") + b"\r\n", b""))
            for _ in range(draw.choice((2, 9, 60)))
        ]
        return b"".join([*parts, draw.choice(makers)(), good])

    def _cut(self) -> bytes:
        path, body = self._some_body()
        whole = request(path, body)
        return whole[: self._draw.randrange(len(whole))]

    def _foreign(self) -> bytes:
        draw = self._draw
        noise = draw.randbytes(draw.choice((1, 20, 3_000)))
        return draw.choice((*FOREIGN, noise, b"\x00" * 200, noise + b"\r\n\r\n"))

    # what they share

    def _some_body(self) -> tuple[str, bytes]:
        draw = self._draw
        if draw.random() < 0.15:
            return "/v2/models/tiny/infer", BINARY + struct.pack("<4f", 1, 2, 3, 4)
        path = draw.choice(tuple(BODIES))
        return path, json.dumps(BODIES[path]).encode()

    def _mutated(self, data: bytes) -> bytes:
        draw, found = self._draw, bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 8))):
            at = draw.randrange(len(found) + 1)
            match draw.randrange(6):
                case 0:
                    found[at : at + 1] = bytes([draw.randrange(256)])
                case 1:
                    found[at:at] = draw.randbytes(draw.choice((1, 4, 40)))
                case 2:
                    del found[at : at + draw.choice((1, 3, 30))]
                case 3:
                    found[at:at] = found[max(0, at - 20) : at]
                case 4:
                    found[at : at + 1] = (
                        bytes([found[at] ^ (1 << draw.randrange(8))]) if at < len(found) else b""
                    )
                case _:
                    del found[at:]
        return bytes(found)

    def _with_odd(self, value: Any) -> Any:
        """The same with an odd value somewhere in it."""
        draw = self._draw
        if not isinstance(value, dict | list) or not value or draw.random() < 0.15:
            return deepcopy(draw.choice(ODD))
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw.choice(keys)
        if isinstance(value, dict) and draw.random() < 0.15:
            return {
                **value,
                draw.choice(("odd", "", "inputs", "data", "parameters")): deepcopy(draw.choice(ODD)),
            }
        if draw.random() < 0.1:
            del value[key]
        else:
            value[key] = self._with_odd(value[key])
        return value

    def _inference(self) -> bytes:
        """An inference request in protobuf whose parts lie about each other."""
        draw = self._draw
        shape = draw.choice(
            ((2, 2), (2,), (), (2**62, 4), (2**63 - 1,), (-1, 2), (0, 2), (1,) * 300, (1000, 1000))
        )
        datatype = draw.choice(
            (b"FP64", b"FP32", b"BYTES", b"INT64", b"BOOL", b"FP16", b"", b"\xff", b"UINT8")
        )
        tensor = (
            _field(1, draw.choice((b"x", b"", b"y")))
            + _field(2, datatype)
            + _field(3, b"".join(map(_varint, shape)))
        )
        if draw.random() < 0.6:
            number = draw.randrange(1, 9)
            tensor += _field(
                5, _field(number, draw.choice((b"", struct.pack("<4d", 1, 2, 3, 4), b"\x01\x02", b"a" * 7)))
            )
        found = _field(5, tensor) * draw.choice((1, 1, 1, 0, 3))
        if draw.random() < 0.2:
            entry = _field(1, draw.choice((b"timeout", b"sequence_id", b""))) + _field(
                2, draw.choice((b"", b"\x10\x7f", b"\x08\x01"))
            )
            found += _field(4, entry)
        if draw.random() < 0.5:
            found += _field(
                7, draw.choice((struct.pack("<4d", 1, 2, 3, 4), b"", b"\xff\xff\xff\xff", b"a" * 15))
            )
        return found + draw.choice(
            (
                b"",
                _field(3, b"id"),
                _field(3, b"\x00"),
                _field(2, b"1"),
                _field(2, b"x"),
                _field(6, _field(1, b"z")),
            )
        )


@cache
def _pack(body: bytes, blanks: int, *, is_gzip: bool) -> bytes:
    """A body behind so many blanks, packed a thousand to one."""
    whole = b" " * blanks + body
    return gzip.compress(whole, 9, mtime=0) if is_gzip else zlib.compress(whole, 9)


def request(path: str, body: bytes, *lines: bytes) -> bytes:
    """A POST as a client writes it, with these headers besides."""
    return _head(path, b"content-length: %d" % len(body), *lines) + body


def _head(path: str, *lines: bytes, method: bytes = b"POST") -> bytes:
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path.encode()), b"host: x", *lines]) + b"\r\n\r\n"


def _field(number: int, data: bytes) -> bytes:
    """A field of protobuf that holds bytes."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _frame(kind: int, flags: int, stream: int, data: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(data))[1:] + struct.pack(">BBI", kind, flags, stream) + data


def _text(text: str) -> bytes:
    """A literal of HPACK."""
    data = text.encode("latin-1")
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, size = len(data) - 127, bytearray([127])
    while rest >= 0x80:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*size, rest]) + data


def _varint(number: int) -> bytes:
    number, found = number % 2**64, bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
