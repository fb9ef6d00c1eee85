"""What is never written: inputs that are marked, and the names of units."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from tidegate.store.predictions.entry import Entry, without


def redact(
    entries: Sequence[Entry], masks: Mapping[str, frozenset[int]], *, unit_key: bytes = b""
) -> Sequence[Entry]:
    """The entries without the inputs that their bundle's mask hides, and with `unit_key` with hashed units."""
    if not unit_key and not any(masks.get(entry.bundle) for entry in entries):
        return entries
    return [_redacted(entry, masks.get(entry.bundle, frozenset()), unit_key) for entry in entries]


def _redacted(entry: Entry, mask: frozenset[int], unit_key: bytes) -> Entry:
    if unit_key and entry.unit:
        entry = replace(entry, unit=hash_unit(unit_key, entry.unit))
    return without(entry, mask) if mask else entry


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
