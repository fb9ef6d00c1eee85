"""Evaluation rows at the door: a file is read and checked once, column by column."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidegate.data.contract.source import connect, open_source, run
from tidegate.errors import UsageError
from tidegate.gate.rows import Cells, Rows, digest_of, plain_cells, rows_digest
from tidegate.gate.scores import fetch_scores, score_labels
from tidegate.gate.sheet import (
    Sheet,
    fetch_coded,
    fetch_hashes,
    fetch_numbers,
    fetch_texts,
    fetch_where,
    first_row,
    in_order,
    levels_of,
    open_sheet,
    require_column,
    text_of,
)
from tidegate.project import CONFIG, Data, Distribution, Gate, Measured, Quantile, Slices, Task

if TYPE_CHECKING:
    import duckdb

QUANTILE_PREFIX = "prediction_"


class Wanted(NamedTuple):
    """What rules ask of the rows beside truth and answers: columns by value or as numbers, conditions, scores.

    `is_lenient` reads what of it is there: of the live model's rows, which an older pipeline may have written.
    """

    task: Task = "multiclass"
    values: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    scores: bool = False
    is_lenient: bool = False


def wanted_by(gate: Gate, task: Task) -> Wanted:
    """What the rules of a gate ask for."""
    found = Wanted(task)
    for rule in gate.rule:
        found = _more(found, rule)
    metrics = [rule.named for rule in gate.rule if isinstance(rule, Measured)]
    scores = any(metric.needs in ("scores", "rows") for metric in metrics)
    is_listed = any(rule.__struct_config__.tag == "labels" for rule in gate.rule)
    shown = found._replace(scores=found.scores or scores or is_listed)
    quantiles = tuple(f"?{QUANTILE_PREFIX}{metric.q:g}" for metric in metrics if metric.q)
    return shown._replace(numbers=tuple(dict.fromkeys((*shown.numbers, *quantiles))))


def _more(found: Wanted, rule: object) -> Wanted:
    if isinstance(rule, Slices):
        cut = tuple(text.rpartition(":")[0] for text in rule.bins)
        return found._replace(
            values=(*found.values, *rule.by),
            numbers=(*found.numbers, *cut),
            where=(*found.where, *rule.where),
        )
    if isinstance(rule, Quantile):
        return found._replace(numbers=(*found.numbers, rule.column))
    if isinstance(rule, Distribution):
        return found._replace(scores=True, numbers=(*found.numbers, f"?{rule.column}"))
    return found


def read_rows(path: Path, data: Data, wanted: Wanted = Wanted()) -> Rows:  # noqa: B008 - a frozen record
    """The rows in a CSV or Parquet file, under the column names of `[data]`.

    Raises UsageError for a missing column, an empty file, an empty cell, an id that comes twice, a cell that
    is no number where one is needed, and a truth that is none of the labels.
    """
    with open_sheet(path) as sheet:
        for key in ("id", "truth", "prediction"):
            require_column(sheet, getattr(data, key), key=f"data.{key}")
        _require_cells(sheet, (data.id, data.truth, data.prediction))
        return _read(sheet, data, wanted)


def read_test_set(path: Path, data: Data, task: Task) -> str:
    """The digest of the test set alone, what its budget is kept by; errors as of read_rows."""
    return read_rows(path, data, Wanted(task)).test_set


def _read(sheet: Sheet, data: Data, wanted: Wanted) -> Rows:
    hashes = fetch_hashes(sheet, (data.id,))
    place = _order(hashes)
    hashes = (hashes[0][place], hashes[1][place])
    _require_distinct(sheet, data.id, hashes)
    task, classes = wanted.task, _classes(sheet, data, wanted.task)
    truth, prediction = (_answers(sheet, name, classes)[place] for name in (data.truth, data.prediction))
    test_set = digest_of([*hashes, *plain_cells(truth, classes)])
    del hashes
    positive = _positive(sheet, data, classes, task)
    scores = fetch_scores(sheet, data, classes, positive=positive) if wanted.scores else None
    scores = None if scores is None else scores[place]
    columns = _columns(sheet, data, wanted, place=place)
    rows = Rows(
        sheet.name,
        task,
        classes,
        positive,
        truth,
        prediction,
        scores,
        columns,
        place.astype(np.uint32),
        test_set,
        "",
    )
    return rows._replace(digest=rows_digest(rows))


def _order(hashes: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The order of the ids' hashes: the same however the file is ordered."""
    order = np.argsort(hashes[0])
    first = hashes[0][order]
    return np.lexsort(hashes[::-1]) if np.any(first[1:] == first[:-1]) else order


def name_rows(path: Path, data: Data, places: Sequence[int]) -> list[str]:
    """The ids of some rows, by `Rows.place`: for reports, which name rows."""
    with open_sheet(path) as sheet:
        found = fetch_texts(sheet, data.id, places)
        return [found[int(place)] for place in places]


def explain_mismatch(candidate: Path, live: Path, *, data: Data, live_data: Data) -> UsageError:
    """How two files differ in ids or truth: live and candidate must be evaluated on the same rows."""
    with connect([candidate, live]) as connection:
        sources = [open_source(connection, path) for path in (candidate, live)]
        new, old = (
            _ids(Sheet(connection, source, source.numbered), names)
            for source, names in zip(sources, (data, live_data), strict=True)
        )
        found = _difference(connection, new, old)
    return UsageError("gate", found, hint="evaluate both on the same rows, or set `data.id`")


def _difference(connection: "duckdb.DuckDBPyConnection", new: str, old: str) -> str:
    """Joined inside the database, which goes to disk where memory ends."""
    pairs = f"{new} new full join {old} old using (id)"
    counts = f"select count(new.id), count(old.id), count(*) filter (new.id = old.id) from {pairs}"  # noqa: S608
    rows, others, shared = connection.execute(counts).fetchall()[0]
    if not rows == others == shared:
        found = f"live ({others:,}) and candidate ({rows:,}) share {shared:,} evaluation ids"
        return f"{found}, they must be evaluated on the same rows"
    other = f"select id, new.truth, old.truth from {pairs} where new.truth <> old.truth limit 1"  # noqa: S608
    row, now, then = (connection.execute(other).fetchall() or [("", "", "")])[0]
    return f"the truth of id `{row}` is `{now}` for the candidate and `{then}` for live, it must be the same"


def _ids(sheet: Sheet, data: Data) -> str:
    """A query of ids and truth."""
    ids, truth = text_of(sheet, data.id), text_of(sheet, data.truth)
    return f"(select {ids} as id, {truth} as truth from {sheet.sql})"  # noqa: S608


def _classes(sheet: Sheet, data: Data, task: Task) -> tuple[str, ...]:
    """The classes in their order; every truth and answer is one of them."""
    if task == "regression":
        return ()
    known = data.labels or in_order(score_labels(sheet, data))
    seen = {name: levels_of(sheet, name) for name in (data.truth, data.prediction)}
    if not known:
        return in_order(list({level for levels in seen.values() for level in levels}))
    for name, levels in seen.items():
        strange = [level for level in levels if level not in known]
        if strange:
            row = first_row(sheet, f"{text_of(sheet, name)} = {_quoted(strange[0])}")
            found = f"{name} is `{strange[0]}`, expected one of {', '.join(known[:10])}"
            raise UsageError(f"{sheet.name}: row {row}", found, hint="set `data.labels` to all classes")
    return known


def _positive(sheet: Sheet, data: Data, classes: Sequence[str], task: Task) -> int:
    if task != "binary":
        return 0
    if len(classes) > 2:
        found = f"{len(classes)} classes ({', '.join(classes[:5])}), project.task is `binary`"
        raise UsageError(sheet.name, found, hint='set project.task = "multiclass"')
    if data.positive and data.positive not in classes:
        found = f"no row of class `{data.positive}`, data.positive names the one that binary metrics count"
        raise UsageError(sheet.name, found, hint=f"the classes are {', '.join(classes)}")
    return classes.index(data.positive) if data.positive else len(classes) - 1


def _answers(sheet: Sheet, name: str, classes: Sequence[str]) -> np.ndarray:
    return fetch_coded(sheet, name, classes).codes if classes else fetch_numbers(sheet, name)


def _columns(sheet: Sheet, data: Data, wanted: Wanted, *, place: np.ndarray) -> dict[str, Cells]:
    """The columns that rules ask for: numbers after `#`, conditions after `?`, the rest by their values."""
    found: dict[str, Cells] = {}
    for name in _known(sheet, wanted.numbers, key="gate.rule", is_lenient=wanted.is_lenient):
        if name not in (data.prediction, data.score) or name in wanted.numbers:
            found[f"#{name}"] = fetch_numbers(sheet, name)[place]
    columns = {name: data.truth if name == "truth" else name for name in wanted.values}
    known = _known(sheet, columns.values(), key="gate.rule.by", is_lenient=wanted.is_lenient)
    for name, column in columns.items():
        if column in known:
            coded = fetch_coded(sheet, column)
            found[name] = coded._replace(codes=coded.codes[place])
    for text in dict.fromkeys(wanted.where):
        meets = _meets(sheet, text, is_lenient=wanted.is_lenient)
        if meets is not None:
            found[f"?{text}"] = meets[place]
    return found


def _known(sheet: Sheet, names: Iterable[str], *, key: str, is_lenient: bool) -> list[str]:
    """The names of columns that are there; UsageError for one that is not, unless it may be missing (`?`)."""
    for name in names:
        if not (is_lenient or name.startswith("?")):
            require_column(sheet, name, key=key)
    return [name for name in dict.fromkeys(name.removeprefix("?") for name in names) if name in sheet.columns]


def _meets(sheet: Sheet, text: str, *, is_lenient: bool) -> np.ndarray | None:
    try:
        return fetch_where(sheet, text, where=f"{CONFIG}: gate.rule.where")
    except UsageError:
        if is_lenient:
            return None
        raise


def _require_cells(sheet: Sheet, names: Sequence[str]) -> None:
    if first_row(sheet, "true") is None:
        raise UsageError(sheet.name, "no rows, the gate needs at least one", hint="tidegate repro evaluate")
    for name in names:
        row = first_row(sheet, f"{text_of(sheet, name)} is null or {text_of(sheet, name)} = ''")
        if row:
            raise UsageError(f"{sheet.name}: row {row}", f"column `{name}` is empty, it needs a value")


def _require_distinct(sheet: Sheet, name: str, hashes: tuple[np.ndarray, np.ndarray]) -> None:
    """UsageError when two ids, hence two neighbors in the order of their hashes, are the same."""
    equal = np.logical_and.reduce([part[1:] == part[:-1] for part in hashes])
    if not np.any(equal):
        return
    value = text_of(sheet, name)
    query = (
        f"select {value} as x, list(file_row_number order by file_row_number) as places from {sheet.sql} "  # noqa: S608
        "group by x having count(*) > 1 order by places[2] limit 1"
    )
    row, places = run(sheet.connection, query, sheet.source)[0]
    found = f"id `{row}` came before in row {places[0] + 1}, ids must be distinct"
    many = f" ({int(equal.sum()):,} are not)" if equal.sum() > 1 else ""
    raise UsageError(f"{sheet.name}: row {places[1] + 1}", found + many)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
