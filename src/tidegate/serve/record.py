"""What the gateway counts for Prometheus, beside the prediction log."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tidegate.serve.shape import known_column

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tidegate.data.contract.rules import Violation

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# set by the supervisor when several workers share one endpoint
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The counters of one worker, or of all of them where they share a folder."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "tidegate_request_duration_seconds",
            "Time from the whole request to the reply.",
            ("path", "status", "role"),
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._release = Gauge(
            "tidegate_release",
            "Number of the live release.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self._weight = Gauge(
            "tidegate_canary_weight",
            "Share of units that the canary takes.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self._dropped = Counter(
            "tidegate_log_dropped_rows",
            "Answered rows that the prediction log could not take.",
            registry=self._registry,
        )
        self._violations = Counter(
            "tidegate_contract_violations",
            "Violations of the data contract in requests.",
            ("rule", "column", "policy"),
            registry=self._registry,
        )
        self._children: dict[tuple[str, int, str], Histogram] = {}
        self._dropped_before = 0

    def count(self, path: str, status: int, role: str, *, seconds: float) -> None:
        """One reply; `role` is "" when no model was asked."""
        key = (path, status, role)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(path, str(status), role)
        child.observe(seconds)

    def breach(self, violations: "Iterable[Violation]") -> None:
        """What requests broke."""
        for one in violations:
            self._violations.labels(one.rule, known_column(one), one.policy).inc()

    def note(self, *, release: int, weight: float, dropped: int) -> None:
        """What is live, and how many rows the log has lost so far."""
        self._release.set(release)
        self._weight.set(weight)
        self._dropped.inc(dropped - self._dropped_before)
        self._dropped_before = dropped

    def render(self) -> bytes:
        """The text format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self._collected())

    def _collected(self) -> "CollectorRegistry":
        if SHARED_FOLDER not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared
