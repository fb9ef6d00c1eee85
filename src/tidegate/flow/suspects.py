"""Rows whose truth is likely wrong, by what a model that never saw them says about them."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tidegate.errors import UsageError, missing_extra
from tidegate.gate.read import Wanted, name_rows, read_rows
from tidegate.gate.rows import Rows, count
from tidegate.gate.suspects import find_suspects
from tidegate.project import load_config

NameRows = Callable[[Sequence[int]], Sequence[str]]


class Suspect(NamedTuple):
    """A row whose given label is likely wrong.

    `confidence` is the score of the given label, the lower the more suspect; `row` is its place in the file, from 0.
    """

    rank: int
    id: str
    given: str
    suggested: str
    confidence: float
    suggested_confidence: float
    row: int


class Suspects(NamedTuple):
    """All suspects of a file, most suspect first, among its `rows`."""

    rows: int
    found: tuple[Suspect, ...]


def list_suspects(root: Path, path: Path | None = None) -> Suspects:
    """The likely mislabeled rows of a table, by default of the evaluation rows.

    The scores must not come from a model that was trained on these rows. Raises TidegateError without cleanlab,
    and UsageError for a table without scores by class.
    """
    config = load_config(root)
    chosen = path or root / config.data.evaluation
    rows = read_rows(chosen, config.data, Wanted(config.project.task, scores=True))
    return Suspects(count(rows), suspects(rows, lambda places: name_rows(chosen, config.data, places)))


def suspects(rows: Rows, name: NameRows | None = None) -> tuple[Suspect, ...]:
    """The likely mislabeled rows, most suspect first; `name` gives ids for places in the file."""
    if find_spec("cleanlab") is None:
        raise missing_extra("labels suspect", "labels")
    found = find_suspects(rows)
    if isinstance(found, str):
        hint = "write one column `score_LABEL` a class, or a list `score`, from a model that did not see the rows"
        raise UsageError(rows.name, f"{found}, suspects are found by scores for each class", hint=hint)
    scores, given, places = by_class(rows)[found], rows.truth[found], rows.place[found].tolist()
    ids = name(places) if name else [str(place + 1) for place in places]
    return tuple(
        Suspect(
            rank=number + 1,
            id=ids[number],
            given=rows.classes[given[number]],
            suggested=rows.classes[int(line.argmax())],
            confidence=float(line[given[number]]),
            suggested_confidence=float(line.max()),
            row=places[number],
        )
        for number, line in enumerate(scores)
    )


def by_class(rows: Rows) -> np.ndarray:
    """The scores as [rows, classes], each row adding up to 1."""
    scores = np.asarray(rows.scores, dtype=float)
    if scores.ndim == 1:
        pair = [1 - scores, scores] if rows.positive == 1 else [scores, 1 - scores]
        scores = np.stack(pair, axis=1)
    total: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
    return total
