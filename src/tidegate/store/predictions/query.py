"""SQL over the log: read-only, in bounded memory and time, without a way to other files or the network."""
# ruff: noqa: S608 -- every path, name and value goes through quote or _name

import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.domain import Label, Prediction
from tidegate.errors import TidegateError, UsageError
from tidegate.store.predictions.files import (
    LABELS,
    PREDICTIONS,
    RUN_BYTES,
    SNAPSHOT,
    STREAMS,
    LogFile,
    list_files,
    reading,
)
from tidegate.store.predictions.parquet import connect, quote, write_parquet
from tidegate.store.predictions.table import COLUMNS, PLACE

if TYPE_CHECKING:
    import duckdb

HIDDEN = ("seconds", "output_type", "truth_type", *PLACE)
DERIVED = ("value", "truth", "labeled_at", "is_right")
WHERE = "log query"

JOINED = """create view joined as
select p.*, l.truth, l.time as labeled_at, p.output = l.truth as is_right
from predictions p left join (
  select request, time, truth from labels qualify row_number() over (partition by request order by time) = 1
) l using (request)"""


class Input(NamedTuple):
    """The name of an input at its place in the rows of a bundle, and whether its values are texts."""

    name: str
    is_text: bool = False


Names = Mapping[str, Sequence[Input]]
FindNames = Callable[[Collection[str]], Names]


class Question(NamedTuple):
    """A query over the views `predictions`, `labels` and `joined`; `names` tells the inputs of bundles.

    It is stopped after `timeout_s` seconds, and no more than `limit` rows are answered.
    """

    sql: str
    names: FindNames = lambda bundles: {}
    timeout_s: float = 30.0
    limit: int = 1000


class Answered(NamedTuple):
    """The answer as a table; `is_cut` when there were more rows than the limit."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    is_cut: bool


def ask(folder: Path, question: Question) -> Answered:
    """Answer a query over everything that is logged by now, Parquet and segments.

    Raises UsageError for SQL that is wrong or does more than select, TidegateError when time or memory run out.
    """
    import duckdb

    with connect() as connection, _snapshot(folder) as files:
        _require_select(connection, question.sql)
        _make_views(connection, files, question.names)
        stop = threading.Timer(question.timeout_s, connection.interrupt)
        stop.start()
        try:
            found = connection.execute(question.sql)
            rows = found.fetchmany(question.limit + 1)
        except duckdb.InterruptException:
            raise TidegateError(
                WHERE, f"no answer after {question.timeout_s:g} s", hint="see --timeout"
            ) from None
        except duckdb.OutOfMemoryException as error:
            raise TidegateError(WHERE, _line(error), hint="aggregate, or select fewer columns") from None
        except duckdb.Error as error:
            raise UsageError(WHERE, _line(error), hint="tidegate log query 'describe predictions'") from None
        finally:
            stop.cancel()
        columns = tuple(column[0] for column in found.description)
    return Answered(columns, rows[: question.limit], len(rows) > question.limit)


def _require_select(connection: "duckdb.DuckDBPyConnection", sql: str) -> None:
    import duckdb

    try:
        kinds = [statement.type for statement in connection.extract_statements(sql)]
    except duckdb.Error as error:
        raise UsageError(WHERE, _line(error), hint="tidegate log query --help") from None
    if kinds != [duckdb.StatementType.SELECT]:
        raise UsageError(WHERE, "the log is read-only, expected one SELECT", hint="tidegate log query --help")


@contextmanager
def _snapshot(folder: Path) -> Iterator[dict[str, list[LogFile]]]:
    """The files that count now, by stream; they stay while the block runs, and nobody has to wait for it."""
    if not folder.is_dir():
        yield {stream: [] for stream in STREAMS}
        return
    with tempfile.TemporaryDirectory(prefix=SNAPSHOT, dir=folder) as spare:
        with reading(folder):
            files = {stream: list_files(folder, stream) for stream in STREAMS}
            for file in (*files[PREDICTIONS], *files[LABELS]):
                (Path(spare) / file.name).hardlink_to(file.path)
        yield {
            stream: [file._replace(path=Path(spare) / file.name) for file in some]
            for stream, some in files.items()
        }


def _make_views(
    connection: "duckdb.DuckDBPyConnection", files: Mapping[str, list[LogFile]], names: FindNames
) -> None:
    """The views, over files that are all that the query can reach afterwards."""
    predictions, labels = _as_parquet(files[PREDICTIONS]), _as_parquet(files[LABELS])
    allowed = ", ".join(quote(path) for path in (*predictions, *labels))
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"set allowed_paths = [{allowed}]")
    rows = _source(predictions, Prediction)
    here = {row[0] for row in connection.execute(f"select distinct bundle from {rows}").fetchall()}
    named = _named(names(here))
    shown = ", ".join([*_shown(Prediction), "try_cast(output as double) as value", *named])
    connection.execute(f"create view predictions as select {shown} from {rows}")
    connection.execute(
        f"create view labels as select {', '.join(_shown(Label))} from {_source(labels, Label)}"
    )
    connection.execute(JOINED)
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _as_parquet(files: Sequence[LogFile]) -> list[str]:
    """Parquet files of a stream, beside the segments those that they stand for."""
    paths = [str(file.path) for file in files if not file.is_segment]
    waiting = [file for file in files if file.is_segment]
    while waiting:
        some, waiting = _together(waiting)
        path = some[0].path.with_suffix(".parquet")
        write_parquet(some, path)
        paths.append(str(path))
    return paths


def _together(segments: list[LogFile]) -> tuple[list[LogFile], list[LogFile]]:
    """As many segments as memory shall hold at once, and the rest."""
    size, count = 0, 0
    while count < len(segments) and (not count or size < RUN_BYTES):
        size += segments[count].path.stat().st_size
        count += 1
    return segments[:count], segments[count:]


def _source(paths: Sequence[str], kind: type) -> str:
    if paths:
        return f"read_parquet([{', '.join(map(quote, paths))}])"
    empty = ", ".join(f'null::{of} as "{name}"' for name, of in COLUMNS[kind].items())
    return f"(select {empty} where false)"


def _shown(kind: type) -> list[str]:
    return [f'"{name}"' for name in COLUMNS[kind] if name not in HIDDEN]


def _named(names: Names) -> list[str]:
    """A column for every input, by its name; `input_NAME` where the log has a column of that name."""
    places: dict[str, dict[str, int]] = {}
    for bundle, inputs in names.items():
        for number, one in enumerate(inputs, start=1):
            places.setdefault(one.name, {})[bundle] = number
    texts = {one.name for inputs in names.values() for one in inputs if one.is_text}
    taken = {name.lower() for name in (*COLUMNS[Prediction], *DERIVED)}
    return [
        f"{_cell(found, len(names), is_text=name in texts)} as "
        + _name(f"input_{name}" if name.lower() in taken else name)
        for name, found in places.items()
    ]


def _cell(places: Mapping[str, int], bundles: int, *, is_text: bool) -> str:
    """Where a column stands in a row; null in rows of a bundle without it."""
    numbers = set(places.values())
    if len(numbers) == 1 and len(places) == bundles:
        return _at(numbers.pop(), is_text=is_text)
    cases = (f"when {quote(bundle)} then {_at(number, is_text=is_text)}" for bundle, number in places.items())
    return f"case bundle {' '.join(cases)} end"


def _at(number: int, *, is_text: bool) -> str:
    return f"coalesce(texts[{number}], inputs[{number}]::varchar)" if is_text else f"inputs[{number}]"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
