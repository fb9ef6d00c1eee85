"""What a Parquet file's own statistics say of a check: how many rows break it, without reading one of them.

Only what is exact is used. A float's smallest and largest value leave NaN out: they prove a range, which is about
finite numbers, but not that all are finite without a count of NaN beside them, which many writers do not make.
"""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tidegate.data.contract.look import Look, query
from tidegate.data.contract.quote import quote_value
from tidegate.data.contract.rules import Check, Range
from tidegate.data.contract.sql import FLOAT, INTEGER, Cell

# beyond this a double does not hold each integer
EXACT = 2**53


class Facts(NamedTuple):
    """What all row groups say of a column, each None when one of them does not say.

    `low` and `high` are the smallest and largest but for NaN; None where all are null. `is_bounded` says that they
    hold for all values.
    """

    nulls: int | None
    nans: int | None
    is_bounded: bool
    low: Any
    high: Any


def facts_of(look: Look) -> Mapping[str, Facts]:
    """The facts of the file's columns; nothing of text files and nested columns."""
    if look.source.is_text:
        return {}
    metadata = f"parquet_metadata({quote_value(str(look.source.path.resolve()))})"
    names = {row[0] for row in query(look, f"describe select * from {metadata}")}
    nans = "stats_nan_count" if "stats_nan_count" in names else "null::BIGINT"
    ends = "try_cast(stats_min_value as DOUBLE) as low, try_cast(stats_max_value as DOUBLE) as high"
    columns = (
        f"path_in_schema as name, row_group_id, num_values, stats_null_count as nulls, {nans} as nans, {ends}"
    )
    sql = f"""select name, if(count(nulls) = count(*), sum(nulls)::BIGINT, null),
        if(count(nans) = count(*), sum(nans)::BIGINT, null),
        coalesce(bool_and(coalesce((low is not null and high is not null) or nulls = num_values, false)), false),
        min(low), max(high)
        from (select {columns} from {metadata}) group by name having count(*) = count(distinct row_group_id)"""
    return {row[0]: Facts(*row[1:]) for row in query(look, sql)}


def count_broken(facts: Mapping[str, Facts], cell: Cell, check: Check) -> int | None:
    """How many rows break a check; None when only reading them tells."""
    known = facts.get(cell.column.name)
    if known is None:
        return None
    if not FLOAT.fullmatch(cell.physical):
        known = known._replace(nans=0)
    if check.rule == "required":
        return _sum(known.nulls, known.nans if cell.column.is_nan_missing else 0)
    if check.rule == "finite":
        return 0 if known.nans == 0 and _keeps(known, cell, Range()) else None
    return 0 if check.rule == "range" and _keeps(known, cell, check.argument) else None


def _keeps(known: Facts, cell: Cell, limits: Range) -> bool:
    """Whether all values but null and NaN are sure to be finite and in a range."""
    is_float = FLOAT.fullmatch(cell.physical) is not None
    is_number = is_float or INTEGER.fullmatch(cell.physical) is not None
    if not is_number or cell.value != cell.raw or not known.is_bounded:
        return False
    return known.low is None or _is_within((known.low, known.high), limits, is_exact=is_float)


def _sum(nulls: int | None, nans: int | None) -> int | None:
    return None if nulls is None or nans is None else nulls + nans


def _is_within(ends: tuple[float, float], limits: Any, *, is_exact: bool) -> bool:
    """Whether both ends are finite and in a range; an integer that became a double must be the same number."""
    low, high = ends
    largest = math.inf if is_exact else EXACT
    if not (abs(low) < largest and abs(high) < largest):
        return False
    below = limits.low is not None and (low <= limits.low if limits.is_low_open else low < limits.low)
    above = limits.high is not None and (high >= limits.high if limits.is_high_open else high > limits.high)
    return not (below or above)
