"""Rows as columns of numpy arrays and the SQL that makes a table of them; every value comes back as it was.

What the arrays cannot say is said beside them: DuckDB takes NaN for null, so a column that has some comes with
marks; a text among the inputs stands in `texts`, at its place; an answer is its text and its type.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.domain import Label, Prediction

if TYPE_CHECKING:
    import numpy as np

Answer = str | int | float | None

PLACE = {"segment": "BIGINT", "position": "BIGINT", "row": "INTEGER"}
COLUMNS: dict[type, dict[str, str]] = {
    Prediction: {
        "request": "VARCHAR",
        "time": "TIMESTAMP",
        "seconds": "DOUBLE",
        "unit": "VARCHAR",
        "endpoint": "VARCHAR",
        "bundle": "VARCHAR",
        "role": "VARCHAR",
        "inputs": "DOUBLE[]",
        "texts": "VARCHAR[]",
        "output": "VARCHAR",
        "output_type": "VARCHAR",
        "scores": "DOUBLE[]",
        "latency_ms": "DOUBLE",
        "status": "SMALLINT",
        "flags": "VARCHAR[]",
        **PLACE,
    },
    Label: {
        "request": "VARCHAR",
        "time": "TIMESTAMP",
        "seconds": "DOUBLE",
        "truth": "VARCHAR",
        "truth_type": "VARCHAR",
        **PLACE,
    },
}
BETWEEN_FLAGS = "\x1f"
LATEST_S = 9e12


class Placed(NamedTuple):
    """A row and where it stands: its segment's number, its frame's end, its number in the frame."""

    row: Any
    segment: int
    position: int
    number: int


class Block(NamedTuple):
    """Arrays by name, and the expression that makes each column of the table."""

    arrays: "dict[str, np.ndarray]"
    expressions: dict[str, str]


def make_blocks(placed: Sequence[Placed]) -> Iterator[Block]:
    """Rows of one kind as blocks of rows that are equally wide."""
    groups: dict[tuple[int, int], list[Placed]] = {}
    for one in placed:
        row = one.row
        width = (len(row.inputs), len(row.scores)) if isinstance(row, Prediction) else (0, 0)
        groups.setdefault(width, []).append(one)
    for group in groups.values():
        rows = [one.row for one in group]
        yield _block(
            group, _prediction_arrays(rows) if isinstance(rows[0], Prediction) else _label_arrays(rows)
        )


def text_of(answer: Answer) -> str | None:
    """The class that an answer names: 3, 3.0 and "3" are the same one."""
    return None if answer is None else str(int(answer) if _is_whole(answer) else answer)


def answer_of(text: str | None, kind: str | None) -> Any:
    """The answer that was written with this text and type."""
    if text is None:
        return None
    return {"int": int, "float": float}.get(kind or "", str)(text)


def _is_whole(answer: Answer) -> bool:
    return isinstance(answer, float) and answer.is_integer()


def _block(group: Sequence[Placed], block: Block) -> Block:
    import numpy as np

    seconds = [one.row.at for one in group]
    micros = [round(at * 1e6) if abs(at) < LATEST_S else None for at in seconds]
    numbers = _numbers("seconds", seconds)
    arrays = {
        "request": objects(one.row.request for one in group),
        "micros": np.array([at or 0 for at in micros]),
        "has_time": np.array([at is not None for at in micros]),
        "segment": np.array([one.segment for one in group]),
        "position": np.array([one.position for one in group]),
        "row": np.array([one.number for one in group]),
    }
    time = {"time": "case when has_time then make_timestamp(micros) end"}
    return Block(arrays | numbers.arrays | block.arrays, time | numbers.expressions | block.expressions)


def _prediction_arrays(rows: Sequence[Prediction]) -> Block:
    names = ("unit", "endpoint", "bundle", "role")
    arrays = {name: objects(getattr(row, name) for row in rows) for name in names}
    arrays |= _answers("output", [row.output for row in rows])
    arrays["status"] = _whole(row.status for row in rows)
    arrays["flags"] = objects(BETWEEN_FLAGS.join(row.flags) for row in rows)
    inputs, scores = _inputs(rows), _matrix("s", [row.scores for row in rows], len(rows[0].scores))
    latency = _numbers("latency_ms", [row.latency_ms for row in rows])
    flags = {"flags": f"case when flags = '' then [] else string_split(flags, '{BETWEEN_FLAGS}') end"}
    return Block(
        arrays | inputs.arrays | scores.arrays | latency.arrays,
        flags | inputs.expressions | {"scores": _list(scores)} | latency.expressions,
    )


def _label_arrays(rows: Sequence[Label]) -> Block:
    return Block(_answers("truth", [row.truth for row in rows]), {})


def _answers(name: str, answers: Sequence[Answer]) -> "dict[str, np.ndarray]":
    kinds = (type(answer).__name__ for answer in answers)
    return {name: objects(map(text_of, answers)), f"{name}_type": objects(kinds)}


def _inputs(rows: Sequence[Prediction]) -> Block:
    """The columns `inputs` and `texts`, the second one null where no row has a text."""
    kinds = set(map(type, chain.from_iterable(row.inputs for row in rows)))
    if kinds <= {float, int}:
        block = _matrix("i", [row.inputs for row in rows], len(rows[0].inputs))
        return Block(block.arrays, {"inputs": _list(block), "texts": "null"})
    columns = list(zip(*(row.inputs for row in rows), strict=True))
    numbers = Block({}, {})
    texts: dict[str, np.ndarray] = {}
    for i, column in enumerate(columns):
        one = _numbers(f"i{i}", [None if isinstance(value, str) else value for value in column])
        numbers.arrays.update(one.arrays)
        numbers.expressions.update({f"i{i}": f"i{i}"} | one.expressions)
        if any(isinstance(value, str) for value in column):
            texts[f"t{i}"] = objects(value if isinstance(value, str) else None for value in column)
    cells = [f"t{i}" if f"t{i}" in texts else "null" for i in range(len(columns))]
    listed = f"[{', '.join(cells)}]" if texts else "null"
    return Block(numbers.arrays | texts, {"inputs": _list(numbers), "texts": listed})


def _matrix(name: str, rows: Sequence[Sequence[Any]], width: int) -> Block:
    """Rows of `width` numbers as one array a column."""
    import numpy as np

    matrix = np.array(rows, dtype=float)
    arrays = {f"{name}{i}": np.ascontiguousarray(matrix[:, i]) for i in range(width)}
    block = Block(dict(arrays), {column: column for column in arrays})
    for column, values in arrays.items():
        marked = _marked(column, np.isnan(values))
        block.arrays.update(marked.arrays)
        block.expressions.update(marked.expressions)
    return block


def _numbers(name: str, values: Sequence[float | None]) -> Block:
    """A column of numbers, some of them None or NaN."""
    import numpy as np

    array = np.array(values, dtype=float)
    marked = _marked(name, np.array([value is not None and value != value for value in values]))  # noqa: PLR0124
    return Block({name: array} | marked.arrays, marked.expressions)


def _marked(name: str, is_nan: "np.ndarray") -> Block:
    if not is_nan.any():
        return Block({}, {})
    return Block({f"{name}_nan": is_nan}, {name: f"case when {name}_nan then 'nan'::double else {name} end"})


def _list(block: Block) -> str:
    return f"[{', '.join(block.expressions.values())}]::double[]"


def _whole(values: Iterable[int]) -> "np.ndarray":
    import numpy as np

    return np.array(list(values))


def objects(values: Iterable[object]) -> "np.ndarray":
    """An array of texts, some of them None."""
    import numpy as np

    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array
