"""A contract drafted from data, for a person to review: wide enough for tomorrow's rows, with its reasons."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.contract.personal import suspect
from tidegate.data.contract.profile import Profile, profile_columns, value_sql
from tidegate.data.contract.quote import quote_name
from tidegate.data.contract.render import render_contract
from tidegate.data.contract.rules import Check, Column, Contract, Items, Range, Server, TableRules
from tidegate.data.contract.source import Source, connect, open_source, run
from tidegate.errors import UsageError

if TYPE_CHECKING:
    import duckdb

FEW = 30
REPEATS = 20
WIDER = 0.1
SAMPLE = 1000
ID_NAMES = ("id", "uuid", "key", "row_id", "index")
LABEL_NAMES = ("label", "target", "truth", "y", "class")
SPLIT_NAMES = ("split", "fold", "partition")
HEAD = (
    "Drafted from {files} by `tidegate contract infer`: {rows:,} rows, {columns} columns.",
    "Review every line. What is written here is enforced on tables, in CI and at the endpoint.",
)


class Roles(NamedTuple):
    """The names of the columns that are not features, when known; otherwise they are guessed."""

    id: str = ""
    label: str = ""


class Draft(NamedTuple):
    """A contract and the comments that go with it, by column."""

    contract: Contract
    notes: dict[str, tuple[str, ...]]

    def render(self) -> str:
        """The draft as a document with comments."""
        return render_contract(self.contract, self.notes)


class Guess(NamedTuple):
    """A column and the reasons for what it says."""

    column: Column
    notes: tuple[str, ...]


def infer_files(
    name: str, paths: Sequence[Path], *, names: Sequence[str] = (), roles: Roles | None = None
) -> Draft:
    """The draft of a contract for these files, the first of which shows the columns; `names` are their paths in it.

    Raises UsageError for a table without rows or columns, or with a later file that breaks the draft's kinds.
    """
    with connect(paths) as connection:
        sources = [open_source(connection, path) for path in paths]
        profiles = [profile_columns(connection, source) for source in sources]
        if not profiles[0] or not profiles[0][0].rows:
            raise UsageError(sources[0].name, "no rows, a contract is drafted from values")
        merged = [_merged(one, profiles[1:], sources) for one in profiles[0]]
        guesses = [
            _guess(connection, sources[0], profile=profile, roles=roles or Roles()) for profile in merged
        ]
    return _draft(name, guesses, _servers(names or [path.name for path in paths]), merged[0].rows)


def _merged(first: Profile, others: Sequence[Sequence[Profile]], sources: Sequence[Source]) -> Profile:
    """One column over all files."""
    for profiles, source in zip(others, sources[1:], strict=True):
        found = next((profile for profile in profiles if profile.name == first.name), None)
        if found is None:
            first = first._replace(nulls=first.nulls + 1)
            continue
        if found.kind != first.kind and {found.kind, first.kind} != {"number", "integer"}:
            raise UsageError(
                source.name, f"column `{first.name}` is a {found.kind}, in {sources[0].name} a {first.kind}"
            )
        first = _joined(first, found)
    return first


def _joined(one: Profile, two: Profile) -> Profile:
    counts = dict(one.counts)
    for value, count in two.counts:
        counts[value] = counts.get(value, 0) + count
    lows = [end for end in (one.low, two.low) if end is not None]
    highs = [end for end in (one.high, two.high) if end is not None]
    return one._replace(
        kind=one.kind if one.kind == two.kind else "number",
        rows=one.rows + two.rows,
        nulls=one.nulls + two.nulls,
        nans=one.nans + two.nans,
        low=min(lows, default=None),
        high=max(highs, default=None),
        distinct=max(one.distinct, two.distinct, len(counts)),
        counts=tuple(counts.items()),
    )


def _guess(
    connection: "duckdb.DuckDBPyConnection", source: Source, *, profile: Profile, roles: Roles
) -> Guess:
    role = _role(profile, roles)
    is_required = profile.nulls == 0
    notes = [] if is_required else [f"{profile.nulls:,} of {profile.rows:,} values are missing"]
    if profile.nans:
        notes.append(f"{profile.nans:,} values are NaN or infinite, which is a violation")
    checks, reasons = _checks(connection, source, profile)
    if (role == "id" or _may_be_key(profile)) and _is_unique(connection, source, profile):
        checks, reasons = (Check("unique"),), ("every value is distinct",)
        role = "id" if role == "feature" and profile.kind == "string" else role
    why = _personal(connection, source, profile)
    if why:
        notes.append(f"{why}: remove the column, or add `tidegate.personal: true` if you may use it")
    column = Column(profile.name, profile.kind, is_required, role, checks)
    return Guess(column, (*notes, *reasons))


def _role(profile: Profile, roles: Roles) -> str:
    name = profile.name.lower()
    for role, given, usual in (("id", roles.id, ID_NAMES), ("label", roles.label, LABEL_NAMES)):
        if profile.name == given or (not given and name in usual):
            return role
    return "split" if name in SPLIT_NAMES and profile.kind == "string" else "feature"


def _may_be_key(profile: Profile) -> bool:
    """Whether a column of whole numbers or text has nearly as many values as rows, and is named like a key."""
    is_named = profile.name.lower().endswith(("id", "key", "uuid"))
    return profile.kind in ("integer", "string") and is_named and profile.distinct > 0.9 * profile.rows


def _is_unique(connection: "duckdb.DuckDBPyConnection", source: Source, profile: Profile) -> bool:
    if profile.kind not in ("integer", "string") or profile.rows < 2:
        return False
    value = value_sql(source, profile.name, profile.kind)
    query = f"select count({value}) = count(distinct {value}) from {source.sql}"
    return bool(run(connection, query, source)[0][0])


def _personal(connection: "duckdb.DuckDBPyConnection", source: Source, profile: Profile) -> str:
    values: list[Any] = []
    if profile.kind == "string":
        column = quote_name(profile.name)
        query = f"select {column} from {source.sql} where {column} is not null limit {SAMPLE}"
        values = [row[0] for row in run(connection, query, source)]
    return suspect(profile.name, values)


def _checks(
    connection: "duckdb.DuckDBPyConnection", source: Source, profile: Profile
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks of a column's values, and why."""
    if profile.kind == "array":
        return _array(connection, source, profile)
    if profile.low is None:
        return (), ()
    if profile.kind == "string":
        return _text(profile)
    if profile.kind == "integer" and _is_code(profile):
        values = tuple(sorted(value for value, _ in profile.counts))
        return (Check("values", values),), (_seen(len(values)),)
    if profile.kind in ("number", "integer"):
        limits = widen(profile.low, profile.high, is_whole=profile.kind == "integer")
        return (Check("range", limits),), (f"seen {profile.low:g} to {profile.high:g}, widened by a tenth",)
    return (), ()


def _is_code(profile: Profile) -> bool:
    """Whether integers stand for classes: few, each seen often, and named like a label or only 0 and 1."""
    few = 0 < len(profile.counts) <= FEW
    often = bool(profile.counts) and min(count for _, count in profile.counts) >= 2
    is_named = profile.name.lower() in LABEL_NAMES
    return few and often and (is_named or {value for value, _ in profile.counts} <= {0, 1})


def _text(profile: Profile) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    present = profile.rows - profile.nulls
    values = tuple(sorted(value for value, _ in profile.counts))
    if len(values) <= FEW and present >= REPEATS * len(values):
        return (Check("values", values),), (
            f"{_seen(len(values))}, about {present // len(values):,} rows each",
        )
    longest = max(len(value) for value in values)
    limit = _nice(2 * longest, math.ceil)
    return (Check("length", Range(None, int(limit))),), (
        f"about {profile.distinct:,} values, up to {longest} characters long",
    )


def _seen(count: int) -> str:
    return f"{count} value{'' if count == 1 else 's'} seen"


def widen(low: float, high: float, *, is_whole: bool) -> Range:
    """The range seen, a tenth wider on each side and rounded outward; zero stays the end of what never crosses it."""
    margin = WIDER * (high - low) or WIDER * abs(high) or 1.0
    least, most = _nice(float(low) - margin, math.floor), _nice(float(high) + margin, math.ceil)
    least = 0.0 if low >= 0 and least < 0 else least
    most = 0.0 if high <= 0 and most > 0 else most
    return Range(math.floor(least), math.ceil(most)) if is_whole else Range(least, most)


def _nice(value: float, outward: Any) -> float:
    """The number rounded outward to two significant digits."""
    if value == 0 or not math.isfinite(value):
        return max(min(value, 1.7e308), -1.7e308)
    exponent = math.floor(math.log10(abs(value))) - 1
    if exponent < 0:
        return float(outward(value * 10**-exponent) / 10**-exponent) if exponent > -300 else value
    return float(outward(value / 10**exponent) * 10**exponent)


def _array(
    connection: "duckdb.DuckDBPyConnection", source: Source, profile: Profile
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The shape of an array of numbers, and the range of its items."""
    value, depth = quote_name(profile.name), source.types[profile.name].count("[")
    flat, sizes = value, [f"[min(len({value})), max(len({value}))]"]
    for _ in range(depth - 1):
        inner = f"list_transform({flat}, lambda x: len(x))"
        sizes.append(f"[min(list_min({inner})), max(list_max({inner}))]")
        flat = f"flatten({flat})"
    is_number = "VARCHAR" not in source.types[profile.name] and "BOOL" not in source.types[profile.name]
    ends = f"min(list_min({flat}))::DOUBLE, max(list_max({flat}))::DOUBLE" if is_number else "null, null"
    *found, low, high = run(connection, f"select {', '.join(sizes)}, {ends} from {source.sql}", source)[0]
    shape = tuple(size[0] if size[0] == size[1] and size[0] is not None else -1 for size in found)
    kind = "number" if is_number else "string" if "VARCHAR" in source.types[profile.name] else "boolean"
    limits = (
        (Check("range", widen(low, high, is_whole=False)),)
        if low is not None and math.isfinite(high - low)
        else ()
    )
    reasons = (f"items seen from {low:g} to {high:g}, widened by a tenth",) if limits else ()
    return (Check("items", Items(kind, shape, limits)),), reasons


def _servers(names: Sequence[str]) -> tuple[Server, ...]:
    return tuple(Server(Path(name).stem, name) for name in names)


def _draft(name: str, guesses: Sequence[Guess], servers: tuple[Server, ...], rows: int) -> Draft:
    columns = tuple(guess.column for guess in guesses if guess.column.role == "feature")
    others = tuple(guess.column for guess in guesses if guess.column.role != "feature")
    is_split = len(servers) > 1 or any(column.role == "split" for column in others)
    leakage = tuple(column.name for column in columns) if is_split else ()
    table = TableRules(unknown="flag", personal="flag", leakage=leakage)
    head = (
        line.format(files=", ".join(server.path for server in servers), rows=rows, columns=len(guesses))
        for line in HEAD
    )
    notes = {guess.column.name: guess.notes for guess in guesses if guess.notes} | {"": tuple(head)}
    return Draft(Contract(name, columns, others, table, servers=servers), notes)
