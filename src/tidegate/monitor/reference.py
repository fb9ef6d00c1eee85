"""What a bundle was measured on, frozen when it is built: the yardstick of drift and of quality."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from tidegate.data.tables import Table
from tidegate.domain import Record
from tidegate.errors import CorruptError, UsageError

QUANTILES = np.array([1, 5, *range(10, 100, 10), 95, 99]) / 100

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Numeric(Record, frozen=True):
    """A column of numbers as shares of the reference rows.

    `frequencies` are at most each cut, `missing` are not a number, `below` are less than the lowest cut.
    """

    name: str
    cuts: tuple[float, ...]
    frequencies: tuple[Share, ...]
    missing: Share
    below: Share


class Reference(Record, frozen=True):
    """`n` rows of inputs, and the model's answers on its evaluation rows: `errors` of `n_answers` were wrong.

    `shares` are those of each of the `answers` among the evaluation rows.
    """

    n: Positive
    columns: tuple[Numeric, ...]
    answers: tuple[str, ...]
    shares: tuple[Share, ...]
    n_answers: Positive
    errors: Annotated[int, msgspec.Meta(ge=0)]


def build_reference(features: Table, answers: Sequence[str], errors: int) -> Reference:
    """The reference of a model asked with `features` that gave `answers`, `errors` of them wrong.

    Columns that hold text are left out. Raises UsageError when there are no rows or no answers.
    """
    if not len(features) or not answers:
        raise UsageError("reference", "no rows, drift is measured against at least one row and one answer")
    names = tuple(name for name in features.columns if _is_numeric(features, name))
    counts = Counter(answers)
    said = tuple(sorted(counts))
    return Reference(
        n=len(features),
        columns=tuple(_summarize(name, features.numbers([name])[:, 0]) for name in names),
        answers=said,
        shares=tuple(counts[answer] / len(answers) for answer in said),
        n_answers=len(answers),
        errors=errors,
    )


def encode_reference(reference: Reference) -> bytes:
    """The reference as JSON; equal references give equal bytes."""
    return msgspec.json.encode(reference, order="sorted")


def parse_reference(data: bytes) -> Reference:
    """The reference in the bytes of encode_reference; CorruptError when they hold none."""
    try:
        found = msgspec.json.decode(data, type=Reference)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptError("reference.json", f"{error}, expected the reference of a bundle") from None
    if complaint := _complain(found):
        raise CorruptError("reference.json", complaint)
    return found


def in_single(values: np.ndarray) -> np.ndarray:
    """Values as float32: a model's input is single precision, and 0.1 must stay 0.1 on its way there."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def count_hits(ordered: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Of one column, sorted with NaN last: rows at most each cut, rows below the first, rows missing.

    Both are float32; without cuts only the missing rows are counted.
    """
    at_most = np.searchsorted(ordered, cuts, side="right")
    below = np.searchsorted(ordered, cuts[:1], side="left")
    return np.concatenate([at_most, below, [np.isnan(ordered).sum()]])


def _is_numeric(table: Table, name: str) -> bool:
    return all(value is None or isinstance(value, int | float) for value in table.values[name])


def _summarize(name: str, values: np.ndarray) -> Numeric:
    ordered = np.sort(in_single(values))
    cuts = _cuts(ordered[~np.isnan(ordered)])
    at_most, rest = np.split(count_hits(ordered, cuts) / len(ordered), [len(cuts)])
    return Numeric(
        name=name,
        cuts=tuple(cuts.tolist()),
        frequencies=tuple(at_most.tolist()),
        missing=float(rest[-1]),
        below=float(rest[:-1].sum()),
    )


def _cuts(known: np.ndarray) -> np.ndarray:
    """Distinct quantiles that are values of the column; JSON knows no infinity, so no cut lies there."""
    if not len(known):
        return known
    cuts = np.unique(np.quantile(known, QUANTILES, method="inverted_cdf"))
    finite: np.ndarray = cuts[np.isfinite(cuts)]
    return finite


def _complain(reference: Reference) -> str:
    """What contradicts itself in a well-formed reference, or an empty string."""
    for column in reference.columns:
        if len(column.cuts) != len(column.frequencies) or list(column.cuts) != sorted(set(column.cuts)):
            return f"column `{column.name}` needs rising cuts and one frequency for each"
    if len(reference.answers) != len(reference.shares):
        return f"{len(reference.answers)} answers and {len(reference.shares)} shares, expected one for each"
    if reference.errors > reference.n_answers:
        return f"{reference.errors} errors among {reference.n_answers} answers"
    return ""
