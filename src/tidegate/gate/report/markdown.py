"""The report as Markdown for a comment on a pull request: the first line answers, the rest fits in 60 KB."""

from html import escape

from tidegate.gate.report.answer import MARKS, answer
from tidegate.gate.report.causes import TONES
from tidegate.gate.report.record import Report
from tidegate.gate.report.section import Section, left_out, numeric
from tidegate.gate.report.sections import identity, sections
from tidegate.gate.report.sentence import cell, markdown

LIMIT = 60_000
WITH_PICTURES = "The HTML report shows their pictures."


def render_markdown(report: Report) -> str:
    """GitHub's and GitLab's Markdown, always shorter than 60 KB: the least important rows go first."""
    head = [_headline(report), *_under(report)]
    room = LIMIT - sum(_size(part) + 2 for part in head)
    kept = _fit([_first(section) for section in sections(report)], room)
    return "\n\n".join([*head, *(_section(section) for section in kept)]) + "\n"


def _headline(report: Report) -> str:
    found = answer(report)
    return f"### {MARKS[found.tone]} {markdown(report.name or 'tidegate')}: {markdown(found.sentence)}"


def _under(report: Report) -> list[str]:
    pieces = " · ".join(markdown(piece) for piece in identity(report))
    steps = " · ".join(f"{MARKS[TONES[step.outcome]]} {step.name}" for step in report.steps)
    return [line for line in (pieces, steps) if line]


def _section(section: Section) -> str:
    body = "\n\n".join(part for part in (_rows(section), left_out(section), _note(section)) if part)
    title = markdown(section.title)
    if section.is_folded:
        return f"<details><summary>{escape(section.title)}</summary>\n\n{body}\n\n</details>"
    return f"**{title}**\n\n{body}"


def _rows(section: Section) -> str:
    if not section.rows:
        return ""
    if not section.columns:
        return "\n".join(f"- {markdown(row.cells[0])}" for row in section.rows)
    ruler = ["---:" if is_number else "---" for is_number in numeric(section)]
    lines = [[cell(name) for name in section.columns], ruler]
    lines += [[cell(text) for text in row.cells] for row in section.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _note(section: Section) -> str:
    pictured = any(row.picture for row in section.rows)
    return " ".join(part for part in (markdown(section.note), WITH_PICTURES if pictured else "") if part)


def _first(section: Section) -> Section:
    total = max(section.total, len(section.rows))
    return section._replace(rows=section.rows[: section.most], total=total)


def _fit(found: list[Section], room: int) -> list[Section]:
    """The sections cut to `room` bytes: the last rows of the highest rank go first, halves at a time."""
    sizes = [_size(_section(section)) + 2 for section in found]
    order = sorted(range(len(found)), key=lambda place: (-found[place].rank, -place))
    for place in order:
        while sum(sizes) > room and found[place].rows:
            rows = found[place].rows
            found[place] = found[place]._replace(rows=rows[: len(rows) // 2])
            sizes[place] = _size(_section(found[place])) + 2
    return found


def _size(text: str) -> int:
    return len(text.encode())
