"""The description of the HTTP front for machines (OpenAPI 3.1), and a page of it for people."""

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from tidegate import __version__
from tidegate.data.contract.rules import Column, Items, argument_of
from tidegate.serve.route import Route
from tidegate.serve.shape import Shape
from tidegate.serve.tensor import DATATYPES

Schema = dict[str, Any]

NULLABLE = {"number": "number", "integer": "integer", "boolean": "boolean"}
TEXT: Schema = {"type": "string"}
ANSWER: Schema = {"type": ["string", "number", "integer"]}
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "violations": {"type": "array", "items": {"type": "string"}},
    },
}
PARAMETERS: Schema = {"type": "object", "additionalProperties": True}
SPEC: Schema = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string", "enum": list(DATATYPES)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
    },
}
TENSOR: Schema = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string", "enum": list(DATATYPES)},
        "data": {"type": "array"},
        "parameters": PARAMETERS,
    },
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


def render_openapi(route: Route, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """The document of what is live: the rows are those of the stable model's contract."""
    operations = describe(_row_schema(shapes[route.stable.model.digest]))
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = _render(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": route.endpoint, "version": __version__, "description": "Predictions by tidegate."},
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}},
    }


def render_page(route: Route, shapes: Mapping[str, Shape]) -> str:
    """The routes as a page, without anything from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{one.method.upper()}</code></td><td><code>{escape(one.path)}</code></td>"
        f"<td>{escape(one.summary)}</td></tr>"
        for one in describe(_row_schema(shapes[route.stable.model.digest]))
    )
    return PAGE.format(name=escape(route.endpoint), rows=rows)


def describe(row: Schema) -> tuple[Operation, ...]:
    """Every route of the front, whose rows have this schema."""
    rows = {"type": "array", "items": row, "minItems": 1}
    ready = _object(ready={"type": "boolean"}, name={"type": "string"})
    predict = {"oneOf": [_object("rows", rows=rows), _object("row", row=row)]}
    asks = (400, 413, 415, 500, 503, 504)
    infer = Operation(
        "post", "/v2/models/{name}/infer", "Predict, tensors in and out.", _inferred(), _infer()
    )
    index = Operation(
        "post", "/v2/repository/index", "Every version of the model.", _list({"type": "object"})
    )
    asked = _object(ready={"type": "boolean"})
    index = index._replace(body=asked, statuses=(400, 413, 415, 503), is_optional=True)
    metadata, anything, names = _metadata(), {"type": "object"}, _object(models=_list({"type": "string"}))
    version, gone = "/v2/models/{name}/versions/{version}", (404, 503)
    repository = "/v2/repository/models/{name}"
    return (
        Operation("post", "/predict", "Predict rows.", _predicted(), predict, statuses=asks),
        infer._replace(statuses=(*asks, 404)),
        infer._replace(path=f"{version}/infer", statuses=(*asks, 404)),
        Operation(
            "post", "/invocations", "Predict by MLflow's protocol.", _invoked(), anything, statuses=asks
        ),
        Operation("post", "/labels", "Tell late truth.", _labeled(), _labels(), 202, (400, 413, 415)),
        Operation("get", "/v2", "Name, version and extensions of the server.", anything),
        Operation("get", "/v2/health/live", "Whether the process runs.", _object(live={"type": "boolean"})),
        Operation("get", "/v2/health/ready", "Whether a model answers.", ready, statuses=(503,)),
        Operation("get", "/v2/models", "The models that answer.", names, statuses=(503,)),
        Operation("get", "/v2/models/{name}", "What a model takes and gives.", metadata, statuses=gone),
        Operation("get", version, "The same of a version.", metadata, statuses=gone),
        Operation("get", "/v2/models/{name}/ready", "Whether a model answers.", ready, statuses=gone),
        Operation("get", f"{version}/ready", "The same of a version.", ready, statuses=gone),
        index,
        Operation("post", f"{repository}/load", "Nothing for what is live.", anything, statuses=gone),
        Operation(
            "post", f"{repository}/unload", "Refused: releases decide.", anything, statuses=(400, *gone)
        ),
        Operation("get", "/v2/openapi.json", "This document.", anything, statuses=(503,)),
        Operation("get", "/v2/docs", "This document as a page.", TEXT, statuses=(503,), content="text/html"),
        Operation("get", "/metrics", "Counts and times for Prometheus.", TEXT, content="text/plain"),
        Operation("get", "/version", "The version of tidegate.", TEXT, content="text/plain"),
        Operation("get", "/healthz", "Whether the process runs.", _object(live={"type": "boolean"})),
        Operation("get", "/readyz", "Whether a model answers.", ready, statuses=(503,)),
        Operation("get", "/ping", "The same, in MLflow's words.", ready, statuses=(503,)),
        Operation("get", "/health", "The same, in MLflow's words.", ready, statuses=(503,)),
    )


def _render(one: Operation) -> dict[str, Any]:
    answer = {"description": "the answer", "content": {one.content: {"schema": one.answer}}}
    error = {"schema": {"$ref": "#/components/schemas/Error"}}
    refusals = {
        str(status): {"description": "refused", "content": {"application/json": error}}
        for status in one.statuses
    }
    names = [part.strip("{}") for part in one.path.split("/") if part.startswith("{")]
    found: dict[str, Any] = {
        "summary": one.summary,
        "responses": {str(one.success): answer, **refusals},
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ],
    }
    if one.body is not None:
        content = {"application/json": {"schema": one.body}}
        found["requestBody"] = {"required": not one.is_optional, "content": content}
    return found


def _row_schema(shape: Shape) -> Schema:
    """A row as an object by column or as a list of the columns' values in their order."""
    columns = [slot.column for slot in shape.check.slots]
    cells = {column.name: _cell(column) for column in columns}
    required = [column.name for column in columns if column.is_required]
    named = {"type": "object", "properties": cells, "required": required, "additionalProperties": False}
    listed = {"type": "array", "prefixItems": list(cells.values()), "minItems": len(cells)}
    return {"oneOf": [named, {**listed, "maxItems": len(cells)}]}


def _cell(column: Column) -> Schema:
    items: Items | None = argument_of(column, "items")
    if items is not None:
        return {"type": "array"}
    kind = NULLABLE.get(column.kind, "string")
    return {"type": kind if column.is_required else [kind, "null"]}


def _infer() -> Schema:
    output = _object("name", name={"type": "string"}, parameters=PARAMETERS)
    return _object(
        "inputs",
        inputs={"type": "array", "items": TENSOR, "minItems": 1},
        id={"type": "string"},
        parameters=PARAMETERS,
        outputs=_list(output),
    )


def _inferred() -> Schema:
    return _object(
        "model_name", "outputs", model_name={"type": "string"}, model_version={"type": "string"},
        id={"type": "string"}, outputs=_list(TENSOR),
    )  # fmt: skip


def _predicted() -> Schema:
    texts = _list({"type": "string"})
    return _object(
        "request_id", "ids", "predictions", "scores", request_id={"type": "string"}, ids=texts,
        predictions=_list(ANSWER), scores=_list({"type": "array"}), release={"type": "integer"},
        bundle={"type": "string"},
    )  # fmt: skip


def _labels() -> Schema:
    return _object(
        "labels", labels=_list(_object("request", "truth", request={"type": "string"}, truth=ANSWER))
    )


def _invoked() -> Schema:
    return _object("predictions", predictions=_list(ANSWER))


def _labeled() -> Schema:
    return _object("accepted", accepted={"type": "integer"})


def _metadata() -> Schema:
    return _object(
        "name", "inputs", "outputs", name={"type": "string"}, versions=_list({"type": "string"}),
        platform={"type": "string"}, inputs=_list(SPEC), outputs=_list(SPEC),
    )  # fmt: skip


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


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
