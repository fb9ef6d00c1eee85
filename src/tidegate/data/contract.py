"""The data contract: which columns a model is asked with, in the Open Data Contract Standard v3.1."""

import json
import re
from typing import Any, Literal, NamedTuple, get_args

from tidegate.data.tables import Table
from tidegate.data.yaml import locate, parse_yaml
from tidegate.errors import UsageError, did_you_mean

Kind = Literal["number", "integer", "string", "boolean"]
KINDS: tuple[str, ...] = get_args(Kind)
API_VERSION = "v3.1.0"


class Column(NamedTuple):
    """A column and its logical type; `is_required` columns may not be missing or null."""

    name: str
    kind: str
    is_required: bool = True


class Contract(NamedTuple):
    """The columns of one row, in the order in which the model takes them."""

    name: str
    columns: tuple[Column, ...]


def parse_contract(text: str, where: str = "contract.odcs.yaml") -> Contract:
    """The contract in an ODCS document with one schema object.

    Raises UsageError at file, line and column for what is not one. Parts of the standard that do not
    describe columns are left alone.
    """
    document = parse_yaml(text, where)
    if not isinstance(document, dict) or document.get("kind") != "DataContract":
        raise UsageError(locate(text, ["kind"], where), "not a data contract, expected `kind: DataContract`")
    schema = document.get("schema")
    if not isinstance(schema, list) or len(schema) != 1 or not isinstance(schema[0], dict):
        raise UsageError(locate(text, ["schema"], where), "`schema` must be a list of one object")
    properties = schema[0].get("properties")
    if not isinstance(properties, list) or not properties:
        place = locate(text, ["schema", 0, "properties"], where)
        raise UsageError(place, "`properties` must be a list of at least one column")
    columns = tuple(_column(text, where, i, entry) for i, entry in enumerate(properties))
    _require_distinct(text, where, columns)
    return Contract(str(document.get("name") or schema[0].get("name") or ""), columns)


def render_contract(contract: Contract) -> str:
    """The contract as an ODCS document."""
    lines = [
        f"apiVersion: {API_VERSION}",
        "kind: DataContract",
        f"id: {_quoted(f'urn:tidegate:contract:{contract.name}')}",
        f"name: {_quoted(contract.name)}",
        "version: 1.0.0",
        "status: active",
        "schema:",
        f"- name: {_quoted(contract.name)}",
        "  logicalType: object",
        "  properties:",
    ]
    for column in contract.columns:
        required = str(column.is_required).lower()
        lines += [
            f"  - name: {_quoted(column.name)}",
            f"    logicalType: {column.kind}",
            f"    required: {required}",
        ]
    return "\n".join(lines) + "\n"


def infer_contract(name: str, table: Table) -> Contract:
    """The contract that a table's values keep: a column without an empty cell is required."""
    return Contract(name, tuple(_inferred(column, table.values[column]) for column in table.columns))


def _quoted(text: str) -> str:
    """A JSON string, which YAML reads as well: but surrogate pairs it refuses, so it gets whole characters."""
    pairs = r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})"
    return re.sub(pairs, lambda pair: f"\\U{_joined(pair[1], pair[2]):08x}", json.dumps(text))


def _joined(high: str, low: str) -> int:
    return 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00


def _column(text: str, where: str, index: int, entry: Any) -> Column:
    path: list[str | int] = ["schema", 0, "properties", index]
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise UsageError(locate(text, path, where), "a column needs a `name`, found none")
    kind = entry.get("logicalType", "number")
    if kind not in KINDS:
        found = f"unknown logicalType `{kind}`{did_you_mean(str(kind), KINDS)}"
        raise UsageError(
            locate(text, [*path, "logicalType"], where), found, hint=f"one of {', '.join(KINDS)}"
        )
    required = entry.get("required", False)
    if not isinstance(required, bool):
        raise UsageError(
            locate(text, [*path, "required"], where), f"required is {required!r}, expected a boolean"
        )
    return Column(entry["name"], kind, required)


def _require_distinct(text: str, where: str, columns: tuple[Column, ...]) -> None:
    names = [column.name for column in columns]
    for i, name in enumerate(names):
        if name in names[:i]:
            place = locate(text, ["schema", 0, "properties", i, "name"], where)
            raise UsageError(place, f"column `{name}` appears twice, names must be distinct")


def _inferred(name: str, values: list[Any]) -> Column:
    present = [value for value in values if value is not None and value != ""]
    return Column(name, _kind_of(present), len(present) == len(values))


def _kind_of(values: list[Any]) -> Kind:
    kinds = {type(value) for value in values}
    if kinds and kinds <= {bool}:
        return "boolean"
    if kinds and kinds <= {int}:
        return "integer"
    return "number" if kinds <= {int, float} else "string"
