"""Segments to Parquet, and rows back from it."""
# ruff: noqa: S608 -- names are those of our own columns, every value goes through quote

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.domain import Prediction
from tidegate.errors import TidegateError, missing_extra
from tidegate.store.predictions.files import LogFile
from tidegate.store.predictions.frames import read_frames
from tidegate.store.predictions.rows import KINDS, NO_ROWS, Row, Search, decode_stream
from tidegate.store.predictions.table import COLUMNS, Placed, answer_of, make_blocks, objects

if TYPE_CHECKING:
    import duckdb

BATCH = 8192
MEMORY = "1GB"


def connect() -> "duckdb.DuckDBPyConnection":
    """An empty database in bounded memory that leaves nothing on disk and loads nothing from the network."""
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing_extra("tidegate log", "gate") from None
    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def write_parquet(parts: Sequence[LogFile], target: Path) -> int:
    """Put all rows of the parts, which are of one stream, into one file, zstd; how many there are.

    Raises TidegateError when the disk or the memory do not suffice.
    """
    with connect() as connection:
        import duckdb

        try:
            copied = _copy(connection, parts, target)
            found = connection.execute("select count(*) from read_parquet(?)", [str(target)]).fetchone()
        except duckdb.Error as error:
            line = next(iter(str(error).splitlines()), "")
            raise TidegateError("log", f"{parts[0].name} cannot be made Parquet, {line}") from None
    if found != (copied,):
        raise TidegateError(
            "log", f"{parts[0].name}: {copied} rows became {found}, the Parquet file is not used"
        )
    return copied


def _copy(connection: "duckdb.DuckDBPyConnection", parts: Sequence[LogFile], target: Path) -> int:
    columns = COLUMNS[KINDS[parts[0].stream]]
    sources = []
    for number, (is_segment, group) in enumerate(groupby(parts, key=lambda part: part.is_segment)):
        if not is_segment:
            sources += [f"read_parquet({quote(str(part.path))})" for part in group]
            continue
        types = ", ".join(f'"{name}" {of}' for name, of in columns.items())
        connection.execute(f"create table part{number} ({types})")
        placed = _placed(group)
        while batch := list(islice(placed, BATCH)):
            _insert(connection, f"part{number}", batch)
        sources.append(f"part{number}")
    names = ", ".join(f'"{name}"' for name in columns)
    union = " union all ".join(f"select {names} from {source}" for source in sources)
    done = connection.execute(f"copy ({union}) to {quote(str(target))} (format parquet, compression zstd)")
    copied = done.fetchone()
    return int(copied[0]) if copied else 0


def read_parquet(path: Path, kind: type[Row], passed: Sequence[tuple[LogFile, int]]) -> list[Row]:
    """The rows that are not in what was passed: Parquet files as a whole, segments up to an offset."""
    conditions = ["true"]
    for part, end in passed:
        within = f"segment between {part.first} and {part.last}"
        conditions.append(f"not ({within} and position <= {end})" if part.is_segment else f"not ({within})")
    return list(_rows(path, kind, f"where {' and '.join(conditions)}", []))


def search_parquet(path: Path, search: Search) -> list[Prediction]:
    """The newest predictions that are searched for, newest first."""
    where = "where seconds >= ? and (? = '' or request = ?)"
    newest = "order by seconds desc, segment desc, position desc, row desc limit ?"
    values = [search.since, search.request, search.request, search.n]
    return list(_rows(path, Prediction, f"{where} {newest}", values))


def requests_among(paths: Sequence[Path], wanted: Collection[str]) -> set[str]:
    """Those of the wanted requests that have a row in one of the files."""
    listed = ", ".join(quote(str(path)) for path in paths)
    with connect() as connection:
        connection.register("wanted", {"request": objects(wanted)})
        among = f"select distinct request from read_parquet([{listed}]) semi join wanted using (request)"
        return {row[0] for row in connection.execute(among).fetchall()}


def quote(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def _placed(segments: Iterable[LogFile]) -> Iterator[Placed]:
    """The rows of segments and where each stands."""
    for segment in segments:
        for frame in read_frames(segment.path):
            for number, row in enumerate(decode_stream(frame.payload or NO_ROWS, segment.stream)):
                yield Placed(row, segment.first, frame.end, number)


def _insert(connection: "duckdb.DuckDBPyConnection", table: str, batch: Sequence[Placed]) -> None:
    for block in make_blocks(batch):
        names = COLUMNS[type(batch[0].row)]
        cells = ", ".join(block.expressions.get(name, f'"{name}"') for name in names)
        connection.register("block", block.arrays)
        connection.execute(f"insert into {table} select {cells} from block")
        connection.unregister("block")


def _rows(path: Path, kind: type[Row], rest: str, values: Sequence[object]) -> Iterator[Row]:
    import msgspec

    names = ", ".join(COLUMNS[kind])
    with connect() as connection:
        found = connection.execute(f"select {names} from read_parquet({quote(str(path))}) {rest}", values)
        while rows := found.fetchmany(BATCH):
            yield from msgspec.convert([_fields(kind, row) for row in rows], list[kind])  # type: ignore[valid-type]


def _fields(kind: type[Row], values: Sequence[Any]) -> list[Any]:
    """The fields of a row in their order, from its columns."""
    one = dict(zip(COLUMNS[kind], values, strict=True))
    one["at"] = one["seconds"]
    for name in ("output", "truth"):
        if name in one:
            one[name] = answer_of(one[name], one[f"{name}_type"])
    if one.get("texts"):
        pairs = zip(one["inputs"], one["texts"], strict=True)
        one["inputs"] = [number if text is None else text for number, text in pairs]
    return [one[name] for name in kind.__struct_fields__]
