"""What a table's columns hold, in a few numbers each: for the contract that is inferred, and for differences."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.contract.quote import quote_name
from tidegate.data.contract.source import Source, run
from tidegate.data.contract.sql import FROM_TEXT, PHYSICAL

if TYPE_CHECKING:
    import duckdb

WIDTH = 100
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
CATEGORIES = 1000


class Profile(NamedTuple):
    """A column: its kind, rows, nulls and NaNs, extremes, quantiles (numbers only), and how many values it has.

    `distinct` is an estimate (HyperLogLog, about 2 % off); `counts` are the most frequent values of text,
    booleans and small sets of integers, at most CATEGORIES of them.
    """

    name: str
    kind: str
    rows: int
    nulls: int
    nans: int
    low: Any
    high: Any
    quantiles: tuple[float, ...]
    distinct: int
    counts: tuple[tuple[Any, int], ...]


def profile_columns(connection: "duckdb.DuckDBPyConnection", source: Source) -> list[Profile]:
    """The profile of every column of a file that has a kind; others, such as structs, are left out."""
    kinds = kinds_of(connection, source)
    found: list[Profile] = []
    names = list(kinds)
    for start in range(0, len(names), WIDTH):
        part = {name: kinds[name] for name in names[start : start + WIDTH]}
        found += _profiles(connection, source, part)
    return [profile._replace(counts=_counts(connection, source, profile)) for profile in found]


def kinds_of(connection: "duckdb.DuckDBPyConnection", source: Source) -> dict[str, str]:
    """The kind of each column: by its physical type, in a text file by what all its cells can be read as."""
    if source.is_text:
        return _kinds_of_text(connection, source)
    return {name: kind for name, physical in source.types.items() if (kind := kind_of(physical))}


def kind_of(physical: str) -> str:
    """The contract's kind for a physical type; "" for one that has none."""
    order = ("boolean", "integer", "number", "date", "timestamp", "string", "array")
    if physical in ("FLOAT", "DOUBLE"):
        return "number"
    if physical.endswith("]"):
        inner = kind_of(physical[: physical.rindex("[")])
        return "array" if inner in ("array", "boolean", "integer", "number", "string") else ""
    return next((kind for kind in order if PHYSICAL[kind].fullmatch(physical)), "")


def _kinds_of_text(connection: "duckdb.DuckDBPyConnection", source: Source) -> dict[str, str]:
    order = ("boolean", "integer", "number", "date", "timestamp")
    tests = [
        f"count_if({quote_name(name)} is not null and {FROM_TEXT[kind].format(quote_name(name))} is null) = 0"
        f" and count({quote_name(name)}) > 0"
        for name in source.types
        for kind in order
    ]
    answers = run(connection, f"select {', '.join(tests)} from {source.sql}", source)[0]
    found = {}
    for number, name in enumerate(source.types):
        fits = answers[number * len(order) : (number + 1) * len(order)]
        found[name] = next((kind for kind, fit in zip(order, fits, strict=True) if fit), "string")
    return found


def value_sql(source: Source, name: str, kind: str) -> str:
    """The SQL of a column's value as its kind."""
    raw = quote_name(name)
    if source.is_text:
        return FROM_TEXT[kind].format(raw)
    if kind == "number":
        return f"{raw}::DOUBLE"
    if kind == "timestamp":
        return f"make_timestamp(epoch_us({raw}))"
    return f"{raw}::VARCHAR" if kind == "string" else raw


def _profiles(
    connection: "duckdb.DuckDBPyConnection", source: Source, kinds: dict[str, str]
) -> list[Profile]:
    parts = [
        part for name, kind in kinds.items() for part in _aggregates(value_sql(source, name, kind), kind)
    ]
    row = run(connection, f"select count(*), {', '.join(parts)} from {source.sql}", source)[0]
    rows, width = row[0], len(parts) // max(len(kinds), 1)
    cells = [row[1 + i * width : 1 + (i + 1) * width] for i in range(len(kinds))]
    return [_profile(name, kind, rows, cell) for (name, kind), cell in zip(kinds.items(), cells, strict=True)]


def _aggregates(value: str, kind: str) -> list[str]:
    if kind == "array":
        sizes = f"len({value})"
        return [f"count({value})", "0", f"min({sizes})", f"max({sizes})", "null", "0"]
    finite = f"filter (where isfinite({value}))" if kind == "number" else ""
    nans = f"count_if(not isfinite({value}))" if kind == "number" else "0"
    is_number = kind in ("number", "integer")
    shares = ", ".join(str(share) for share in QUANTILES)
    quantiles = f"approx_quantile({value}::DOUBLE, [{shares}]) {finite}" if is_number else "null"
    ends = [f"{end}({value}) {finite}" for end in ("min", "max")]
    return [f"count({value})", nans, *ends, quantiles, f"approx_count_distinct({value})"]


def _profile(name: str, kind: str, rows: int, cell: Sequence[Any]) -> Profile:
    present, nans, low, high, quantiles, distinct = cell
    return Profile(name, kind, rows, rows - present, nans, low, high, tuple(quantiles or ()), distinct, ())


def _counts(
    connection: "duckdb.DuckDBPyConnection", source: Source, profile: Profile
) -> tuple[tuple[Any, int], ...]:
    """How often each value occurs, where values are few or text."""
    if profile.kind not in ("string", "boolean") and not (
        profile.kind == "integer" and profile.distinct <= 64
    ):
        return ()
    value = value_sql(source, profile.name, profile.kind)
    query = (
        f"select {value} as v, count(*) as n from {source.sql} where {value} is not null "
        f"group by v order by n desc, v limit {CATEGORIES}"
    )
    return tuple((v, n) for v, n in run(connection, query, source))
