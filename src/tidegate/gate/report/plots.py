"""What the plots of the HTML report draw: changes with their intervals, against what was asked."""

from tidegate.gate.report.record import Report


def plots(report: Report) -> dict[str, object]:
    """By the key of a section what its plot shows."""
    return {}
