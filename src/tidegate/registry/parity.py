"""Whether two models say the same: as ONNX and as it came, when bundled and when loaded."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.domain import agree
from tidegate.domain.model import Answer
from tidegate.errors import UsageError
from tidegate.registry.formats import Cell, Example
from tidegate.registry.named import Names

if TYPE_CHECKING:
    import numpy as np

EXAMPLE_ROWS = 8
EXAMPLE_CELLS = 20_000


def count_different(one: Sequence[Answer | None], other: Sequence[Answer | None], *, tolerance: float) -> int:
    """How many answers differ: classes that are not the same, numbers further apart than `tolerance`.

    Numbers beyond 1 are held against `tolerance` times their size.
    """
    return sum(not _is_same(a, b, tolerance) for a, b in zip(one, other, strict=True))


def largest_difference(one: "np.ndarray", other: "np.ndarray") -> float:
    """By how much a score differs at most; infinite where there are not as many, or only one is no number."""
    import numpy as np

    if one.shape != other.shape:
        return math.inf
    if not one.size:
        return 0.0
    apart = np.abs(one.astype(float) - other.astype(float))
    apart[np.isnan(one) & np.isnan(other)] = 0
    return float(np.nan_to_num(apart, nan=math.inf).max())


def example_rows(rows: "np.ndarray") -> tuple[tuple[Cell, ...], ...]:
    """The first rows, few enough that a bundle is not mostly example."""
    count = max(1, min(EXAMPLE_ROWS, EXAMPLE_CELLS // max(1, rows.shape[1])))
    return tuple(tuple(_known(cell) for cell in row) for row in rows[:count].tolist())


def as_rows(cells: Sequence[Sequence[Cell]], *, has_text: bool) -> "np.ndarray":
    """An example's rows as a model takes them: float64 with NaN for null, or objects where a feature is text."""
    import numpy as np

    return np.array(cells, dtype=object if has_text else float)


def make_example(
    cells: tuple[tuple[Cell, ...], ...], said: "tuple[list[Answer], np.ndarray]", *, tolerance: float
) -> Example:
    """The example of rows with what a model said to them."""
    answers, scores = said
    known = tuple(tuple(_number(score) for score in row) for row in scores.tolist())
    return Example(cells, tuple(_known(answer) for answer in answers), known, tolerance)


def require_same(example: Example, said: "tuple[list[Answer], np.ndarray]", labels: Sequence[str]) -> None:
    """Raise UsageError unless a model said to the example what it said when it was bundled."""
    import numpy as np

    answers = [_known(answer) for answer in said[0]]
    wanted = _named(example.answers, labels)
    tolerance = max(example.tolerance, 1e-4)
    differ = count_different(answers, wanted, tolerance=tolerance)
    if differ:
        first = next(i for i, one in enumerate(answers) if not _is_same(one, wanted[i], tolerance))
        told = f"row {first + 1} was {wanted[first]!r} and is {answers[first]!r}"
        raise UsageError("", f"{differ} of {len(wanted)} answers to its own example differ, {told}")
    scores = np.array(example.scores, dtype=float).reshape(len(wanted), -1)
    apart = largest_difference(np.where(np.isfinite(said[1]), said[1], np.nan), scores)
    if apart > tolerance:
        raise UsageError("", f"a score of its own example is {apart:.2g} off")


def _named(answers: Sequence[Answer | None], labels: Sequence[str]) -> list[Answer | None]:
    names = Names(labels)
    return [None if one is None else names.of([one])[0] for one in answers]


def _is_same(one: Answer | None, other: Answer | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return abs(one - other) <= tolerance * max(1.0, abs(one))
    return agree(one, other)


def _known(value: Cell) -> Cell:
    """JSON has no NaN and no infinity; what is one is an example's null."""
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
