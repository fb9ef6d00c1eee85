"""What changed between two contracts, and whether what kept the old one may break the new one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tidegate.data.contract.compare import Change
from tidegate.data.contract.rules import Check, Column, Contract, checks_of
from tidegate.data.contract.say import NAMES, expected


def compare_contracts(before: Contract, after: Contract) -> list[Change]:
    """The differences of two contracts, column by column, then of their tables and serving."""
    old, new = ({column.name: column for column in contract.every} for contract in (before, after))
    changes = [_column_change("removed", old[name], None) for name in old if name not in new]
    changes += [_column_change("added", None, new[name]) for name in new if name not in old]
    for name in old.keys() & new.keys():
        changes += _contract_column(old[name], new[name])
    kept = [
        [name for name in side if name in old and name in new] for side in (_order(before), _order(after))
    ]
    if kept[0] != kept[1]:
        changes.append(
            Change(
                "order", "", kept[0], kept[1], 1.0, "the features stand in another order", is_breaking=True
            )
        )
    for part in ("table", "serving"):
        changes += _fields(part, getattr(before, part), getattr(after, part))
    return sorted(changes, key=lambda change: (not change.is_breaking, change.column, change.sort))


def _order(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns]


def _column_change(sort: str, old: Column | None, new: Column | None) -> Change:
    column = old or new
    assert column is not None  # noqa: S101 -- one of them is given
    is_breaking = sort == "removed" or column.is_required
    word = "gone" if sort == "removed" else "new"
    need = "required" if column.is_required else "optional"
    sentence = f"column `{column.name}` ({need} {column.kind}) is {word}"
    return Change(
        sort, column.name, old and old.kind, new and new.kind, 1.0, sentence, is_breaking=is_breaking
    )


def _contract_column(old: Column, new: Column) -> Iterator[Change]:
    name = f"column `{old.name}`"
    if old.kind != new.kind:
        sentence = f"{name}: {NAMES[old.kind]} is now {NAMES[new.kind]}"
        yield Change(
            "type",
            old.name,
            old.kind,
            new.kind,
            1.0,
            sentence,
            is_breaking=(old.kind, new.kind) != ("integer", "number"),
        )
        return
    if old.is_required != new.is_required:
        sentence = f"{name}: is now {'required' if new.is_required else 'optional'}"
        yield Change(
            "required", old.name, old.is_required, new.is_required, 1.0, sentence, is_breaking=new.is_required
        )
    for field in ("role", "flags", "is_personal", "is_nan_missing", "classification"):
        yield from _field(old, new, field)
    yield from _checks(old, new)


def _field(old: Column, new: Column, field: str) -> Iterator[Change]:
    before, after = getattr(old, field), getattr(new, field)
    if before != after:
        words = [
            (", ".join(sorted(value)) if field == "flags" else str(value).lower()) or "nothing"
            for value in (before, after)
        ]
        plain = [sorted(value) if field == "flags" else value for value in (before, after)]
        what = {"flags": "only flagged", "is_personal": "personal", "is_nan_missing": "NaN is missing"}.get(
            field, field
        )
        sentence = f"column `{old.name}`: {what}: {words[0]} is now {words[1]}"
        is_breaking = field == "flags" and bool(old.flags - new.flags)
        yield Change(field, old.name, plain[0], plain[1], 1.0, sentence, is_breaking=is_breaking)


def _checks(old: Column, new: Column) -> Iterator[Change]:
    before, after = ({check.rule: check for check in checks_of(column)} for column in (old, new))
    for rule in sorted(before.keys() | after.keys()):
        one, two = before.get(rule), after.get(rule)
        if one != two and not (rule == "required" and old.is_required != new.is_required):
            said = [expected(column, check) if check else "" for column, check in ((old, one), (new, two))]
            words = (
                f"{said[0]} is now {said[1]}"
                if one and two
                else f"no longer {said[0]}"
                if one
                else f"now {said[1]}"
            )
            yield Change(
                rule,
                old.name,
                said[0],
                said[1],
                1.0,
                f"column `{old.name}`: {rule}: {words}",
                is_breaking=_is_tighter(one, two),
            )


def _is_tighter(old: Check | None, new: Check | None) -> bool:
    """Whether what kept the old check may break the new one."""
    if new is None or old is None:
        return new is not None
    judge: Callable[[Any, Any], bool] | None = {
        "range": _is_narrower,
        "length": _is_narrower,
        "values": _lacks,
    }.get(new.rule)
    return judge(old.argument, new.argument) if judge and old.allowed == new.allowed else True


def _lacks(old: Sequence[Any], new: Sequence[Any]) -> bool:
    return not set(old) <= set(new)


def _is_narrower(old: Any, new: Any) -> bool:
    above = new.low is not None and (
        old.low is None or new.low > old.low or (new.low == old.low and new.is_low_open > old.is_low_open)
    )
    below = new.high is not None and (
        old.high is None
        or new.high < old.high
        or (new.high == old.high and new.is_high_open > old.is_high_open)
    )
    return bool(above or below)


def _fields(part: str, old: Any, new: Any) -> Iterator[Change]:
    for field in old._fields:
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            sentence = f"{part}: {field}: {_plain(before)} is now {_plain(after)}"
            yield Change(
                field,
                "",
                _plain(before),
                _plain(after),
                1.0,
                sentence,
                is_breaking=field not in ("flags", "unknown_fields"),
            )


def _plain(value: Any) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "nothing"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return ", ".join(getattr(item, "name", None) or str(item) for item in value) or "nothing"
    return "nothing" if value is None else str(value)
