"""The description of the HTTP front for machines (OpenAPI 3.1), and a page of it for people."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, NamedTuple

from tidegate import __version__
from tidegate.serve.access import role_of
from tidegate.serve.route import Route
from tidegate.serve.schema import (
    ANYTHING,
    ERROR,
    INDEX,
    INFERRED,
    INVOKED,
    LABELED,
    LABELS,
    LIVE,
    METADATA,
    MODELS,
    PREDICTED,
    READY,
    SERVER,
    TEXT,
    Schema,
    infer_schema,
    invoke_schema,
    predict_schema,
    record,
    row_schema,
)
from tidegate.serve.shape import Shape

READS = (400, 413, 415)
ASKS = (*READS, 500, 503, 504)
GONE = (404, 503)
DENIED = (401, 403, 429)
VERSION = "/v2/models/{name}/versions/{version}"
REPOSITORY = "/v2/repository/models/{name}"
ASK_HEADERS: Mapping[str, Schema] = {
    "x-request-id": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "x-request-timeout-ms": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}
KEYS: Schema = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


class Operation(NamedTuple):
    """One route: its method, its path, a sentence, the body it takes, what it answers and with which statuses."""

    method: str
    path: str
    summary: str
    answer: Schema
    body: Schema | None = None
    success: int = 200
    statuses: tuple[int, ...] = ()
    content: str = "application/json"
    is_optional: bool = False


def render_openapi(route: Route, shapes: Mapping[str, Shape], *, has_keys: bool = False) -> dict[str, Any]:
    """The document of what is live: rows and tensors are those of the stable model, names are those that answer."""
    model = route.stable.model
    infer = infer_schema(model.inputs, model.outputs)
    versions = [str(arm.version) for arm in (route.stable, route.canary) if arm]
    known = {
        "name": {"type": "string", "enum": [route.endpoint]},
        "version": {"type": "string", "enum": versions},
    }
    paths: dict[str, Any] = {}
    for one in describe(row_schema(shapes[model.digest]), infer):
        is_keyed = has_keys and role_of(one.path.strip("/").split("/")) is not None
        paths.setdefault(one.path, {})[one.method] = _render(_keyed(one) if is_keyed else one, known)
    components = {"schemas": {"Error": ERROR}} | ({"securitySchemes": KEYS} if has_keys else {})
    found = {"openapi": "3.1.0", "paths": paths, "components": components}
    title = {"title": route.endpoint, "version": __version__, "description": "Predictions by tidegate."}
    return found | {"info": title} | ({"security": [{name: []} for name in KEYS]} if has_keys else {})


def render_page(route: Route) -> str:
    """The routes as a page, without anything from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{one.method.upper()}</code></td><td><code>{escape(one.path)}</code></td>"
        f"<td>{escape(one.summary)}</td></tr>"
        for one in describe({})
    )
    return PAGE.format(name=escape(route.endpoint), rows=rows)


def describe(row: Schema, infer: Schema | None = None) -> tuple[Operation, ...]:
    """Every route of the front, whose rows and inference requests have these schemas."""
    return (*_asks(row, infer or infer_schema((), ())), *_models(), *_server())


def _asks(row: Schema, infer: Schema) -> Iterator[Operation]:
    """What asks a model, or tells it the truth."""
    asks = Operation("post", "/predict", "Predict rows.", PREDICTED, predict_schema(row), statuses=ASKS)
    yield asks
    asks = asks._replace(answer=INFERRED, body=infer, statuses=(*ASKS, 404))
    yield asks._replace(path="/v2/models/{name}/infer", summary="Predict, tensors in and out.")
    yield asks._replace(path=f"{VERSION}/infer", summary="The same by a version that is served.")
    invoke = invoke_schema(row)
    yield Operation("post", "/invocations", "Predict by MLflow's protocol.", INVOKED, invoke, statuses=ASKS)
    yield Operation("post", "/labels", "Tell late truth.", LABELED, LABELS, 202, READS)


def _models() -> Iterator[Operation]:
    """What tells about models."""
    model = "/v2/models/{name}"
    yield Operation("get", "/v2/models", "The models that answer.", MODELS, statuses=(503,))
    yield Operation("get", model, "What a model takes and gives.", METADATA, statuses=GONE)
    yield Operation("get", VERSION, "The same of a version that is served.", METADATA, statuses=GONE)
    yield Operation("get", f"{model}/ready", "Whether a model answers.", READY, statuses=GONE)
    yield Operation("get", f"{VERSION}/ready", "The same of a version.", READY, statuses=GONE)
    asked, steer = record(ready={"type": "boolean"}), (*READS, *GONE)
    index = Operation("post", "/v2/repository/index", "Every version of the model.", INDEX, asked)
    yield index._replace(statuses=(*READS, 503), is_optional=True)
    load = Operation(
        "post", f"{REPOSITORY}/load", "Nothing for what is live.", ANYTHING, ANYTHING, statuses=steer
    )
    yield load._replace(is_optional=True)
    yield Operation("post", f"{REPOSITORY}/unload", "Refused: releases decide.", ANYTHING, statuses=steer)


def _server() -> Iterator[Operation]:
    """What tells about the server."""
    text, html = "text/plain", "text/html"
    yield Operation("get", "/v2", "Name, version and extensions of the server.", SERVER)
    yield Operation("get", "/v2/openapi.json", "This document.", ANYTHING, statuses=(503,))
    yield Operation("get", "/v2/docs", "This document as a page.", TEXT, statuses=(503,), content=html)
    yield Operation("get", "/metrics", "Counts and times for Prometheus.", TEXT, content=text)
    yield Operation("get", "/version", "The version of tidegate.", TEXT, content=text)
    for path in ("/v2/health/live", "/healthz"):
        yield Operation("get", path, "Whether the process runs.", LIVE)
    for path in ("/v2/health/ready", "/readyz", "/ping", "/health"):
        yield Operation("get", path, "Whether a model answers.", READY, statuses=(503,))


def _keyed(one: Operation) -> Operation:
    return one._replace(statuses=(*one.statuses, *DENIED))


def _render(one: Operation, known: Mapping[str, Schema]) -> dict[str, Any]:
    answer = {"description": "the answer", "content": {one.content: {"schema": one.answer}}}
    error = {"schema": {"$ref": "#/components/schemas/Error"}}
    refusals = {
        str(status): {"description": "refused", "content": {"application/json": error}}
        for status in one.statuses
    }
    found: dict[str, Any] = {
        "summary": one.summary,
        "responses": {str(one.success): answer, **refusals},
        "parameters": list(_parameters(one, known)),
    }
    if one.body is not None:
        content = {"application/json": {"schema": one.body}}
        found["requestBody"] = {"required": not one.is_optional, "content": content}
    return found


def _parameters(one: Operation, known: Mapping[str, Schema]) -> Iterator[dict[str, Any]]:
    for name, schema in known.items():
        if f"{{{name}}}" in one.path:
            yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name, schema in ASK_HEADERS.items() if 504 in one.statuses else ():
        yield {"name": name, "in": "header", "required": False, "schema": schema}


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td {{ padding: .35rem .75rem .35rem 0; border-top: 1px solid #8884; vertical-align: top }}
</style>
<h1>{name}</h1>
<p>For machines: <a href="/v2/openapi.json">openapi.json</a>.</p>
<table>{rows}</table>
"""
