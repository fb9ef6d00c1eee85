"""What goes back over HTTP: status, body, and the headers that name the arm that answered."""

import re
import zlib
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
import orjson

from tidegate.domain import Role
from tidegate.errors import NotFoundError, TidegateError, UnavailableError, UsageError
from tidegate.serve.access import DeniedError
from tidegate.serve.job import LateError, ModelFailedError
from tidegate.serve.request import HttpError
from tidegate.serve.route import Arm
from tidegate.serve.shape import BreachError

JSON = b"application/json"
OCTETS = b"application/octet-stream"
JSON_SIZE = b"inference-header-content-length"
WORTH_PACKING = 1400
REFUSED = re.compile(rb";\s*q=0(\.0*)?\s*$")
STATUS_LINES = {int(one): b"HTTP/1.1 %d %b\r\n" % (one, one.phrase.encode()) for one in HTTPStatus} | {
    499: b"HTTP/1.1 499 Gone\r\n"
}
# an arm without its model, which nobody must keep for longer than it is served: its release, digest and role
ArmName: TypeAlias = tuple[int, str, Role]

STATUSES: dict[type[TidegateError], int] = {
    UnavailableError: 503, LateError: 504, NotFoundError: 404, UsageError: 400, ModelFailedError: 500,
}  # fmt: skip
REFUSALS: tuple[type[TidegateError], ...] = (HttpError, DeniedError, *STATUSES)


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A reply; `template` names the path for metrics, `json_size` how much of the body is JSON before raw tensors."""

    status: int
    body: bytes
    template: str
    request_id: str = ""
    arm: Arm | None = None
    content_type: bytes = JSON
    allow: str = ""
    json_size: int | None = None


def reply_json(status: int, body: Any, template: str) -> Reply:
    """A reply of JSON."""
    return Reply(status, orjson.dumps(body), template)


def refusal(error: TidegateError, request_id: str) -> Reply:
    """The reply to a request that cannot be answered."""
    body: dict[str, Any] = {"error": str(error)}
    if isinstance(error, BreachError):
        body["violations"] = [str(violation) for violation in error.violations]
    allow = error.allow if isinstance(error, HttpError) else ""
    return Reply(_status(error), orjson.dumps(body), "refused", request_id, allow=allow)


def _status(error: TidegateError) -> int:
    if isinstance(error, HttpError | DeniedError):
        return error.status
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)


def reply_headers(reply: Reply, size: int, *, coding: bytes = b"") -> list[tuple[bytes, bytes]]:
    """The headers of a reply whose body has `size` bytes as it is sent."""
    headers = [*_kind_headers(reply.content_type, _arm_name(reply.arm)), (b"content-length", b"%d" % size)]
    if reply.request_id:
        headers.append((b"x-request-id", reply.request_id.encode()))
    if reply.status != 200 or reply.json_size is not None or coding:
        headers += _rare_headers(reply, coding)
    return headers


def render_head(reply: Reply, size: int, *, date: bytes, coding: bytes = b"", is_last: bool = False) -> bytes:
    """The status line and headers of a reply as HTTP/1.1 has them."""
    start = _head_start(reply.status, reply.content_type, _arm_name(reply.arm))
    end = b"connection: close\r\n\r\n" if is_last else b"\r\n"
    if reply.status == 200 and reply.json_size is None and not coding:
        name = reply.request_id.encode()
        named = b"x-request-id: %b\r\n" % name if name else b""
        return b"%bdate: %b\r\ncontent-length: %d\r\n%b%b" % (start, date, size, named, end)
    lines = b"".join([b"%b: %b\r\n" % one for one in reply_headers(reply, size, coding=coding)])
    return b"%bdate: %b\r\n%b%b" % (STATUS_LINES[reply.status], date, lines, end)


def _arm_name(arm: Arm | None) -> ArmName | None:
    return None if arm is None else (arm.release, arm.model.digest, arm.role)


def _rare_headers(reply: Reply, coding: bytes) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    if coding:
        headers += [(b"content-encoding", coding), (b"vary", b"accept-encoding")]
    if reply.json_size is not None:
        headers.append((JSON_SIZE, b"%d" % reply.json_size))
    if reply.allow:
        headers.append((b"allow", reply.allow.encode()))
    if reply.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if reply.status in (429, 503):
        headers.append((b"retry-after", b"1"))
    return headers


@lru_cache(maxsize=64)
def _kind_headers(kind: bytes, arm: ArmName | None) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that are the same for most replies: what it is, and who answered."""
    if arm is None:
        return ((b"content-type", kind),)
    release, digest, role = arm
    return (
        (b"content-type", kind),
        (b"x-tidegate-release", str(release).encode()),
        (b"x-tidegate-bundle", digest.encode()),
        (b"x-tidegate-role", role.encode()),
    )


@lru_cache(maxsize=64)
def _head_start(status: int, kind: bytes, arm: ArmName | None) -> bytes:
    return STATUS_LINES[status] + b"".join([b"%b: %b\r\n" % one for one in _kind_headers(kind, arm)])


def packed_body(body: bytes, accepted: bytes) -> tuple[bytes, bytes]:
    """The body as it is sent and its coding: gzip or deflate where the client takes that and it is worth it."""
    if len(body) < WORTH_PACKING or not accepted:
        return body, b""
    words = {word.split(b";")[0].strip() for word in accepted.lower().split(b",") if not REFUSED.search(word)}
    if b"gzip" in words:
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        return packer.compress(body) + packer.flush(), b"gzip"
    return (zlib.compress(body, 1), b"deflate") if b"deflate" in words else (body, b"")
