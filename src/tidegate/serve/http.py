"""The HTTP front: a plain ASGI application over the engine, without a framework on the way."""

import asyncio
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import orjson

from tidegate.domain import Label
from tidegate.errors import TidegateError, UnavailableError, UsageError
from tidegate.project import Serve
from tidegate.serve.engine import Answered, Ask, Engine, ModelFailedError
from tidegate.serve.oip import model_metadata, parse_infer, render_infer, server_metadata, tensor_rows
from tidegate.serve.parse import check_request_id, parse_labels, parse_predict
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route, choose, with_version
from tidegate.serve.shape import BreachError, Matrix, Shape, mark

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_S = 30.0
JSON = b"application/json"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"


class Request(NamedTuple):
    """A whole request; header names are lower case."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    at: float


class Reply(NamedTuple):
    """What goes back; `answered` tells the headers which arm it was, `template` names the path for metrics."""

    status: int
    body: bytes
    template: str
    request_id: str = ""
    arm: Arm | None = None
    content_type: bytes = JSON
    allow: str = ""


class Drawn(NamedTuple):
    """The arm that a request goes to, and the unit that drew it; "" when the client named the version."""

    arm: Arm
    unit: str
    request: str
    at: float


class HttpError(TidegateError):
    """A refusal with its HTTP status; `allow` names the method that a 405 would take."""

    def __init__(self, status: int, message: str, *, allow: str = "") -> None:
        super().__init__("", message)
        self.status = status
        self.allow = allow


class App:
    """The ASGI application of one worker; `shapes` maps a bundle's digest to the rows it takes."""

    def __init__(
        self, engine: Engine, write_labels: Callable[[list[Label]], None], settings: Serve, metrics: Metrics
    ) -> None:
        self.shapes: dict[str, Shape] = {}
        self._engine = engine
        self._write_labels = write_labels
        self._settings = settings
        self._metrics = metrics
        kind, _, name = settings.assign_by.partition(":")
        self._unit_header = name.lower().encode() if kind == "header" else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        reply = await self._reply(scope, receive)
        seconds = time.perf_counter() - began
        self._metrics.count(
            reply.template, reply.status, reply.arm.role if reply.arm else "", seconds=seconds
        )
        await _send(send, reply)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        request_id = ""
        try:
            request = await _read(scope, receive, limit=self._settings.max_body_bytes)
            request_id = _request_id(request)
            return await self._route(request, request_id)
        except UnavailableError as error:
            return _refusal(503, error, request_id)
        except HttpError as error:
            return _refusal(error.status, error, request_id)._replace(allow=error.allow)
        except UsageError as error:
            return _refusal(400, error, request_id)
        except ModelFailedError as error:
            return _refusal(500, error, request_id)
        except Exception:  # a fault of ours must reach the client as a reply and the log as a trace
            traceback.print_exc()
            return _refusal(500, TidegateError("", "internal error, see the log of the gateway"), request_id)

    async def _route(self, request: Request, request_id: str) -> Reply:
        parts = request.path.strip("/").split("/")
        match (request.method, parts):
            case ("POST", ["predict"]):
                return await self._predict(request, request_id)
            case ("POST", ["v2", "models", name, "infer"]):
                return await self._infer(request, request_id, name)
            case ("POST", ["v2", "models", name, "versions", version, "infer"]):
                return await self._infer(request, request_id, name, version)
            case ("POST", ["labels"]):
                return self._labels(request, request_id)
            case ("GET" | "HEAD", _):
                return self._show(request, parts)
        raise _no_route(request.method, parts)

    def _show(self, request: Request, parts: list[str]) -> Reply:
        match parts:
            case ["healthz"] | ["v2", "health", "live"]:
                return _json(200, {"live": True}, "/" + "/".join(parts))
            case ["readyz"] | ["v2", "health", "ready"]:
                self._engine.live()
                return _json(200, {"ready": True}, "/" + "/".join(parts))
            case ["metrics"]:
                return Reply(200, self._metrics.render(), "/metrics", content_type=PROMETHEUS)
            case ["v2"]:
                return _json(200, server_metadata(), "/v2")
            case ["v2", "models", name, *rest] if rest[-1:] != ["infer"]:
                return self._model(name, rest)
        raise _no_route("GET", parts)

    async def _predict(self, request: Request, request_id: str) -> Reply:
        def parse(arm: Arm) -> Matrix:
            shape = self.shapes[arm.model.digest]
            return parse_predict(request.body, shape, max_rows=self._settings.max_rows)

        route = self._engine.live()
        drawn = self._draw(route, request, request_id)
        answered = await self._engine.answer(self._asked(parse, drawn, route), arm=drawn.arm)
        return _answer("/predict", request_id, answered, _rendered(request_id, answered))

    async def _infer(self, request: Request, request_id: str, name: str, version: str | None = None) -> Reply:
        def parse(arm: Arm) -> Matrix:
            shape = self.shapes[arm.model.digest]
            return tensor_rows(inference.tensor, arm, shape, max_rows=self._settings.max_rows)

        route = self._engine.live()
        pinned = _arm(route, name, version)
        if b"inference-header-content-length" in request.headers:
            raise HttpError(400, "binary tensors are not offered, send JSON data")
        inference = parse_infer(request.body)
        request_id = inference.id or request_id
        # a version asked for by name is no chance draw, so it must not count in a comparison of arms
        drawn = (
            Drawn(pinned, "", request_id, request.at) if pinned else self._draw(route, request, request_id)
        )
        answered = await self._engine.answer(self._asked(parse, drawn, route), arm=drawn.arm)
        body = render_infer(route.endpoint, request_id, answered, inference.outputs)
        return _answer("/v2/models/infer", request_id, answered, body)

    def _labels(self, request: Request, request_id: str) -> Reply:
        labels = parse_labels(request.body, at=request.at, max_rows=self._settings.max_rows)
        self._write_labels(labels)
        return _json(202, {"accepted": len(labels)}, "/labels")._replace(request_id=request_id)

    def _model(self, name: str, rest: list[str]) -> Reply:
        route = self._engine.live()
        version, rest = (rest[1], rest[2:]) if rest[:1] == ["versions"] and len(rest) > 1 else (None, rest)
        arm = _arm(route, name, version) or route.stable
        if rest == ["ready"]:
            return _json(200, {"name": route.endpoint, "ready": True}, "/v2/models/ready")
        if rest:
            raise _no_route("GET", ["v2", "models", name, *rest])
        return _json(200, model_metadata(route, arm), "/v2/models")

    def _draw(self, route: Route, request: Request, request_id: str) -> Drawn:
        header = request.headers.get(self._unit_header, b"") if self._unit_header else b""
        unit = header[:256].decode("latin-1") or request_id
        return Drawn(choose(route, unit), unit, request_id, request.at)

    def _asked(self, parse: Callable[[Arm], Matrix], drawn: Drawn, route: Route) -> Ask:
        """What the arm makes of the body; a refusal that stable would have spared the client is logged."""
        try:
            rows = parse(drawn.arm)
        except UsageError as error:
            if isinstance(error, BreachError):
                self._metrics.breach(error.violations)
            if drawn.arm.role == "canary" and drawn.unit and _takes(parse, route.stable):
                self._engine.refuse(drawn.request, drawn.unit, arm=drawn.arm, at=drawn.at)
            raise
        if not rows.flagged:
            return Ask(drawn.request, drawn.unit, rows.values, drawn.at)
        self._metrics.breach(one for seen in rows.flagged for one in seen)
        flags = tuple(tuple(mark(one) for one in seen) for seen in rows.flagged)
        return Ask(drawn.request, drawn.unit, rows.values, drawn.at, flags)


def _takes(parse: Callable[[Arm], object], arm: Arm) -> bool:
    try:
        parse(arm)
    except UsageError:
        return False
    return True


def _arm(route: Route, name: str, version: str | None) -> Arm | None:
    """The arm of a named version, None when the unit may decide; HttpError 404 for what is not served."""
    if name != route.endpoint:
        raise HttpError(404, f"no model `{name}`, this endpoint serves `{route.endpoint}`")
    arm = with_version(route, version) if version is not None else None
    if version is not None and arm is None:
        raise HttpError(404, f"model `{name}` has no version `{version}` here")
    return arm


def _rendered(request_id: str, answered: Answered) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "ids": answered.ids,
        "predictions": answered.predictions,
        "scores": answered.scores,
        "release": answered.arm.release,
        "bundle": answered.arm.model.digest,
    }


def _answer(template: str, request_id: str, answered: Answered, body: dict[str, Any]) -> Reply:
    return Reply(200, orjson.dumps(body), template, request_id, answered.arm)


def _json(status: int, body: dict[str, Any], template: str) -> Reply:
    return Reply(status, orjson.dumps(body), template)


def _refusal(status: int, error: TidegateError, request_id: str) -> Reply:
    body: dict[str, Any] = {"error": str(error)}
    if isinstance(error, BreachError):
        body["violations"] = [str(violation) for violation in error.violations]
    return Reply(status, orjson.dumps(body), "refused", request_id)


VERBS = {
    "predict": "POST",
    "labels": "POST",
    "healthz": "GET",
    "readyz": "GET",
    "metrics": "GET",
    "v2": "GET",
    "v2/health/live": "GET",
    "v2/health/ready": "GET",
}


def _no_route(method: str, parts: list[str]) -> HttpError:
    path = "/".join(parts)
    verb = "POST" if parts[-1] == "infer" else VERBS.get(path)
    if verb and verb != method:
        return HttpError(405, f"/{path} takes {verb}, not {method}", allow=verb)
    return HttpError(404, f"no such path /{path}")


def _request_id(request: Request) -> str:
    given = request.headers.get(b"x-request-id")
    return check_request_id(given.decode("latin-1")) if given is not None else secrets.token_hex(8)


async def _read(scope: Scope, receive: Receive, *, limit: int) -> Request:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise HttpError(413, f"the body has {length.decode('latin-1')} bytes, the limit is {limit}")
    body = await _body(receive, limit=limit)
    return Request(scope["method"], scope["path"], headers, body, time.time())


async def _body(receive: Receive, *, limit: int) -> bytes:
    """The whole body; HttpError 408, 413 or 400 when it is late, too large or broken off."""
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(BODY_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HttpError(400, "the client left before its whole body had arrived")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise HttpError(413, f"the body is larger than the limit of {limit} bytes")
                more = message.get("more_body", False)
    except TimeoutError:
        raise HttpError(408, f"the body did not arrive within {BODY_S:.0f} s") from None
    return b"".join(chunks)


async def _send(send: Send, reply: Reply) -> None:
    headers = [(b"content-type", reply.content_type), (b"content-length", str(len(reply.body)).encode())]
    if reply.request_id:
        headers.append((b"x-request-id", reply.request_id.encode()))
    if reply.arm:
        headers += [
            (b"x-tidegate-release", str(reply.arm.release).encode()),
            (b"x-tidegate-bundle", reply.arm.model.digest.encode()),
            (b"x-tidegate-role", reply.arm.role.encode()),
        ]
    if reply.allow:
        headers.append((b"allow", reply.allow.encode()))
    if reply.status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
