"""What the plots of the HTML report draw: changes with their intervals, against what was asked."""

from collections.abc import Iterable
from typing import NamedTuple

from tidegate.domain import Finding
from tidegate.gate.report.record import Comparison, Report, Slice
from tidegate.gate.report.sentence import clean
from tidegate.gate.report.verdicts import slice_unit, verdict_tone

MOST = 24


class Plot(NamedTuple):
    """Changes of one unit, a row each: name, value, the interval's ends, the bound (None if there is none), tone."""

    title: str
    unit: str
    rows: list[dict[str, str | float | None]]

    @property
    def has_bounds(self) -> bool:
        """Whether any row has a bound."""
        return any(row["bound"] is not None for row in self.rows)


def plots(report: Report) -> dict[str, list[Plot]]:
    """The plots by the key of the section that they belong to."""
    bounds = _bounds(report.decision.findings if report.decision else ())
    points = [found for found in report.comparisons if found.unit in ("share", "points")]
    numbers = [found for found in report.comparisons if found.unit == "number"]
    scale = 1.0 if slice_unit(report) == "number" else 100.0
    what = "mean absolute error" if scale == 1.0 else "accuracy, percentage points"
    return {
        "metrics": [
            *_plot("Change against live, percentage points", points, bounds=bounds, scale=100.0),
            *_plot("Change against live", numbers, bounds=bounds, scale=1.0),
        ],
        "slices": _plot(f"Change of {what}", report.slices, bounds={}, scale=scale),
    }


def _plot(
    title: str, found: Iterable[Comparison | Slice], *, bounds: dict[str, float], scale: float
) -> list[Plot]:
    rows = [_row(one, bounds, scale) for one in found if one.change is not None][:MOST]
    return [Plot(title, " pp" if scale > 1 else "", rows)] if rows else []


def _row(found: Comparison | Slice, bounds: dict[str, float], scale: float) -> dict[str, str | float | None]:
    name = found.metric if isinstance(found, Comparison) else found.name
    severity = found.severity if isinstance(found, Comparison) else "block"
    ends = {"value": found.change, "low": found.low, "high": found.high, "bound": bounds.get(name)}
    scaled = {key: None if end is None else end * scale for key, end in ends.items()}
    return {"name": clean(name), "tone": verdict_tone(found.verdict, severity), **scaled}


def _bounds(findings: Iterable[Finding]) -> dict[str, float]:
    """What the change of a metric is held against."""
    return {
        found.metric: found.bound
        for found in findings
        if found.kind in ("not_worse", "better") and found.bound is not None
    }
