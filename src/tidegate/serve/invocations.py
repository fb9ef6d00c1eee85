"""MLflow's scoring protocol, `POST /invocations`: tables and tensors in the four forms that its clients send.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ (the protocol of version 2.0 and later).
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.errors import UsageError
from tidegate.serve.parse import decode
from tidegate.serve.shape import Matrix, Shape, check_objects

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class Split(msgspec.Struct):
    """A table as pandas splits it; `index` is of no use here."""

    data: list[list[Any]]
    columns: Sequence[str | int] | None = None
    index: list[Any] | None = None


class InvocationBody(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON body: one of the forms, and parameters, which no model here takes."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | dict[str, Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None
    params: dict[str, Any] | None = None


_body = msgspec.json.Decoder(InvocationBody)
# Python's json writes what JSON does not have, and MLflow's client a missing value in a table so
CONSTANTS = re.compile(rb"\b(NaN|Infinity)\b")


def parse_invocation(body: bytes, content_type: bytes, shape: Shape, *, max_rows: int) -> Matrix:
    """The rows of an invocation; UsageError for what holds none, BreachError for rows that the contract refuses."""
    kind = content_type.split(b";")[0].strip().lower()
    if kind not in (b"", b"application/json", b"text/csv"):
        found = kind[:60].decode("latin-1")
        raise UsageError("content-type", f"`{found}`, expected application/json or text/csv")
    rows, name = _table(body) if kind == b"text/csv" else _json_rows(body)
    if not 1 <= len(rows) <= max_rows:
        raise UsageError(name, f"{len(rows)} rows, expected 1 to {max_rows}")
    return check_objects(rows, lambda i: f"{name}[{i}]", shape)


def _json_rows(body: bytes) -> tuple[Sequence[Any], str]:
    parsed = _parsed(body)
    given = [form for form in FORMS if getattr(parsed, form) is not None]
    if len(given) != 1:
        raise UsageError("", f"{len(given)} of {', '.join(FORMS)}, expected one")
    if parsed.params:
        raise UsageError("params", "this model takes no parameters")
    name = given[0]
    if parsed.dataframe_split is not None:
        return _split_rows(parsed.dataframe_split, f"{name}.data"), f"{name}.data"
    found = getattr(parsed, name)
    return (_columns(found, name) if isinstance(found, Mapping) else found), name


def _parsed(body: bytes) -> InvocationBody:
    try:
        parsed: InvocationBody = decode(_body, body)
    except UsageError as error:
        if not CONSTANTS.search(body):
            raise
        parsed = decode(_body, _without_constants(body, error))
    return parsed


def _without_constants(body: bytes, error: UsageError) -> bytes:
    """The same with null for NaN; infinity becomes a text, which no column of numbers takes."""
    try:
        found = json.loads(body, parse_constant=lambda name: None if name == "NaN" else name)
        return json.dumps(found).encode()
    except (ValueError, RecursionError):
        raise error from None


def _split_rows(split: Split, name: str) -> list[Any]:
    if split.columns in (None, list(range(len(split.columns or ())))):
        return list(split.data)
    for i, row in enumerate(split.data):
        if len(row) != len(split.columns):
            found = f"{len(row)} values for {len(split.columns)} columns"
            raise UsageError(f"{name}[{i}]", found)
    return [dict(zip(split.columns, row, strict=True)) for row in split.data]


def _columns(given: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Rows of a mapping from column to its values; single values are one row."""
    lists = {column: values if isinstance(values, list) else [values] for column, values in given.items()}
    sizes = {len(values) for values in lists.values()}
    if len(sizes) > 1:
        raise UsageError(name, f"columns of {min(sizes)} to {max(sizes)} values, expected as many in each")
    cells = zip(*lists.values(), strict=True)
    return [{column: _only(cell) for column, cell in zip(lists, row, strict=True)} for row in cells]


def _only(cell: Any) -> Any:
    """A tensor of one column has its values in lists of one."""
    return cell[0] if isinstance(cell, list) and len(cell) == 1 and not isinstance(cell[0], list) else cell


def _table(body: bytes) -> tuple[Sequence[Any], str]:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError("body", f"not CSV, {error}") from None
    if not lines:
        return [], "rows"
    names, *rest = lines
    return _split_rows(Split([[_value(cell) for cell in row] for row in rest if row], names), "rows"), "rows"


def _value(text: str) -> Any:
    if text == "":
        return None
    return float(text) if NUMBER.fullmatch(text) else text
