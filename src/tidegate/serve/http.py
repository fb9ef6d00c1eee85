"""What the gateway answers over HTTP: a table of routes over the service, without a framework on the way."""

import asyncio
import math
import time
import traceback
from collections.abc import Callable
from functools import lru_cache

import msgspec
import orjson

from tidegate import __version__
from tidegate.domain import AccessRole
from tidegate.errors import TidegateError, UsageError
from tidegate.serve.access import role_of, token_of
from tidegate.serve.invocations import parse_invocation
from tidegate.serve.job import Answered, Deliver, Job
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
from tidegate.serve.record import Metrics
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

Send = Callable[[Reply], None]
Action = Callable[[Request, "Exchange", list[str]], "Reply | Job | None"]


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a method and a path ask for: an action of App with the parts of the path, and the role that it takes."""

    action: str
    parts: list[str]
    role: AccessRole | None


class App:
    """The application of one worker; a front on a socket, or any ASGI server, gives it whole requests."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._unit_header = service.settings.unit_header.encode()
        self._actions: dict[str, Action] = {
            "predict": self._predict,
            "infer": self._infer,
            "invoke": self._invoke,
            "labels": self._labels,
            "repository": self._repository,
            "show": self._show,
        }

    def answer(self, request: Request, send: Send) -> Job | None:
        """Have `send` called once with the reply, counted; the job, where there is one, may be left before that.

        Never raises.
        """
        exchange = Exchange(self._service.metrics, send)
        try:
            exchange.name = request_id(request)
            found = self._route(request, exchange)
        except Exception as error:
            found = exchange.refusal(error)
        if not isinstance(found, Reply):
            return found
        exchange.reply(found)
        return None

    def admit(self, head: Request) -> Reply | None:
        """The reply, counted, to a request that need not send its body, as no key allows it; None where it may.

        What is admitted has taken its part of the key's rate.
        """
        if self._service.access.is_open:
            return None
        name = ""
        try:
            name = request_id(head)
            self._check(find_target(head.method, head.path), head)
        except REFUSALS as error:
            return self.refuse(error, name)
        return None

    def refuse(self, error: TidegateError, name: str = "") -> Reply:
        """The reply to a request that did not come whole, counted."""
        reply = refusal(error, name)
        self._service.metrics.count(reply.template, reply.status, "", seconds=0.0)
        return reply

    def _route(self, request: Request, exchange: "Exchange") -> Reply | Job | None:
        target = find_target(request.method, request.path)
        if not (self._service.access.is_open or request.is_admitted):
            self._check(target, request)
        return self._actions[target.action](request, exchange, target.parts)

    def _check(self, target: Target, request: Request) -> None:
        if target.role:
            self._service.access.check(token_of(request.headers), target.role, now=time.monotonic())

    def _show(self, request: Request, exchange: "Exchange", parts: list[str]) -> Reply:
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

    def _predict(self, request: Request, exchange: "Exchange", parts: list[str]) -> Job:
        limit, name = self._service.settings.max_rows, exchange.name

        def parse(arm: Arm, shape: Shape) -> Matrix:
            return parse_predict(request.body, shape, max_rows=limit)

        def render(answered: Answered) -> Reply:
            return Reply(200, _rendered(name, answered), "/predict", name, answered.arm)

        return self._service.submit(parse, self._caller(request, name), exchange.deliver(render))

    def _invoke(self, request: Request, exchange: "Exchange", parts: list[str]) -> Job:
        kind = request.headers.get(b"content-type", b"")
        limit, name = self._service.settings.max_rows, exchange.name

        def parse(arm: Arm, shape: Shape) -> Matrix:
            return parse_invocation(request.body, kind, shape, max_rows=limit)

        def render(answered: Answered) -> Reply:
            body = orjson.dumps({"predictions": answered.predictions})
            return Reply(200, body, "/invocations", name, answered.arm)

        return self._service.submit(parse, self._caller(request, name), exchange.deliver(render))

    def _infer(self, request: Request, exchange: "Exchange", parts: list[str]) -> Job:
        """`parts` is v2/models/MODEL/infer, or v2/models/MODEL/versions/VERSION/infer."""
        limit, model = self._service.settings.max_rows, parts[2]

        def parse(arm: Arm, shape: Shape) -> Matrix:
            require_outputs(asked, arm.model)
            return tensor_rows(asked.tensors, arm.model.inputs, shape, max_rows=limit)

        def render(answered: Answered) -> Reply:
            return _inferred(render_infer(model, name, answered, asked), name, answered.arm)

        pinned = self._service.named(model, parts[4] if len(parts) > 4 else "")
        asked = parse_infer(request.body, _json_size(request))
        exchange.name = name = asked.id or exchange.name
        caller = self._caller(request, name, timeout_s=asked.timeout_s)
        return self._service.submit(parse, caller, exchange.deliver(render), pinned=pinned)

    def _labels(self, request: Request, exchange: "Exchange", parts: list[str]) -> Reply | None:
        labels = parse_labels(request.body, at=request.at, max_rows=self._service.settings.max_rows)
        pending = self._service.label(labels)
        body = orjson.dumps({"accepted": len(labels)})
        kept = Reply(202, body, "/labels", exchange.name)
        if pending is None:
            return kept
        written = asyncio.ensure_future(pending)
        written.add_done_callback(lambda done: exchange.finish(done.exception() or kept))
        return None

    def _repository(self, request: Request, exchange: "Exchange", parts: list[str]) -> Reply:
        match parts[2:]:
            case ["index"]:
                found = list_versions(self._service, only_ready=parse_index(request.body))
                return reply_json(200, found, "/v2/repository/index")
            case ["models", name, "load"]:
                load_named(self._service, name, parse_load(request.body))
                return reply_json(200, {}, "/v2/repository/models/load")
            case ["models", name, "unload"]:
                unload_named(self._service, name)
        raise _no_route("POST", parts)

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


class Exchange:
    """One request on its way to its reply, which is counted; `name` is the request's id, "" until it is known."""

    __slots__ = ("_began", "_metrics", "_send", "name")

    def __init__(self, metrics: Metrics, send: Send) -> None:
        self.name = ""
        self._metrics = metrics
        self._send = send
        self._began = time.perf_counter()

    def reply(self, reply: Reply) -> None:
        """Send it, and count it when it is gone."""
        seconds = time.perf_counter() - self._began
        self._send(reply)
        self._metrics.count(
            reply.template, reply.status, reply.arm.role if reply.arm else "", seconds=seconds
        )

    def finish(self, found: Reply | BaseException) -> None:
        """Send the reply, or why there is none."""
        self.reply(found if isinstance(found, Reply) else self.refusal(found))

    def deliver(self, render: Callable[[Answered], Reply]) -> Deliver:
        """What takes the engine's answer, renders and sends it."""

        def take(found: Answered | Exception) -> None:
            try:
                reply = self.refusal(found) if isinstance(found, Exception) else render(found)
            except Exception as error:
                reply = self.refusal(error)
            self.reply(reply)

        return take

    def refusal(self, error: BaseException) -> Reply:
        """The reply to what failed; a fault of ours reaches the client as a reply, and the log as a trace."""
        if isinstance(error, REFUSALS):
            return refusal(error, self.name)
        traceback.print_exception(error)
        return refusal(TidegateError("", "internal error, see the log of the gateway"), self.name)


@lru_cache(maxsize=1024)
def find_target(method: str, path: str) -> Target:
    """What is asked for; HttpError 404 or 405 for what is nowhere."""
    parts = path.strip("/").split("/")
    role = role_of(parts)
    match (method, parts):
        case ("POST", ["predict"]):
            return Target("predict", parts, role)
        case ("POST", ["v2", "models", _, "infer"] | ["v2", "models", _, "versions", _, "infer"]):
            return Target("infer", parts, role)
        case ("POST", ["invocations"]):
            return Target("invoke", parts, role)
        case ("POST", ["labels"]):
            return Target("labels", parts, role)
        case ("POST", ["v2", "repository", *_]):
            return Target("repository", parts, role)
        case ("GET" | "HEAD", _):
            return Target("show", parts, role)
    raise _no_route(method, parts)


def _rendered(name: str, answered: Answered) -> bytes:
    body = {
        "request_id": name,
        "ids": answered.ids,
        "predictions": answered.predictions,
        "scores": answered.scores,
        "release": answered.arm.release,
        "bundle": answered.arm.model.digest,
    }
    return orjson.dumps(body)


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
