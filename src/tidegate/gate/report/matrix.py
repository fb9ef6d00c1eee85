"""Confusions that changed as a square: truths down, answers across, colored by who gained."""

from collections.abc import Iterable
from typing import NamedTuple

from tidegate.gate.report.answer import Tone
from tidegate.gate.report.record import Confusion
from tidegate.gate.report.sentence import clean, quote

WIDEST = 24
SHADES = 4
COMPARED = (
    "Candidate minus live: green is better, red is worse, the diagonal is right. Small changes are left out."
)
ALONE = "How often the candidate answers so; the diagonal is right."


class Cell(NamedTuple):
    """A truth with an answer: what is written there, and how strongly it is colored, 0 to 4."""

    text: str = ""
    tone: Tone = ""
    shade: int = 0
    is_right: bool = False
    title: str = ""


class Matrix(NamedTuple):
    """The square, its classes named in order."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str


def matrix(confusion: Iterable[Confusion]) -> Matrix | None:
    """The square of these confusions; None with nothing to show, or too many classes for a page."""
    found = {(pair.truth, pair.answer): pair for pair in confusion}
    names = sorted({name for pair in found for name in pair}, key=_order)
    if not found or len(names) > WIDEST:
        return None
    most = max(abs(_size(pair)) for pair in found.values()) or 1
    rows = tuple(
        tuple(_cell(found.get((truth, answer)), most, is_right=truth == answer) for answer in names)
        for truth in names
    )
    compared = any(pair.live is not None for pair in found.values())
    return Matrix(tuple(map(quote, names)), rows, COMPARED if compared else ALONE)


def _cell(pair: Confusion | None, most: int, *, is_right: bool) -> Cell:
    if not pair or not _size(pair):
        return Cell(is_right=is_right)
    size, live = _size(pair), "" if pair.live is None else f"live {pair.live:,}, "
    title = f"truth {clean(pair.truth)}, answered {clean(pair.answer)}: {live}candidate {pair.candidate:,}"
    text = f"{size:,}" if pair.live is None else f"{size:+,}"
    shade = 1 + (SHADES - 1) * abs(size) // most
    return Cell(text, "good" if (size > 0) == is_right else "bad", shade, is_right, title)


def _size(pair: Confusion) -> int:
    return pair.candidate - (pair.live or 0)


def _order(name: str) -> tuple[bool, int, str]:
    """Classes that are numbers by their size, before those that are words."""
    is_number = name.isdecimal() and len(name) < 10
    return not is_number, int(name) if is_number else 0, name
