"""Scores of the evaluation rows: one column, one a class, or a list a row."""

from collections.abc import Sequence

import numpy as np

from tidegate.data.contract.quote import quote_name
from tidegate.data.contract.source import run
from tidegate.errors import UsageError
from tidegate.gate.sheet import Sheet, fetch_numbers
from tidegate.project import Data


def score_labels(sheet: Sheet, data: Data) -> tuple[str, ...]:
    """The classes that have a score column of their own."""
    head = f"{data.score}_"
    return tuple(name[len(head) :] for name in sheet.columns if name.startswith(head) and name != head)


def fetch_scores(sheet: Sheet, data: Data, classes: Sequence[str], *, positive: int) -> np.ndarray | None:
    """The scores in the file's order, by class where each has one; None when there are none.

    With two classes those of the positive class are enough. Raises UsageError for a class without scores, a list
    of another length, and a score that is no number.
    """
    if score_labels(sheet, data):
        names = [f"{data.score}_{name}" for name in classes]
        missing = [name for name in names if name not in sheet.columns]
        if missing:
            raise UsageError(sheet.name, f"no column `{missing[0]}`, each class needs its scores")
        columns = [(name, "") for name in names]
    elif data.score not in sheet.columns:
        return None
    elif sheet.source.types[data.score].endswith("]"):
        columns = _items(sheet, data, classes)
    else:
        return fetch_numbers(sheet, data.score)
    if len(classes) == 2:
        columns = [columns[positive]]
    found = [fetch_numbers(sheet, name, expression=sql) for name, sql in columns]
    return found[0] if len(found) == 1 else np.stack(found, axis=1)


def _items(sheet: Sheet, data: Data, classes: Sequence[str]) -> list[tuple[str, str]]:
    raw = quote_name(data.score)
    lengths = run(sheet.connection, f"select distinct len({raw}) from {sheet.sql}", sheet.source)  # noqa: S608
    wrong = [length for (length,) in lengths if length != len(classes)]
    if wrong:
        found = f"column `{data.score}` holds lists of {wrong[0]} scores, there are {len(classes)} classes"
        raise UsageError(
            sheet.name, found, hint="set `data.labels` to the classes, in the order of the scores"
        )
    return [(data.score, f"try_cast({raw}[{number}] as DOUBLE)") for number in range(1, len(classes) + 1)]
