"""What is kept: predictions and labels, and how a search for predictions is said."""

from typing import NamedTuple, TypeVar

import msgspec

from tidegate.domain import Label, Prediction
from tidegate.errors import CorruptError
from tidegate.store.predictions.entry import Entry, rows_of
from tidegate.store.predictions.files import LABELS, PREDICTIONS

Row = TypeVar("Row", Prediction, Label)

KINDS: dict[str, type[Prediction] | type[Label]] = {PREDICTIONS: Prediction, LABELS: Label}

NO_ROWS = msgspec.msgpack.encode([])

_entries = msgspec.msgpack.Decoder(list[Entry])


class Search(NamedTuple):
    """Which predictions: the newest `n`, of this request alone, answered at `since` or later."""

    n: int
    request: str = ""
    since: float = float("-inf")


def decode(payload: bytes, kind: type[Row]) -> list[Row]:
    """The rows in a frame's payload."""
    if kind is Prediction:
        return [row for entry in decode_entries(payload) for row in rows_of(entry)]  # type: ignore[misc]
    rows: list[Row] = msgspec.msgpack.decode(payload, type=list[kind])  # type: ignore[valid-type]
    return rows


def decode_entries(payload: bytes) -> list[Entry]:
    """The requests in the payload of a frame of predictions; CorruptError for what another version wrote."""
    try:
        return _entries.decode(payload)
    except msgspec.ValidationError:
        raise CorruptError(
            "prediction log",
            "a segment was written by another version, its rows cannot be read",
            hint="while the service is down, move .tidegate/log/predictions-*.seg away",
        ) from None


def decode_stream(payload: bytes, stream: str) -> list[Prediction] | list[Label]:
    """The rows in a frame's payload of this stream."""
    return decode(payload, Prediction) if stream == PREDICTIONS else decode(payload, Label)
