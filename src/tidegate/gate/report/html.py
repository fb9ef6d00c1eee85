"""The report as one HTML file that needs nothing else: no network, no other file, readable without scripts."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tidegate import __version__
from tidegate.gate.report.answer import MARKS, answer
from tidegate.gate.report.causes import TONES, took
from tidegate.gate.report.matrix import matrix
from tidegate.gate.report.plots import plots
from tidegate.gate.report.record import Report
from tidegate.gate.report.section import Row, Section, left_out, numeric
from tidegate.gate.report.sections import identity, sections
from tidegate.gate.report.sentence import clean, parts

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

IN_HEAD = "steps"
PICTURES = 1_200_000
PICTURE = "data:image/"


def render_html(report: Report) -> str:
    """A page that opens from a file; its policy lets no script run but its own."""
    style = _static("uPlot.min.css") + _static("report.css")
    script = _static("uPlot.iife.min.js") + _static("report.js")
    page = _template().render(
        report=report,
        answer=answer(report),
        identity=identity(report),
        tones=TONES,
        sections=[_shown(section) for section in _pictured(sections(report)) if section.key != IN_HEAD],
        confusion=matrix(report.confusion),
        plots=plots(report),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=__version__,
    )
    return page.lstrip()


@cache
def _template() -> "Template":
    from jinja2 import Environment
    from markupsafe import escape

    made = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_clean)
    made.filters |= {"said": _said, "took": took, "whole": escape, "bare": _bare}
    return made.from_string(_static("report.html"))


def _bare(name: str) -> str:
    return clean(name).strip("`")


def _said(sentence: str) -> "Markup":
    """A sentence with its quoted parts as code; its mark is drawn by the style, not by a font."""
    from markupsafe import Markup, escape

    tone = next((tone for tone, mark in MARKS.items() if sentence.startswith(mark)), None)
    if tone is None:
        mark = Markup("")
    else:
        sentence = sentence.removeprefix(MARKS[tone]).lstrip()
        mark = Markup('<span class="mark {}" aria-hidden="true"></span>').format(tone)
    pieces = (
        Markup("<code>{}</code>").format(text) if code else escape(text) for text, code in parts(sentence)
    )
    return mark + Markup("").join(pieces)


def _pictured(found: Iterable[Section]) -> Iterator[Section]:
    """The sections with as many of their pictures as a page can carry."""
    room = PICTURES
    for section in found:
        rows: list[Row] = []
        for row in section.rows:
            fits = row.picture.startswith(PICTURE) and len(row.picture) <= room
            room -= len(row.picture) if fits else 0
            rows.append(row if fits else row._replace(picture=""))
        yield section._replace(rows=tuple(rows))


def _shown(section: Section) -> dict[str, object]:
    return {
        **section._asdict(),
        "numeric": numeric(section) if section.columns else (),
        "is_pictured": any(row.picture for row in section.rows),
        "more": left_out(section),
    }


@cache
def _static(name: str) -> str:
    return (files("tidegate.gate.report") / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _clean(value: object) -> object:
    return clean(value) if type(value) is str else value
