"""The report as a verb: gathered once from what is recorded, written in the form asked for."""

from tidegate.flow.report.forms import Form, form_of, render
from tidegate.flow.report.gather import gather_report, write_report

__all__ = ["Form", "form_of", "gather_report", "render", "write_report"]
