"""What the plots of the HTML report draw: changes with their intervals, against what was asked."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tidegate.domain import Unit
from tidegate.gate.report.answer import Tone, tone_of
from tidegate.gate.report.record import Comparison, Report
from tidegate.gate.report.sentence import clean
from tidegate.gate.report.verdicts import slice_unit, verdict_tone

MOST = 24
DIFFERENCES = ("not_worse", "better")


class Change(NamedTuple):
    """A row of a plot: a change, the ends of its interval (None where infinite), what it is held against."""

    name: str
    tone: Tone
    value: float | None
    low: float | None
    high: float | None
    bound: float | None = None


class Plot(NamedTuple):
    """Changes of one unit, a row each."""

    title: str
    unit: str
    rows: list[dict[str, object]]

    @property
    def has_bounds(self) -> bool:
        """Whether any row has a bound."""
        return any(row["bound"] is not None for row in self.rows)


def plots(report: Report) -> dict[str, list[Plot]]:
    """The plots by the key of the section that they belong to."""
    metrics = list(_metrics(report))
    parts = [
        Change(part.name, verdict_tone(part.verdict), part.change, part.low, part.high)
        for part in report.slices
    ]
    return {
        "metrics": [
            *_plot("Change against live", (found for unit, found in metrics if unit == "share"), "share"),
            *_plot("Change against live", (found for unit, found in metrics if unit == "number"), "number"),
        ],
        "slices": _plot(_title(report), parts, slice_unit(report)),
    }


def _metrics(report: Report) -> Iterator[tuple[Unit, Change]]:
    """Each metric once; a rule about its change speaks before one about its value."""
    findings = reversed(report.decision.findings if report.decision else ())
    asked = {found.metric: found for found in findings if found.kind in DIFFERENCES}
    shown = {one.metric: one for one in reversed(report.comparisons)}
    for metric in dict.fromkeys(one.metric for one in report.comparisons):
        one = shown[metric]
        unit: Unit = "share" if one.unit == "points" else one.unit
        found = asked.get(metric)
        if found:
            yield unit, Change(metric, tone_of(found), found.estimate, found.low, found.high, found.bound)
        else:
            yield unit, _alone(one)


def _alone(one: Comparison) -> Change:
    return Change(one.metric, verdict_tone(one.verdict, one.severity), one.change, one.low, one.high)


def _title(report: Report) -> str:
    is_number = slice_unit(report) == "number"
    return f"Change of {'mean absolute error' if is_number else 'accuracy'} against live"


def _plot(title: str, found: Iterable[Change], unit: Unit) -> list[Plot]:
    scale = 100.0 if unit == "share" else 1.0
    rows = [_row(one, scale) for one in found if one.value is not None][:MOST]
    points = ", percentage points" if unit == "share" else ""
    return [Plot(f"{title}{points}", " pp" if points else "", rows)] if rows else []


def _row(one: Change, scale: float) -> dict[str, object]:
    ends = {"value": one.value, "low": one.low, "high": one.high, "bound": one.bound}
    scaled = {key: None if end is None else round(end * scale, 6) for key, end in ends.items()}
    return {"name": clean(one.name), "tone": one.tone, **scaled}
