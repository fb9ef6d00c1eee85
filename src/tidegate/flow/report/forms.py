"""The forms that a report is read in."""

from pathlib import Path
from typing import Literal

from tidegate.errors import UsageError
from tidegate.gate.report.record import Report

Form = Literal["md", "html", "junit", "sarif", "json"]

FORMS: dict[str, Form] = {".md": "md", ".html": "html", ".xml": "junit", ".sarif": "sarif", ".json": "json"}


def form_of(path: Path) -> Form:
    """The form that a file's suffix stands for; UsageError for another suffix."""
    form = FORMS.get(path.suffix.lower())
    if form is None:
        found = f"unknown kind of report `{path.suffix}`, expected {', '.join(FORMS)}"
        raise UsageError(path.name, found, hint="tidegate report --format md --out FILE")
    return form


def render(report: Report, form: Form) -> str:
    """The report in one of its forms."""
    from tidegate.gate import report as forms

    renders = {
        "md": forms.render_markdown,
        "html": forms.render_html,
        "junit": forms.render_junit,
        "sarif": forms.render_sarif,
        "json": forms.render_json,
    }
    return renders[form](report)
