"""Evaluation rows: what a model answered beside the truth, read and checked once, at the door."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tidegate.data.tables import Table, read_table
from tidegate.domain import Evaluation, Measure, agree
from tidegate.errors import UsageError, did_you_mean
from tidegate.project import Data
from tidegate.stats.exact import clopper_pearson


class Rows(NamedTuple):
    """One model on one test set, as text; `columns` are what slices can be cut by."""

    ids: tuple[str, ...]
    truth: tuple[str, ...]
    prediction: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]


def read_rows(path: Path, data: Data) -> Rows:
    """The rows in a CSV or Parquet file, under the column names of `[data]`.

    Raises UsageError for a missing column, an empty file, an empty cell or an id that comes twice.
    """
    table = read_table(path)
    _require_columns(table, data, where=path.name)
    texts = {name: tuple(_text(value) for value in table.values[name]) for name in table.columns}
    for name in (data.id, data.truth, data.prediction):
        _require_cells(texts[name], name, where=path.name)
    _require_distinct(texts[data.id], where=path.name)
    columns = {name: cells for name, cells in texts.items() if name not in (data.id, data.prediction)}
    return Rows(texts[data.id], texts[data.truth], texts[data.prediction], columns)


def match(candidate: Rows, baseline: Rows) -> Rows:
    """The baseline in the candidate's order; UsageError unless both hold the same ids and truth."""
    place = {row: index for index, row in enumerate(baseline.ids)}
    shared = sum(row in place for row in candidate.ids)
    if shared != len(candidate.ids) or shared != len(baseline.ids):
        found = f"live and candidate share {shared} of {len(candidate.ids)} evaluation ids"
        hint = "run `tidegate repro evaluate` on both, or set `data.id`"
        raise UsageError("gate", f"{found}, they must be evaluated on the same rows", hint=hint)
    order = [place[row] for row in candidate.ids]
    ordered = _take(baseline, order)
    _require_same_truth(candidate, ordered)
    return ordered


def right(rows: Rows) -> tuple[bool, ...]:
    """Whether each prediction agrees with its truth."""
    return tuple(agree(truth, said) for truth, said in zip(rows.truth, rows.prediction, strict=True))


def evaluate(rows: Rows) -> Evaluation:
    """The rows as a record: what they are and the point estimates of their metrics."""
    n, hits = len(rows.ids), sum(right(rows))
    low, high = clopper_pearson(hits, n, error=0.1)
    metrics = {"accuracy": Measure(hits / n, low, high, "exact", "Clopper-Pearson")}
    return Evaluation(test_set_digest(rows), rows_digest(rows), n, "multiclass", metrics)


def rows_digest(rows: Rows) -> str:
    """SHA-256 of everything the rows say, whatever their order."""
    named = [cells for _, cells in sorted(rows.columns.items())]
    return _digest([rows.ids, rows.truth, rows.prediction, *named], sorted(rows.columns))


def test_set_digest(rows: Rows) -> str:
    """SHA-256 of ids and truth, whatever their order: what the budget of a test set is kept by."""
    return _digest([rows.ids, rows.truth], [])


def _digest(columns: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    content = [names, sorted(zip(*columns, strict=True))]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _take(rows: Rows, order: Sequence[int]) -> Rows:
    def pick(cells: Sequence[str]) -> tuple[str, ...]:
        return tuple(cells[index] for index in order)

    columns = {name: pick(cells) for name, cells in rows.columns.items()}
    return Rows(pick(rows.ids), pick(rows.truth), pick(rows.prediction), columns)


def _text(value: object) -> str:
    """A cell as text; a Parquet float that is whole reads like the integer it agrees with."""
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _require_columns(table: Table, data: Data, *, where: str) -> None:
    for key in ("id", "truth", "prediction"):
        name = getattr(data, key)
        if name not in table.columns:
            found = f"no column `{name}`{did_you_mean(name, table.columns)}"
            raise UsageError(where, found, hint=f"write that column, or set `data.{key}` in tidegate.toml")


def _require_cells(cells: Sequence[str], name: str, *, where: str) -> None:
    if not cells:
        raise UsageError(where, "no rows, the gate needs at least one", hint="tidegate repro evaluate")
    if "" in cells:
        number = cells.index("") + 1
        raise UsageError(f"{where}: row {number}", f"column `{name}` is empty, it needs a value")


def _require_distinct(ids: Sequence[str], *, where: str) -> None:
    row, times = Counter(ids).most_common(1)[0]
    if times > 1:
        second = ids.index(row, ids.index(row) + 1) + 1
        found = f"id `{row}` came before in row {ids.index(row) + 1}, ids must be distinct"
        raise UsageError(f"{where}: row {second}", found)


def _require_same_truth(candidate: Rows, baseline: Rows) -> None:
    for row, new, old in zip(candidate.ids, candidate.truth, baseline.truth, strict=True):
        if not agree(new, old):
            found = f"the truth of id `{row}` is `{new}` for the candidate and `{old}` for live"
            raise UsageError(
                "gate", f"{found}, it must be the same", hint="evaluate both on the same test set"
            )
