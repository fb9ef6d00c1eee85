"""What the gateway answers over HTTP: a table of routes over the service, without a framework on the way."""

import math
import time
import traceback
from typing import Any

import orjson

from tidegate import __version__
from tidegate.errors import TidegateError, UsageError
from tidegate.serve.access import role_of, token_of
from tidegate.serve.engine import Answered
from tidegate.serve.invocations import parse_invocation
from tidegate.serve.oip import (
    Rendered,
    model_metadata,
    parse_infer,
    render_infer,
    require_outputs,
    server_metadata,
)
from tidegate.serve.openapi import render_openapi, render_page
from tidegate.serve.parse import parse_labels, parse_predict
from tidegate.serve.reply import (
    JSON,
    JSON_SIZE,
    OCTETS,
    REFUSALS,
    Reply,
    refusal,
    reply_json,
)
from tidegate.serve.repository import list_versions, load_named, parse_index, parse_load, unload_named
from tidegate.serve.request import HttpError, Request, request_id
from tidegate.serve.route import Arm
from tidegate.serve.rows import tensor_rows
from tidegate.serve.service import UNIT_LENGTH, Caller, Service
from tidegate.serve.shape import Matrix, Shape

PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
PLAIN = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
TIMEOUT = b"x-request-timeout-ms"


class App:
    """The application of one worker; a front on a socket, or any ASGI server, gives it whole requests."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._unit_header = service.settings.unit_header.encode()

    async def answer(self, request: Request) -> Reply:
        """The reply to a whole request, counted."""
        began = time.perf_counter()
        reply = await self._reply(request)
        seconds = time.perf_counter() - began
        role = reply.arm.role if reply.arm else ""
        self._service.metrics.count(reply.template, reply.status, role, seconds=seconds)
        return reply

    def refuse(self, error: HttpError) -> Reply:
        """The reply to a request that did not come whole, counted."""
        self._service.metrics.count("refused", error.status, "", seconds=0.0)
        return refusal(error, "")

    async def _reply(self, request: Request) -> Reply:
        name = ""
        try:
            name = request_id(request)
            return await self._route(request, name)
        except REFUSALS as error:
            return refusal(error, name)
        except Exception:  # a fault of ours must reach the client as a reply and the log as a trace
            traceback.print_exc()
            return refusal(TidegateError("", "internal error, see the log of the gateway"), name)

    async def _route(self, request: Request, name: str) -> Reply:
        parts = request.path.strip("/").split("/")
        role = None if self._service.access.is_open else role_of(parts)
        if role:
            self._service.access.check(token_of(request.headers), role, now=time.monotonic())
        match (request.method, parts):
            case ("POST", ["predict"]):
                return await self._predict(request, name)
            case ("POST", ["v2", "models", model, "infer"]):
                return await self._infer(request, name, model)
            case ("POST", ["v2", "models", model, "versions", version, "infer"]):
                return await self._infer(request, name, model, version)
            case ("POST", ["invocations"]):
                return await self._invoke(request, name)
            case ("POST", ["labels"]):
                return await self._labels(request, name)
            case ("POST", ["v2", "repository", *rest]):
                return self._repository(request, rest)
            case ("GET" | "HEAD", _):
                return self._show(parts)
        raise _no_route(request.method, parts)

    def _show(self, parts: list[str]) -> Reply:
        path = "/" + "/".join(parts)
        match parts:
            case ["healthz"] | ["v2", "health", "live"]:
                return reply_json(200, {"live": True}, path)
            case ["readyz"] | ["v2", "health", "ready"] | ["ping"] | ["health"]:
                self._service.live()
                return reply_json(200, {"ready": True}, path)
            case ["metrics"]:
                return Reply(200, self._service.metrics.render(), path, content_type=PROMETHEUS)
            case ["version"]:
                return Reply(200, __version__.encode(), path, content_type=PLAIN)
            case ["v2"]:
                return reply_json(200, server_metadata(), path)
            case ["v2", "docs" | "openapi.json"]:
                return self._description(path)
            case ["v2", "models"]:
                return reply_json(200, {"models": [self._service.live().endpoint]}, path)
            case ["v2", "models", name, *rest] if rest[-1:] != ["infer"]:
                return self._model(name, rest)
        raise _no_route("GET", parts)

    def _description(self, path: str) -> Reply:
        route, has_keys = self._service.live(), not self._service.access.is_open
        if path.endswith("docs"):
            return Reply(200, render_page(route).encode(), path, content_type=HTML)
        return reply_json(200, render_openapi(route, self._service.shapes, has_keys=has_keys), path)

    async def _predict(self, request: Request, name: str) -> Reply:
        def parse(arm: Arm, shape: Shape) -> Matrix:
            return parse_predict(request.body, shape, max_rows=self._service.settings.max_rows)

        answered = await self._service.predict(parse, self._caller(request, name))
        body = orjson.dumps(_rendered(name, answered))
        return Reply(200, body, "/predict", name, answered.arm)

    async def _invoke(self, request: Request, name: str) -> Reply:
        kind = request.headers.get(b"content-type", b"")

        def parse(arm: Arm, shape: Shape) -> Matrix:
            return parse_invocation(request.body, kind, shape, max_rows=self._service.settings.max_rows)

        answered = await self._service.predict(parse, self._caller(request, name))
        body = orjson.dumps({"predictions": answered.predictions})
        return Reply(200, body, "/invocations", name, answered.arm)

    async def _infer(self, request: Request, name: str, model: str, version: str = "") -> Reply:
        limit = self._service.settings.max_rows

        def parse(arm: Arm, shape: Shape) -> Matrix:
            require_outputs(asked, arm.model)
            return tensor_rows(asked.tensors, arm.model.inputs, shape, max_rows=limit)

        pinned = self._service.named(model, version)
        asked = parse_infer(request.body, _json_size(request))
        name = asked.id or name
        caller = self._caller(request, name, timeout_s=asked.timeout_s)
        answered = await self._service.predict(parse, caller, pinned=pinned)
        rendered = render_infer(model, name, answered, asked)
        return _inferred(rendered, name, answered.arm)

    async def _labels(self, request: Request, name: str) -> Reply:
        labels = parse_labels(request.body, at=request.at, max_rows=self._service.settings.max_rows)
        await self._service.label(labels)
        return reply_json(202, {"accepted": len(labels)}, "/labels")._replace(request_id=name)

    def _repository(self, request: Request, rest: list[str]) -> Reply:
        match rest:
            case ["index"]:
                found = list_versions(self._service, only_ready=parse_index(request.body))
                return reply_json(200, found, "/v2/repository/index")
            case ["models", name, "load"]:
                load_named(self._service, name, parse_load(request.body))
                return reply_json(200, {}, "/v2/repository/models/load")
            case ["models", name, "unload"]:
                unload_named(self._service, name)
        raise _no_route("POST", ["v2", "repository", *rest])

    def _model(self, name: str, rest: list[str]) -> Reply:
        version, rest = (rest[1], rest[2:]) if rest[:1] == ["versions"] and len(rest) > 1 else ("", rest)
        if rest not in ([], ["ready"]):
            raise _no_route("GET", ["v2", "models", name, *rest])
        arm = self._service.named(name, version) or self._service.live().stable
        if rest:
            return reply_json(200, {"name": name, "ready": True}, "/v2/models/ready")
        return reply_json(200, model_metadata(self._service.live(), arm), "/v2/models")

    def _caller(self, request: Request, name: str, *, timeout_s: float = math.inf) -> Caller:
        header = request.headers.get(self._unit_header, b"") if self._unit_header else b""
        asked = request.headers.get(TIMEOUT)
        waits = min(timeout_s, _milliseconds(asked) / 1000) if asked is not None else timeout_s
        return Caller(name, header[:UNIT_LENGTH].decode("latin-1"), request.at, waits)


def _rendered(name: str, answered: Answered) -> dict[str, Any]:
    return {
        "request_id": name,
        "ids": answered.ids,
        "predictions": answered.predictions,
        "scores": answered.scores,
        "release": answered.arm.release,
        "bundle": answered.arm.model.digest,
    }


def _inferred(rendered: Rendered, name: str, arm: Arm) -> Reply:
    size = rendered.json_size
    kind = JSON if size is None else OCTETS
    return Reply(200, rendered.body, "/v2/models/infer", name, arm, kind, json_size=size)


def _json_size(request: Request) -> int | None:
    """How much of the body is JSON, where raw tensors follow it."""
    given = request.headers.get(JSON_SIZE)
    if given is None:
        return None
    if not given.isdigit() or len(given) > 20:
        raise UsageError(JSON_SIZE.decode(), f"`{given[:20].decode('latin-1')}`, expected a number of bytes")
    return int(given)


def _milliseconds(given: bytes) -> int:
    if not given.isdigit() or not int(given[:9]) > 0 or len(given) > 9:
        raise UsageError(TIMEOUT.decode(), f"`{given[:20].decode('latin-1')}`, expected milliseconds above 0")
    return int(given)


VERBS = {
    "predict": "POST",
    "labels": "POST",
    "invocations": "POST",
    "healthz": "GET",
    "readyz": "GET",
    "ping": "GET",
    "health": "GET",
    "metrics": "GET",
    "version": "GET",
    "v2": "GET",
    "v2/docs": "GET",
    "v2/openapi.json": "GET",
    "v2/models": "GET",
    "v2/health/live": "GET",
    "v2/health/ready": "GET",
    "v2/repository/index": "POST",
}


def _no_route(method: str, parts: list[str]) -> HttpError:
    path = "/".join(parts)
    is_post = parts[-1] in ("infer", "load", "unload") and parts[:1] == ["v2"]
    verb = "POST" if is_post else VERBS.get(path)
    if verb and verb != method:
        return HttpError(405, f"/{path} takes {verb}, not {method}", allow=verb)
    return HttpError(404, f"no such path /{path}")
