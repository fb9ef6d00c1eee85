"""A part of a report before it has a form: a title over a table or a list, all of it sentences."""

import re
from typing import NamedTuple

from tidegate.gate.report.answer import Tone

NUMBER = re.compile(r"[-+]?\d[\d.,]*( ?(%|pp|s|[kMG]?B)| \[.*)?$| \d+ min")


class Row(NamedTuple):
    """A line of a table, or of a list when it has one cell; `picture` is a data URL."""

    cells: tuple[str, ...]
    tone: Tone = ""
    picture: str = ""


class Section(NamedTuple):
    """What is said under one title; a section without rows is left out of every form.

    `total` counts the rows that there are, `rows` are the first of them. Where room is short the section with
    the highest `rank` loses its last rows first; forms that are read in passing show `most` rows. `is_folded`
    hides it behind its title where a form can.
    """

    key: str
    title: str
    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    note: str = ""
    total: int = 0
    rank: int = 0
    most: int = 60
    is_folded: bool = True


def listed(key: str, title: str, sentences: tuple[str, ...], *, rank: int) -> Section:
    """A section that is a plain list of sentences."""
    return Section(key, title, tuple(Row((sentence,)) for sentence in sentences), rank=rank)


def narrowed(section: Section) -> Section:
    """The section without the columns in which no row says anything."""
    kept = [place for place, _ in enumerate(section.columns) if any(row.cells[place] for row in section.rows)]
    if len(kept) == len(section.columns):
        return section
    return section._replace(
        columns=tuple(section.columns[place] for place in kept),
        rows=tuple(row._replace(cells=tuple(row.cells[place] for place in kept)) for row in section.rows),
    )


def numeric(section: Section) -> tuple[bool, ...]:
    """Which columns hold numbers, to be set flush right."""
    columns = zip(*(row.cells for row in section.rows), strict=True)
    return tuple(all(not text or NUMBER.match(text) for text in column) for column in columns)


def left_out(section: Section) -> str:
    """How many of its rows a section shows; "" where it shows all."""
    shown, total = len(section.rows), max(section.total, len(section.rows))
    return f"{shown:,} of {total:,} shown." if shown < total else ""
