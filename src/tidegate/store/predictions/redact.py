"""What is never written: inputs that are marked, and the names of units."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tidegate.domain import Prediction


def redact(
    rows: Sequence[Prediction], masks: Mapping[str, frozenset[int]], *, unit_key: bytes = b""
) -> Sequence[Prediction]:
    """The rows without the inputs that their bundle's mask hides, and with `unit_key` with hashed units."""
    if not unit_key and not any(masks.get(row.bundle) for row in rows):
        return rows
    return [_redacted(row, masks.get(row.bundle, frozenset()), unit_key) for row in rows]


def _redacted(row: Prediction, mask: frozenset[int], unit_key: bytes) -> Prediction:
    inputs = tuple(None if i in mask else value for i, value in enumerate(row.inputs)) if mask else row.inputs
    unit = hash_unit(unit_key, row.unit) if unit_key and row.unit else row.unit
    return msgspec.structs.replace(row, inputs=inputs, unit=unit)


def hash_unit(key: bytes, unit: str) -> str:
    """The name that a unit has in the log under this key: the same for the same unit, and no way back."""
    import hashlib

    return hashlib.blake2b(unit.encode(), key=key, digest_size=16).hexdigest()


def hidden_positions(columns: Sequence[str], hidden: Iterable[str]) -> frozenset[int]:
    """Where among a model's columns the hidden ones stand; the name of an array hides all its items."""
    names = set(hidden)
    return frozenset(
        i for i, column in enumerate(columns) if column in names or column.split("[")[0] in names
    )
