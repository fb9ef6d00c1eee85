"""The report on a candidate: one record of what a reviewer is told, and the forms that it is read in."""

from tidegate.gate.report.html import render_html
from tidegate.gate.report.json import render_json
from tidegate.gate.report.junit import render_junit
from tidegate.gate.report.markdown import render_markdown
from tidegate.gate.report.sarif import render_sarif

__all__ = ["render_html", "render_json", "render_junit", "render_markdown", "render_sarif"]
