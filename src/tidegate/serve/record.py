"""What the gateway counts for Prometheus, beside the prediction log: cheap to count, added up when it is read.

Workers of one endpoint leave their counts in a folder, so that each can tell what all of them have seen.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.serve.shape import known_column
from tidegate.store.files import write_atomic

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from tidegate.data.contract.rules import Violation

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BUCKETS_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SUFFIX = ".metrics"

REQUESTS = "tidegate_request_duration_seconds"
BATCHES = "tidegate_batch_rows"
PREDICTS = "tidegate_predict_duration_seconds"
VIOLATIONS = "tidegate_contract_violations"
DROPPED = "tidegate_log_dropped_rows"
RELEASE = "tidegate_release"
WEIGHT = "tidegate_canary_weight"
WAITING = "tidegate_waiting_rows"

HISTOGRAMS = {
    REQUESTS: ("Time from the whole request to the reply.", ("path", "status", "role"), BUCKETS_S),
    BATCHES: ("Rows that the model was asked with at once.", ("version",), BUCKETS_ROWS),
    PREDICTS: ("Time of one call of the model.", ("version",), BUCKETS_S),
}
COUNTERS = {
    VIOLATIONS: ("Violations of the data contract in requests.", ("rule", "column", "policy")),
    DROPPED: ("Answered rows that the prediction log could not take.", ()),
}
GAUGES = {
    RELEASE: "Number of the live release.",
    WEIGHT: "Share of units that the canary takes.",
    WAITING: "Rows that are not answered yet.",
}

Labels = tuple[str, ...]


class Snapshot(msgspec.Struct):
    """The counts of one worker; of each histogram how many fell in each bucket, with the sum at the end."""

    at: float = 0.0
    histograms: dict[str, list[tuple[Labels, list[float]]]] = {}
    counters: dict[str, list[tuple[Labels, float]]] = {}
    gauges: dict[str, float] = {}


class Metrics:
    """The counters of one worker; with a `folder` they are told together with those of the others in it."""

    def __init__(self, folder: Path | None = None, worker: str = "") -> None:
        self.saved = 0.0
        self._is_saved = False
        self._folder = folder
        self._worker = worker
        self._requests: dict[tuple[str, int, str], list[float]] = {}
        self._batches: dict[int, list[float]] = {}
        self._predicts: dict[int, list[float]] = {}
        self._counters: dict[str, dict[Labels, float]] = {VIOLATIONS: {}, DROPPED: {}}
        self._gauges: dict[str, float] = {}
        self._before = _before(folder / f"{worker}{SUFFIX}") if folder else Snapshot()

    def count(self, path: str, status: int, role: str, *, seconds: float) -> None:
        """One reply; `role` is "" when no model was asked."""
        self._is_saved = False
        key = (path, status, role)
        cell = self._requests.get(key)
        if cell is None:
            cell = self._requests[key] = [0.0] * (len(BUCKETS_S) + 2)
        cell[bisect_left(BUCKETS_S, seconds)] += 1
        cell[-1] += seconds

    def batch(self, version: int, rows: int, *, seconds: float) -> None:
        """One call of a model."""
        self._is_saved = False
        sizes, times = self._batches.get(version), self._predicts.get(version)
        if sizes is None or times is None:
            sizes = self._batches[version] = [0.0] * (len(BUCKETS_ROWS) + 2)
            times = self._predicts[version] = [0.0] * (len(BUCKETS_S) + 2)
        sizes[bisect_left(BUCKETS_ROWS, rows)] += 1
        sizes[-1] += rows
        times[bisect_left(BUCKETS_S, seconds)] += 1
        times[-1] += seconds

    def breach(self, violations: "Iterable[Violation]") -> None:
        """What requests broke."""
        self._is_saved = False
        cells = self._counters[VIOLATIONS]
        for one in violations:
            key = (one.rule, known_column(one), one.policy)
            cells[key] = cells.get(key, 0.0) + 1

    def note(self, *, release: int, weight: float, dropped: int) -> None:
        """What is live, and how many rows the log has lost so far."""
        self._is_saved = False
        self._gauges |= {RELEASE: release, WEIGHT: weight}
        self._counters[DROPPED][()] = dropped

    def wait(self, rows: int) -> None:
        """How many rows are not answered yet."""
        self._is_saved = self._is_saved and self._gauges.get(WAITING) == rows
        self._gauges[WAITING] = rows

    def save(self, now: float) -> None:
        """Leave the counts where the other workers find them; OSError when the disk is full."""
        self.saved = now
        if not self._folder or self._is_saved:
            return
        write_atomic(self._folder / f"{self._worker}{SUFFIX}", msgspec.json.encode(self._snapshot(now)))
        self._is_saved = True

    def render(self) -> bytes:
        """The text format of Prometheus."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Told(self._all()))
        return generate_latest(registry)

    def _snapshot(self, at: float) -> Snapshot:
        """The counts of this worker's name, those of the process before it included."""
        requests: list[tuple[Labels, list[float]]] = [
            ((path, str(status), role), cell) for (path, status, role), cell in self._requests.items()
        ]
        mine = Snapshot(
            at,
            {
                REQUESTS: requests,
                BATCHES: [((str(version),), cell) for version, cell in self._batches.items()],
                PREDICTS: [((str(version),), cell) for version, cell in self._predicts.items()],
            },
            {name: list(cells.items()) for name, cells in self._counters.items()},
            self._gauges,
        )
        return _sum([self._before, mine])

    def _all(self) -> Snapshot:
        mine = self._snapshot(float("inf"))
        if not self._folder:
            return mine
        files = sorted(self._folder.glob(f"*{SUFFIX}"))
        return _sum([mine, *(_read(file) for file in files if file.stem != self._worker)])


class _Told:
    """A collector of prometheus_client over counts that were made elsewhere."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> "Iterator[Metric]":
        """Every metric with its samples."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, (text, labels, buckets) in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=labels)
            for values, cell in self._snapshot.histograms.get(name, []):
                family.add_metric(values, _cumulative(buckets, cell), cell[-1])
            yield family
        for name, (text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=labels)
            for values, count in self._snapshot.counters.get(name, []):
                counter.add_metric(values, count)
            yield counter
        for name, text in GAUGES.items():
            if name in self._snapshot.gauges:
                yield GaugeMetricFamily(name, text, value=self._snapshot.gauges[name])


def _cumulative(buckets: Iterable[float], cell: list[float]) -> list[tuple[str, float]]:
    found, total = [], 0.0
    for bound, count in zip([*map(float, buckets), float("inf")], cell[:-1], strict=True):
        total += count
        found.append(("+Inf" if bound == float("inf") else str(bound), total))
    return found


def _sum(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Counts added up; of gauges what was saved last, of waiting rows all."""
    histograms: dict[str, dict[Labels, list[float]]] = {}
    counters: dict[str, dict[Labels, float]] = {}
    gauges: dict[str, float] = {}
    waiting, last = 0.0, 0.0
    for one in sorted(snapshots, key=lambda snapshot: snapshot.at):
        for name, cells in one.histograms.items():
            for labels, cell in cells:
                _add(histograms.setdefault(name, {}), labels, cell)
        for name, counts in one.counters.items():
            known = counters.setdefault(name, {})
            for labels, count in counts:
                known[labels] = known.get(labels, 0.0) + count
        waiting += one.gauges.get(WAITING, 0.0)
        gauges |= one.gauges
        last = max(last, one.at)
    if WAITING in gauges:
        gauges[WAITING] = waiting
    return Snapshot(
        last,
        {name: list(cells.items()) for name, cells in histograms.items()},
        {name: list(cells.items()) for name, cells in counters.items()},
        gauges,
    )


def _add(known: dict[Labels, list[float]], labels: Labels, cell: list[float]) -> None:
    before = known.get(labels)
    known[labels] = list(cell) if before is None else [a + b for a, b in zip(before, cell, strict=True)]


def _before(path: Path) -> Snapshot:
    """What a former process of this worker had counted; what was live or waiting then is over."""
    return msgspec.structs.replace(_read(path), gauges={})


def _read(path: Path) -> Snapshot:
    """What a worker left; nothing from one that has not saved yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return Snapshot()
