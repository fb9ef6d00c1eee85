"""The report as files: rendered whole before the first is written, each one replaced at once."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tidegate.gate.report import render_html, render_json, render_junit, render_markdown, render_sarif
from tidegate.gate.report.record import Report
from tidegate.store.files import write_atomic

MARKDOWN = "report.md"
FORMS: Mapping[str, Callable[[Report], str]] = {
    MARKDOWN: render_markdown,
    "report.html": render_html,
    "junit.xml": render_junit,
    "report.sarif": render_sarif,
    "report.json": render_json,
}


def write_forms(folder: Path, report: Report) -> Path:
    """Every form of the report, and which is the page to read; an interrupt leaves the old file or the new one."""
    texts = {name: render(report) for name, render in FORMS.items()}
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return folder / MARKDOWN
