"""Request bodies to rows: parsed once, at the door; every complaint names the field's path."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from tidegate.domain import Label
from tidegate.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

Cells = list[float | None]
MALFORMED = "JSON is malformed: "
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class PredictBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /predict`: `rows`, or one `row`, as lists in the contract's order or as objects."""

    rows: list[Cells | dict[str, float | None]] | None = None
    row: Cells | dict[str, float | None] | None = None


class LabelBody(msgspec.Struct, forbid_unknown_fields=True):
    """A late label of `POST /labels`."""

    request: str
    truth: str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float


class LabelsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /labels`."""

    labels: list[LabelBody]


class Shape(NamedTuple):
    """What a row must look like: its columns, and which of them may be null."""

    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()


_predict = msgspec.json.Decoder(PredictBody)
_labels = msgspec.json.Decoder(LabelsBody)


def parse_predict(body: bytes, shape: Shape, *, max_rows: int) -> "np.ndarray":
    """The rows of a `/predict` body, float64 [rows, columns]; UsageError names what is wrong and where."""
    parsed = decode(_predict, body)
    if (parsed.rows is None) == (parsed.row is None):
        raise UsageError("", "expected either `rows` or `row`")
    rows = parsed.rows if parsed.rows is not None else [[] if parsed.row is None else parsed.row]
    if not 1 <= len(rows) <= max_rows:
        raise UsageError("rows", f"{len(rows)} rows, expected 1 to {max_rows}")
    names = [f"rows[{i}]" for i in range(len(rows))] if parsed.rows is not None else ["row"]
    return to_array([_cells(row, shape, where) for row, where in zip(rows, names, strict=True)], shape, names)


def parse_labels(body: bytes, *, at: float, max_rows: int) -> list[Label]:
    """The labels of a `/labels` body."""
    found = decode(_labels, body).labels
    if len(found) > max_rows:
        raise UsageError("labels", f"{len(found)} labels, expected at most {max_rows}")
    return [Label(label.request, at, label.truth) for label in found]


def decode(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    """A JSON body as the decoder's record; msgspec's complaint in the house form."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise UsageError(path.rstrip("`").lstrip("."), _lower(message)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError("body", f"not JSON, {_lower(str(error).removeprefix(MALFORMED))}") from None
    except RecursionError:
        raise UsageError("body", "nested too deep") from None


def to_array(rows: Sequence[Cells], shape: Shape, names: Sequence[str]) -> "np.ndarray":
    """Rows as float64; null becomes NaN where the contract allows it."""
    import numpy as np

    for cells, where in zip(rows, names, strict=True):
        if len(cells) != len(shape.columns):
            raise UsageError(where, f"{len(cells)} values, the contract names {len(shape.columns)} columns")
        if None in cells:
            _refuse_null(cells, shape, where)
    return np.array(rows, dtype=float)


def check_request_id(value: str, where: str = "x-request-id") -> str:
    """The id that a client gave its request; UsageError for one that cannot stand in a header."""
    if not REQUEST_ID.fullmatch(value):
        raise UsageError(where, "expected 1 to 128 visible ASCII characters")
    return value


def _cells(row: Cells | dict[str, float | None], shape: Shape, where: str) -> Cells:
    if not isinstance(row, dict):
        return row
    for name in row:
        if name not in shape.columns:
            raise UsageError(f"{where}.{name}", f"unknown column{did_you_mean(name, shape.columns)}")
    missing = [name for name in shape.columns if name not in row and name not in shape.optional]
    if missing:
        raise UsageError(f"{where}.{missing[0]}", "missing, the contract requires this column")
    return [row.get(name) for name in shape.columns]


def _refuse_null(cells: Cells, shape: Shape, where: str) -> None:
    for name, cell in zip(shape.columns, cells, strict=True):
        if cell is None and name not in shape.optional:
            raise UsageError(where, f"column `{name}` is null, the contract requires a value")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
