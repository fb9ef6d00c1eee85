"""Request bodies to rows: parsed once, at the door; every complaint names the field's path."""

import re
from typing import Annotated, Any

import msgspec

from tidegate.domain import Label
from tidegate.errors import UsageError
from tidegate.serve.shape import Cells, Matrix, Shape, Where, check_numbers, check_objects

MALFORMED = "JSON is malformed: "
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class PredictBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /predict`: `rows`, or one `row`, as lists in the contract's order or as objects."""

    rows: list[Cells | dict[str, float | None]] | None = None
    row: Cells | dict[str, float | None] | None = None


class AnyBody(msgspec.Struct, forbid_unknown_fields=True):
    """The same for rows of more than plain numbers, and for rows that are wrong."""

    rows: list[Any] | None = None
    row: Any = None


class LabelBody(msgspec.Struct, forbid_unknown_fields=True):
    """A late label of `POST /labels`."""

    request: str
    truth: str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float


class LabelsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /labels`."""

    labels: list[LabelBody]


_predict = msgspec.json.Decoder(PredictBody)
_any = msgspec.json.Decoder(AnyBody)
_labels = msgspec.json.Decoder(LabelsBody)


def parse_predict(body: bytes, shape: Shape, *, max_rows: int) -> Matrix:
    """The rows of a `/predict` body.

    Raises BreachError for rows that the contract refuses, UsageError for a body that holds no rows.
    """
    if not shape.is_plain:
        return check_objects(*_rows_of(decode(_any, body), max_rows), shape)
    try:
        parsed: PredictBody = decode(_predict, body)
    except UsageError as error:
        return _look_closer(body, shape, max_rows=max_rows, error=error)
    return check_numbers(*_rows_of(parsed, max_rows), shape)


def _look_closer(body: bytes, shape: Shape, *, max_rows: int, error: UsageError) -> Matrix:
    """Rows that are no plain numbers: what is wrong with them, if they are rows at all."""
    try:
        parsed: AnyBody = decode(_any, body)
    except UsageError:
        raise error from None
    return check_objects(*_rows_of(parsed, max_rows), shape)


def _rows_of(parsed: PredictBody | AnyBody, max_rows: int) -> tuple[list[Any], Where]:
    """The rows of a body and the path of each."""
    if (parsed.rows is None) == (parsed.row is None):
        raise UsageError("", "expected either `rows` or `row`")
    rows = parsed.rows if parsed.rows is not None else [parsed.row]
    if not 1 <= len(rows) <= max_rows:
        raise UsageError("rows", f"{len(rows)} rows, expected 1 to {max_rows}")
    return rows, _in_rows if parsed.rows is not None else _alone


def _in_rows(i: int) -> str:
    return f"rows[{i}]"


def _alone(_: int) -> str:
    return "row"


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


def check_request_id(value: str, where: str = "x-request-id") -> str:
    """The id that a client gave its request; UsageError for one that cannot stand in a header."""
    if not REQUEST_ID.fullmatch(value):
        raise UsageError(where, "expected 1 to 128 visible ASCII characters")
    return value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
