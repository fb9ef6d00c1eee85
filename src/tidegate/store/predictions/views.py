"""The tables that SQL over the log sees: `predictions`, `labels` and `joined`, inputs under their names."""
# ruff: noqa: S608 -- every path, name and value goes through quote or _name

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tidegate.domain import Label, Prediction
from tidegate.store.predictions.parquet import quote
from tidegate.store.predictions.table import COLUMNS, PLACE

if TYPE_CHECKING:
    import duckdb

HIDDEN = ("seconds", "output_type", "truth_type", *PLACE)
DERIVED = ("value", "truth", "labeled_at", "is_right")

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


def make_views(
    connection: "duckdb.DuckDBPyConnection",
    predictions: Sequence[str],
    labels: Sequence[str],
    *,
    names: FindNames,
) -> None:
    """The views over Parquet files, which are all that a query can reach afterwards."""
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
