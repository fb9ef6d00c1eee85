"""JSON schemas of what the HTTP front takes and gives; rows and tensors are those of a model and its contract."""

from collections.abc import Sequence
from typing import Any

from tidegate.data.contract.judge import row_checks
from tidegate.data.contract.rules import Check, Column, Items, Range, argument_of
from tidegate.domain import TensorSpec
from tidegate.serve.shape import Shape
from tidegate.serve.tensor import DATATYPES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
ANSWER: Schema = {"type": ["string", "number"]}
ANYTHING: Schema = {"type": "object"}
PARAMETERS: Schema = {"type": "object", "additionalProperties": True}
TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "array": "array"}
FORMATS = {"date": "date", "timestamp": "date-time"}


def listed(items: Schema, **limits: int) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items, **limits}


def record(*required: str, is_closed: bool = False, **properties: Schema) -> Schema:
    """An object with these fields, and no others if it is closed."""
    found: Schema = {"type": "object", "required": list(required), "properties": properties}
    return found | ({"additionalProperties": False} if is_closed else {})


ERROR = record("error", error=TEXT, violations=listed(TEXT))
DATATYPE: Schema = {"type": "string", "enum": list(DATATYPES)}
SPEC = record("name", "datatype", "shape", name=TEXT, datatype=DATATYPE, shape=listed({"type": "integer"}))
TENSOR = record(
    *("name", "shape", "datatype"),
    name=TEXT,
    shape=listed({"type": "integer", "minimum": 0}, minItems=1, maxItems=8),
    datatype=DATATYPE,
    data={"type": "array"},
    parameters=PARAMETERS,
)
LIVE = record("live", live={"type": "boolean"})
READY = record("ready", ready={"type": "boolean"}, name=TEXT)
MODELS = record("models", models=listed(TEXT))
SERVER = record("name", "version", "extensions", name=TEXT, version=TEXT, extensions=listed(TEXT))
METADATA = record(
    *("name", "versions", "platform", "inputs", "outputs"),
    name=TEXT,
    versions=listed(TEXT),
    platform=TEXT,
    inputs=listed(SPEC),
    outputs=listed(SPEC),
)
INDEX = listed(record("name", "version", "state", "reason", name=TEXT, version=TEXT, state=TEXT, reason=TEXT))
INFERRED = record(
    *("model_name", "model_version", "id", "outputs"),
    model_name=TEXT,
    model_version=TEXT,
    id=TEXT,
    outputs=listed(TENSOR),
)
PREDICTED = record(
    *("request_id", "ids", "predictions", "scores", "release", "bundle"),
    request_id=TEXT,
    ids=listed(TEXT),
    predictions=listed(ANSWER),
    scores=listed(listed({"type": "number"})),
    release={"type": "integer"},
    bundle=TEXT,
)
INVOKED = record("predictions", predictions=listed(ANSWER))
LABELED = record("accepted", accepted={"type": "integer"})
LABELS = record(
    "labels",
    is_closed=True,
    labels=listed(record("request", "truth", is_closed=True, request=TEXT, truth=ANSWER)),
)


def row_schema(shape: Shape) -> Schema:
    """A row as an object by column, or as a list of the columns' values in their order."""
    columns = [slot.column for slot in shape.check.slots]
    cells = {column.name: cell_schema(column) for column in columns}
    needed = [column.name for column in columns if column.is_required]
    in_order = {"type": "array", "prefixItems": list(cells.values()), "minItems": len(cells)}
    return {"oneOf": [record(*needed, is_closed=True, **cells), in_order | {"maxItems": len(cells)}]}


def cell_schema(column: Column) -> Schema:
    """A value of a column, with those rules of the contract that a schema can say."""
    items: Items | None = argument_of(column, "items")
    refused = [check for check in row_checks(column) if column.policy(check.rule) == "reject"]
    found = _value(column.kind, refused) if items is None else _array(items)
    if column.is_required:
        return found
    return {"anyOf": [found, {"type": "null"}]}


def predict_schema(row: Schema) -> Schema:
    """The body of `/predict`."""
    many, one = (
        record("rows", is_closed=True, rows=listed(row, minItems=1)),
        record("row", is_closed=True, row=row),
    )
    return {"oneOf": [many, one]}


def invoke_schema(row: Schema) -> Schema:
    """The body of `/invocations`: one of four forms."""
    rows = listed(row, minItems=1)
    columns: Schema = {"type": ["array", "null"], "items": {"type": ["string", "integer"]}}
    split = record("data", columns=columns, data=listed({"type": "array"}, minItems=1))
    columnar = {"anyOf": [rows, {"type": "object", "minProperties": 1}]}
    forms = {"dataframe_split": split, "dataframe_records": rows, "instances": columnar, "inputs": columnar}
    return {"oneOf": [record(name, is_closed=True, **{name: form}) for name, form in forms.items()]}


def infer_schema(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Schema:
    """The body of an inference request: each of the model's tensors once; `data` may come as raw bytes."""
    tensors = [_tensor(spec) for spec in inputs]
    name = {"type": "string", "enum": [spec.name for spec in outputs]} if outputs else TEXT
    count = {"minItems": len(tensors), "maxItems": len(tensors)} if tensors else {"minItems": 1}
    return record(
        "inputs",
        inputs=listed({"anyOf": tensors} if tensors else TENSOR, **count),
        id={"type": "string", "pattern": "^[!-~]{0,128}$"},
        parameters=PARAMETERS,
        outputs={"type": ["array", "null"], "items": record("name", name=name, parameters=PARAMETERS)},
    )


def _tensor(spec: TensorSpec) -> Schema:
    kinds = ["BYTES"] if spec.datatype == "BYTES" else [kind for kind in DATATYPES if kind != "BYTES"]
    sizes: list[Schema] = [{"type": "integer", "minimum": 1}, *({"const": size} for size in spec.shape[1:])]
    shape = {"type": "array", "prefixItems": sizes, "minItems": 1, "maxItems": len(sizes)}
    properties = TENSOR["properties"] | {
        "name": {"const": spec.name},
        "datatype": {"type": "string", "enum": kinds},
        "shape": shape,
    }
    return {**TENSOR, "properties": properties}


def _array(items: Items) -> Schema:
    found = _value(items.kind, items.checks)
    for size in reversed(items.shape):
        found = listed(found, **({"minItems": size, "maxItems": size} if size >= 0 else {}))
    return found


def _value(kind: str, checks: Sequence[Check]) -> Schema:
    found: Schema = {"type": TYPES.get(kind, "string")}
    if kind in FORMATS:
        return found | {"format": FORMATS[kind]}
    for check in checks:
        if check.rule == "values":
            found["enum"] = list(check.argument)
        elif check.rule == "range":
            found |= _ends(check.argument)
        elif check.rule == "length":
            found |= _known({"minLength": check.argument.low, "maxLength": check.argument.high})
    return found


def _ends(limits: Range) -> Schema:
    low = "exclusiveMinimum" if limits.is_low_open else "minimum"
    high = "exclusiveMaximum" if limits.is_high_open else "maximum"
    return _known({low: limits.low, high: limits.high})


def _known(values: Schema) -> Schema:
    return {key: value for key, value in values.items() if value is not None}
