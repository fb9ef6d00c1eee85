"""SQL over the log: read-only, in bounded memory and time, without a way to other files or the network."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
from tidegate.store.predictions.parquet import connect, write_parquet
from tidegate.store.predictions.views import FindNames, make_views

if TYPE_CHECKING:
    import duckdb

WHERE = "log query"


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
    with connect() as connection, _snapshot(folder) as files:
        _require_select(connection, question.sql)
        predictions, labels = (_as_parquet(files[stream]) for stream in (PREDICTIONS, LABELS))
        make_views(connection, predictions, labels, names=question.names)
        return _run(connection, question)


def _run(connection: "duckdb.DuckDBPyConnection", question: Question) -> Answered:
    import duckdb

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


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
