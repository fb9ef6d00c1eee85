"""Where the candidate answers otherwise than live: rows newly wrong, rows fixed, confusions, suspect labels."""

from tidegate.gate.report.answer import Tone
from tidegate.gate.report.record import Confusion, Report, Rows, Shown
from tidegate.gate.report.section import Row, Section
from tidegate.gate.report.sentence import quote


def broken(report: Report) -> Section:
    """Rows that live gets right and the candidate does not."""
    return _rows("broken", ("row newly wrong", "rows newly wrong"), report.broken, rank=5)


def fixed(report: Report) -> Section:
    """Rows that the candidate gets right and live does not."""
    return _rows("fixed", ("row fixed", "rows fixed"), report.fixed, rank=6)


def suspects(report: Report) -> Section:
    """Rows whose truth looks wrong by the candidate's own scores."""
    return _rows("suspects", ("suspect label", "suspect labels"), report.suspects, rank=6)


def confusion(report: Report) -> Section:
    """How often each truth is answered so, where that changed most first."""
    columns = ("truth", "answer", "live", "candidate", "difference")
    changed = sorted(
        (pair for pair in report.confusion if _difference(pair)), key=lambda pair: -abs(_difference(pair))
    )
    return Section("confusion", "Confusions that changed", tuple(map(_confusion, changed)), columns, rank=5)


def _rows(key: str, nouns: tuple[str, str], found: Rows | None, *, rank: int) -> Section:
    if not found or not found.count:
        return Section(key, nouns[1])
    columns = ("row", "truth", "live", "candidate", "sure")
    title = f"{found.count:,} {nouns[found.count > 1]}"
    return Section(key, title, tuple(map(_shown, found.shown)), columns, total=found.count, rank=rank)


def _shown(row: Shown) -> Row:
    sure = "" if row.confidence is None else f"{row.confidence:.0%}"
    live = quote(row.live) if row.live else ""
    return Row((quote(row.id), quote(row.truth), live, quote(row.candidate), sure), picture=row.picture)


def _difference(pair: Confusion) -> int:
    return pair.candidate - (pair.live or 0)


def _confusion(pair: Confusion) -> Row:
    live = "" if pair.live is None else f"{pair.live:,}"
    difference = "" if pair.live is None else f"{_difference(pair):+,}"
    is_right = pair.truth == pair.answer
    tone: Tone = "" if pair.live is None else "good" if (_difference(pair) > 0) == is_right else "bad"
    return Row((quote(pair.truth), quote(pair.answer), live, f"{pair.candidate:,}", difference), tone)
