"""The contract at the door of a model: rows that keep it become a matrix, the rest is named field by field."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.data.contract.bounds import MAX_LISTED, MatrixCheck, Slot, compile_matrix, narrow, unfold
from tidegate.data.contract.rules import Contract, Violation
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

MAX_STRANGERS = 20
TEXT = ("string", "date", "timestamp")
# the largest numbers that the types of a model's inputs hold
LARGEST = {"FP16": 65504.0, "FP32": 3.4028234663852886e38, "FP64": 1.7976931348623157e308}
Cells = list[float | None]
Seen = tuple[Violation, ...]
# the place of a row in its request, for complaints
Where = Callable[[int], str]


class Shape(msgspec.Struct, frozen=True, gc=False):
    """What the rows of one bundle must be; compiled once, when its model is loaded.

    `order` are the features, `width` the columns of the matrix that they make, arrays flattened. A plain
    shape has numbers only, so that a row is that many numbers; `text` are the features that are no numbers.
    No number is larger in size than `largest`, beyond which the model would read infinity.
    """

    check: MatrixCheck
    order: tuple[str, ...]
    names: frozenset[str]
    width: int
    is_plain: bool
    text: frozenset[str] = frozenset()
    largest: float = LARGEST["FP64"]


class Matrix(msgspec.Struct, frozen=True, gc=False):
    """Rows as the model takes them, and what each breaks although it is served.

    `values` are float64 with NaN for null, or objects where a feature is text, whose null is None. `flagged`
    is empty when no row breaks anything.
    """

    values: "np.ndarray"
    flagged: tuple[Seen, ...] = ()


class BreachError(UsageError):
    """A request with rows that the contract refuses; `violations` are all of them, at most MAX_LISTED and a row's."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        first, more = violations[0], len(violations) - 1
        wanted = f"{first.found}, expected {first.expected}"
        super().__init__(first.path, f"{wanted} (and {more} more)" if more else wanted)
        self.violations = tuple(violations)


def make_shape(contract: Contract, inputs: Sequence[TensorSpec] = ()) -> Shape:
    """The shape of a contract that `load_model` has made sure a model with these inputs can be asked with."""
    largest = min(
        (LARGEST[one.datatype] for one in inputs if one.datatype in LARGEST), default=LARGEST["FP64"]
    )
    check = narrow(compile_matrix(contract), largest)
    order = tuple(column.name for column in contract.columns)
    is_plain = all(column.kind in ("number", "integer") for column in contract.columns)
    text = frozenset(column.name for column in contract.columns if column.kind in TEXT)
    width = sum(slot.width for slot in check.slots)
    return Shape(check, order, frozenset(order), width, is_plain, text, largest)


def known_column(violation: Violation) -> str:
    """The column of a violation; "" for one that a client made up, as there is no end of those."""
    return "" if violation.rule == "unknown" else violation.column


def mark(violation: Violation) -> str:
    """A violation as it stands in the prediction log: its column and its rule."""
    return f"{known_column(violation)} {violation.rule}".lstrip()


def check_numbers(rows: Sequence[Cells | dict[str, float | None]], where: Where, shape: Shape) -> Matrix:
    """Rows of plain numbers, as lists in the contract's order or by name. Raises BreachError."""
    import numpy as np

    cells = [_in_order(row, shape) for row in rows]
    if None in cells:
        return check_objects(rows, where, shape)
    return _checked(np.array(cells, dtype=float), where, shape, lambda i: _named(rows[i], shape))


def check_objects(rows: Sequence[object], where: Where, shape: Shape) -> Matrix:
    """Rows that may be anything, each looked at in full. Raises BreachError."""

    values = blank_rows(len(rows), shape)
    strangers: set[str] = set()

    def look() -> Iterator[tuple[int, Seen]]:
        for i, given in enumerate(rows):
            path = where(i)
            row = _without_most(_named(given, shape), shape, strangers)
            seen = _wrong_length(row, shape, path) or shape.check.row.violations(row, path)
            if _fill(values[i], row, shape):
                yield i, (*seen, *_too_large(values[i], shape, path))
            else:
                yield i, tuple(one._replace(policy="reject") for one in seen)

    return _settled(values, look())


def check_tensor(values: "np.ndarray", where: Where, shape: Shape) -> Matrix:
    """Rows that came as a matrix. Raises BreachError."""
    if shape.text:
        looks = (
            _seen(_named_cells(row.tolist(), shape), row, shape, where(i)) for i, row in enumerate(values)
        )
        return _settled(values, iter(enumerate(looks)))
    return _checked(values, where, shape, lambda i: unfold(shape.check.slots, values[i].tolist()))


def blank_rows(n: int, shape: Shape) -> "np.ndarray":
    """Rows in which everything is missing."""
    import numpy as np

    values = np.full((n, shape.width), math.nan, dtype=object if shape.text else float)
    for slot in shape.check.slots:
        if slot.column.name in shape.text:
            values[:, slot.start] = None
    return values


def _named_cells(cells: Sequence[Any], shape: Shape) -> dict[str, object]:
    """A row of a matrix that holds text as the object that it stands for."""
    slots = shape.check.slots
    numbers = unfold([slot for slot in slots if slot.column.name not in shape.text], cells)
    texts = {slot.column.name: cells[slot.start] for slot in slots if slot.column.name in shape.text}
    return {name: texts[name] if name in texts else numbers[name] for name in shape.order}


def _checked(values: "np.ndarray", where: Where, shape: Shape, named: Callable[[int], Any]) -> Matrix:
    """The matrix, if all is fine by one comparison; else `named` rows are looked at one by one."""
    suspects = shape.check.suspects(values)
    if not suspects:
        return Matrix(values)
    return _settled(values, ((i, _seen(named(i), values[i], shape, where(i))) for i in suspects))


def _seen(row: Any, cells: "np.ndarray", shape: Shape, path: str) -> Seen:
    """What is wrong with a row as an object and as the model would have it."""
    return (*shape.check.row.violations(row, path), *_too_large(cells, shape, path))


def _too_large(cells: "np.ndarray", shape: Shape, path: str) -> Iterator[Violation]:
    """The finite numbers of a row that the model would read as infinity."""
    for slot in shape.check.slots:
        name = slot.column.name
        if name in shape.text:
            continue
        part = [abs(cell) for cell in cells[slot.start : slot.start + slot.width].tolist()]
        most = max((cell for cell in part if cell > shape.largest), default=0.0)
        if shape.largest < most < math.inf:
            found, expected = f"is {most:g} in size", f"at most {shape.largest:g}, all that the model takes"
            yield Violation("range", name, f"{path}.{name}", found, expected)


def _settled(values: "np.ndarray", looks: Iterator[tuple[int, Seen]]) -> Matrix:
    """What is only flagged is served; the rest is refused as soon as there is enough of it to read."""
    flagged: dict[int, Seen] = {}
    refused: list[Violation] = []
    for i, seen in looks:
        refused += [one for one in seen if one.policy == "reject"]
        if seen:
            flagged[i] = seen
        if len(refused) >= MAX_LISTED:
            break
    if refused:
        raise BreachError(refused)
    return Matrix(values, tuple(flagged.get(i, ()) for i in range(len(values))) if flagged else ())


def _in_order(row: Cells | dict[str, float | None], shape: Shape) -> Cells | None:
    """The cells of a row in the contract's order; None when they do not fit, and are looked at more closely."""
    if isinstance(row, list):
        return row if len(row) == shape.width else None
    if row.keys() == shape.names:
        return [row[name] for name in shape.order]
    return [row.get(name) for name in shape.order] if row.keys() < shape.names else None


def _named(row: Any, shape: Shape) -> Any:
    """A row as an object: a list of one value a column, or of a number for each column of the matrix, gets names.

    A list of another length, and what is no row at all, stays as it is.
    """
    if isinstance(row, list) and len(row) == len(shape.order):
        row = dict(zip(shape.order, row, strict=True))
    elif isinstance(row, list) and len(row) == shape.width:
        return _unflattened(row, shape)
    return _with_booleans(row, shape) if isinstance(row, dict) else row


def _unflattened(row: list[Any], shape: Shape) -> Any:
    if not all(cell is None or type(cell) in (int, float) for cell in row):
        return row
    try:
        return unfold(shape.check.slots, [math.nan if cell is None else float(cell) for cell in row])
    except OverflowError:
        return row


def _with_booleans(row: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """1 and 0 stand for true and false, as they do in a matrix."""
    if shape.is_plain:
        return row
    kinds = {column.name for column in shape.check.row.contract.columns if column.kind == "boolean"}
    return {
        name: bool(value) if name in kinds and isinstance(value, int | float) and value in (0, 1) else value
        for name, value in row.items()
    }


def _without_most(row: Any, shape: Shape, strangers: set[str]) -> Any:
    """A row without all but the first MAX_STRANGERS unknown names of a request: looking for like ones takes time."""
    if not isinstance(row, dict) or row.keys() <= shape.names:
        return row
    for name in row:
        if name not in shape.names and len(strangers) < MAX_STRANGERS:
            strangers.add(name)
    return {name: value for name, value in row.items() if name in shape.names or name in strangers}


def _wrong_length(row: object, shape: Shape, path: str) -> Seen:
    if not isinstance(row, list):
        return ()
    count = len(shape.order)
    return (Violation("column", "", path, f"{len(row)} values", f"one for each of the {count} columns"),)


def _fill(into: "np.ndarray", row: Any, shape: Shape) -> bool:
    """Write a row's numbers, as far as they are any; False when the model cannot take what is there."""
    if not isinstance(row, Mapping):
        return False
    try:
        for slot in shape.check.slots:
            value = row.get(slot.column.name)
            if value is None:
                continue
            if slot.column.name in shape.text:
                into[slot.start] = value
            else:
                into[slot.start : slot.start + slot.width] = _numbers(slot, value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _numbers(slot: Slot, value: object) -> "np.ndarray":
    import numpy as np

    found = np.array(value, dtype=object)
    if found.shape != slot.shape or not all(isinstance(cell, int | float) for cell in found.flat):
        raise ValueError(slot.column.name)
    return found.ravel().astype(float)
