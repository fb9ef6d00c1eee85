"""The report on a candidate: one record of what a reviewer is told, and the forms that it is read in."""

from tidegate.gate.report.markdown import render_report

__all__ = ["render_report"]
