"""The report as one HTML file that needs nothing else: no network, no other file, readable without scripts."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from tidegate.gate.report.answer import MARKS, answer
from tidegate.gate.report.plots import plots
from tidegate.gate.report.record import Report
from tidegate.gate.report.sections import identity, sections
from tidegate.gate.report.sentence import clean, parts


def render_html(report: Report) -> str:
    """A page that opens from a file; its policy lets no script run but its own."""
    from jinja2 import Environment
    from markupsafe import Markup, escape

    def said(sentence: str) -> Markup:
        pieces = [
            Markup("<code>{}</code>").format(text) if is_code else escape(text)
            for text, is_code in parts(sentence)
        ]
        return Markup("").join(pieces)

    room = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_clean)
    room.filters["said"] = said
    style = _file("uPlot.min.css") + _file("report.css")
    script = _file("uPlot.iife.min.js") + _file("report.js")
    found = answer(report)
    return room.from_string(_file("report.html")).render(
        report=report,
        answer=found,
        marks=MARKS,
        identity=identity(report),
        sections=sections(report),
        plots=plots(report),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


@cache
def _file(name: str) -> str:
    return (files("tidegate.gate.report") / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _clean(value: object) -> object:
    return clean(value) if type(value) is str else value
