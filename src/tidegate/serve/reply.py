"""What goes back over HTTP: status, body, and the headers that name the arm that answered."""

import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

import orjson

from tidegate.errors import NotFoundError, TidegateError, UnavailableError, UsageError
from tidegate.serve.engine import LateError, ModelFailedError
from tidegate.serve.request import HttpError
from tidegate.serve.route import Arm
from tidegate.serve.shape import BreachError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
OCTETS = b"application/octet-stream"
JSON_SIZE = b"inference-header-content-length"
WORTH_PACKING = 1400


STATUSES: dict[type[TidegateError], int] = {
    UnavailableError: 503, LateError: 504, NotFoundError: 404, UsageError: 400, ModelFailedError: 500,
}  # fmt: skip
REFUSALS: tuple[type[TidegateError], ...] = (HttpError, *STATUSES)


class Reply(NamedTuple):
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
    if isinstance(error, HttpError):
        return error.status
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)


async def send_reply(send: Send, reply: Reply, *, packing: bytes = b"") -> None:
    """Send it, packed by gzip or deflate when the client takes that and it is worth it."""
    body, coding = _packed(reply.body, packing)
    headers = [(b"content-type", reply.content_type), (b"content-length", str(len(body)).encode())]
    if coding:
        headers += [(b"content-encoding", coding), (b"vary", b"accept-encoding")]
    if reply.request_id:
        headers.append((b"x-request-id", reply.request_id.encode()))
    if reply.arm:
        headers += arm_headers(reply.arm)
    if reply.json_size is not None:
        headers.append((JSON_SIZE, str(reply.json_size).encode()))
    if reply.allow:
        headers.append((b"allow", reply.allow.encode()))
    if reply.status in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def arm_headers(arm: Arm) -> list[tuple[bytes, bytes]]:
    """The headers that say who answered."""
    return [
        (b"x-tidegate-release", str(arm.release).encode()),
        (b"x-tidegate-bundle", arm.model.digest.encode()),
        (b"x-tidegate-role", arm.role.encode()),
    ]


def accepted_packing(headers: Mapping[bytes, bytes]) -> bytes:
    """The Accept-Encoding of a request."""
    return headers.get(b"accept-encoding", b"")


def _packed(body: bytes, accepted: bytes) -> tuple[bytes, bytes]:
    if len(body) < WORTH_PACKING or not accepted:
        return body, b""
    words = {word.split(b";")[0].strip() for word in accepted.lower().split(b",") if b"q=0" not in word}
    if b"gzip" in words:
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        return packer.compress(body) + packer.flush(), b"gzip"
    return (zlib.compress(body, 1), b"deflate") if b"deflate" in words else (body, b"")
