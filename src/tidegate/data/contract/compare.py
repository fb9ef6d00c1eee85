"""What changed between two versions of a table, and how much."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.contract.profile import CATEGORIES, QUANTILES, Profile, profile_columns
from tidegate.data.contract.say import NAMES
from tidegate.data.contract.source import connect, open_source

SHIFT = 0.02
SHARE = 0.01
LISTED = 5


class Change(NamedTuple):
    """One difference: what sort, which column, both values, a size from 0 (nothing) that orders them, a sentence.

    `is_breaking` says that what kept the old contract may break the new one.
    """

    sort: str
    column: str
    before: Any
    after: Any
    size: float
    sentence: str
    is_breaking: bool = False


def compare_tables(before: Path, after: Path, *, names: tuple[str, str] = ("", "")) -> list[Change]:
    """The differences of two tables: rows, then columns with the largest change first.

    Shares are of all rows; a shift is measured in the spread of the middle 98 % before, so 1 moves everything.
    Quantiles and counts of distinct values are estimates; smaller shifts than SHIFT are left out.
    """
    with connect([before, after]) as connection:
        profiles = []
        for path, name in zip((before, after), names, strict=True):
            found = profile_columns(connection, open_source(connection, path, name))
            profiles.append({profile.name: profile for profile in found})
    old, new = profiles
    changes = [*_rows(old, new), *_columns(old, new)]
    for name in old.keys() & new.keys():
        changes += _column_changes(old[name], new[name])
    return sorted(
        changes, key=lambda change: (change.sort != "rows", -change.size, change.column, change.sort)
    )


def _rows(old: dict[str, Profile], new: dict[str, Profile]) -> Iterator[Change]:
    before, after = (next((profile.rows for profile in side.values()), 0) for side in (old, new))
    if before != after:
        share = (after - before) / max(before, 1)
        yield Change("rows", "", before, after, abs(share), f"rows: {before:,} to {after:,} ({share:+.1%})")


def _columns(old: dict[str, Profile], new: dict[str, Profile]) -> Iterator[Change]:
    for name in old.keys() - new.keys():
        kind = old[name].kind
        yield Change("removed", name, kind, None, 1.0, f"column `{name}` ({kind}) is gone", is_breaking=True)
    for name in new.keys() - old.keys():
        yield Change("added", name, None, new[name].kind, 1.0, f"column `{name}` ({new[name].kind}) is new")


def _column_changes(old: Profile, new: Profile) -> Iterator[Change]:
    if old.kind != new.kind:
        sentence = f"column `{old.name}`: {NAMES[old.kind]} is now {NAMES[new.kind]}"
        yield Change("type", old.name, old.kind, new.kind, 1.0, sentence, is_breaking=True)
        if {old.kind, new.kind} != {"number", "integer"}:
            return
    yield from _missing(old, new)
    yield from _ends(old, new)
    yield from _shift(old, new)
    yield from _categories(old, new)


def _missing(old: Profile, new: Profile) -> Iterator[Change]:
    for sort, before, after in (("nulls", old.nulls, new.nulls), ("nans", old.nans, new.nans)):
        one, two = before / max(old.rows, 1), after / max(new.rows, 1)
        if abs(two - one) >= 0.0005 or (before == 0) != (after == 0):
            word = "null" if sort == "nulls" else "NaN or infinite"
            sentence = f"column `{old.name}`: {one:.1%} to {two:.1%} {word}"
            yield Change(sort, old.name, one, two, abs(two - one), sentence, is_breaking=before == 0)


def _ends(old: Profile, new: Profile) -> Iterator[Change]:
    """The smallest and largest value, where they have moved; for arrays, their lengths."""
    if (
        old.low is None
        or new.low is None
        or old.kind not in ("number", "integer", "date", "timestamp", "array")
    ):
        return
    if (old.low, old.high) == (new.low, new.high):
        return
    is_wider = new.low < old.low or new.high > old.high
    what = "lengths" if old.kind == "array" else "range"
    was, now = (f"{_say(side.low)} to {_say(side.high)}" for side in (old, new))
    sentence = f"column `{old.name}`: {what} {was} is now {now}"
    size = _moved(old, (new.low, new.high))
    if is_wider or size >= SHIFT:
        yield Change("range", old.name, [old.low, old.high], [new.low, new.high], size, sentence)


def _moved(old: Profile, ends: tuple[Any, Any]) -> float:
    """How far the ends moved, in the spread of the old values; nothing measurable for dates."""
    if old.kind not in ("number", "integer", "array"):
        return SHIFT
    spread = float(old.high - old.low) or abs(float(old.high)) or 1.0
    return max(abs(float(ends[0] - old.low)), abs(float(ends[1] - old.high))) / spread


def _shift(old: Profile, new: Profile) -> Iterator[Change]:
    """The largest move of a quantile."""
    if not old.quantiles or not new.quantiles:
        return
    spread = old.quantiles[-1] - old.quantiles[0] or abs(old.quantiles[0]) or 1.0
    moves = [abs(two - one) / spread for one, two in zip(old.quantiles, new.quantiles, strict=True)]
    worst = max(range(len(moves)), key=moves.__getitem__)
    if moves[worst] < SHIFT:
        return
    before, after = old.quantiles[worst], new.quantiles[worst]
    name = "median" if QUANTILES[worst] == 0.5 else f"{QUANTILES[worst]:.0%} quantile"
    sentence = (
        f"column `{old.name}`: {name} {_say(before)} to {_say(after)} ({moves[worst]:.0%} of the spread)"
    )
    yield Change("quantiles", old.name, list(old.quantiles), list(new.quantiles), moves[worst], sentence)


def _categories(old: Profile, new: Profile) -> Iterator[Change]:
    """Values that are new, gone, or more or less frequent; only where both lists are complete."""
    before, after = dict(old.counts), dict(new.counts)
    if not before or not after or CATEGORIES in (len(before), len(after)):
        return
    yield from _listed(
        old, "new", {value: count / max(new.rows, 1) for value, count in after.items() if value not in before}
    )
    yield from _listed(
        old,
        "gone",
        {value: count / max(old.rows, 1) for value, count in before.items() if value not in after},
    )
    moves = {
        value: after[value] / max(new.rows, 1) - before[value] / max(old.rows, 1)
        for value in before.keys() & after.keys()
    }
    value, move = max(moves.items(), key=lambda item: abs(item[1]), default=(None, 0.0))
    if abs(move) >= SHARE:
        one, two = before[value] / max(old.rows, 1), after[value] / max(new.rows, 1)
        yield Change(
            "share",
            old.name,
            one,
            two,
            abs(move),
            f"column `{old.name}`: {value!r} {one:.1%} to {two:.1%} of rows",
        )


def _listed(old: Profile, sort: str, shares: dict[Any, float]) -> Iterator[Change]:
    if not shares:
        return
    values = sorted(shares, key=lambda value: (-shares[value], str(value)))
    more = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
    listed = ", ".join(repr(value) for value in values[:LISTED])
    total = sum(shares.values())
    word = "new value" if sort == "new" else "vanished value"
    plural = "s" if len(values) > 1 else ""
    sentence = f"column `{old.name}`: {len(values)} {word}{plural} {listed}{more} ({total:.1%} of rows)"
    before, after = (None, values) if sort == "new" else (values, None)
    yield Change(f"{sort}_values", old.name, before, after, total, sentence, is_breaking=sort == "new")


def _say(value: Any) -> str:
    return (
        f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
