"""The worst slices: what the rules cut the test set into, by accuracy or by the mean absolute error."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from tidegate.domain import Verdict
from tidegate.gate.checks import Evidence
from tidegate.gate.finding import finite
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, Metric, goodness
from tidegate.gate.report.comparisons import TAILS
from tidegate.gate.report.record import Slice
from tidegate.gate.rows import Rows, right, take
from tidegate.gate.slices import cut
from tidegate.project import Rule, Slices, read_metric


class _Part(NamedTuple):
    """A slice by its rows, with the mean of both models on it."""

    name: str
    where: np.ndarray
    candidate: float
    live: float | None

    @property
    def change(self) -> float | None:
        return None if self.live is None else self.candidate - self.live


def worst_slices(
    rules: Iterable[Rule], evidence: Evidence, *, verdicts: Mapping[str, Verdict], most: int
) -> tuple[Slice, ...]:
    """The slices where the candidate lost most against live; with nothing live, where it is worst itself.

    Slices below the `min_rows` of their rule are left out. `verdicts` are those that the gate has given by name.
    """
    metric = metric_of(read_metric("accuracy" if evidence.candidate.classes else "mae"))
    found = sorted(_parts(rules, evidence), key=lambda part: metric.sign * _order(part))[:most]
    return tuple(_slice(part, metric, evidence, verdict=verdicts.get(part.name)) for part in found)


def _order(part: _Part) -> float:
    return part.candidate if part.change is None else part.change


def _parts(rules: Iterable[Rule], evidence: Evidence) -> list[_Part]:
    new, old = evidence.candidate, evidence.baseline
    now, then = _values(new), None if old is None else _values(old)
    cuts: dict[str, np.ndarray] = {}
    for rule in rules:
        if isinstance(rule, Slices):
            cuts |= {name: index for name, index in cut(rule, new).items() if len(index) >= rule.min_rows}
    return [
        _Part(name, index, float(now[index].mean()), None if then is None else float(then[index].mean()))
        for name, index in cuts.items()
    ]


def _values(rows: Rows) -> np.ndarray:
    return right(rows) if rows.classes else np.abs(rows.truth - rows.prediction)


def _slice(part: _Part, metric: Metric, evidence: Evidence, *, verdict: Verdict | None) -> Slice:
    found = Slice(part.name, len(part.where), part.candidate, part.live, part.change, None, None, verdict)
    if evidence.baseline is None:
        return found
    new, old = take(evidence.candidate, part.where), take(evidence.baseline, part.where)
    seen = goodness(metric, metric.compare(new, old, Bar(0.0, TAILS)))
    return msgspec.structs.replace(found, low=finite(seen.low), high=finite(seen.high))
