"""Which alerts change: a pure function of what is active and what the detectors say."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from tidegate.domain import Alert
from tidegate.project import Monitor

if TYPE_CHECKING:
    from tidegate.monitor.drift import Feature

Kind = Literal["drift", "performance", "log"]

NAMED = 5


class Evidence(NamedTuple):
    """What the detectors say now; levels are log scores, `features` are sorted worst first.

    `limit` is the promised error rate of `errors` wrong answers among `labels` labels; `recent` are the
    labels and errors of the stretch where a loss shows; `log_dropped` counts the rows that were answered
    and not logged since the last look.
    """

    drift_level: float
    features: tuple["Feature", ...]
    windows: int
    rows: int
    performance_level: float
    labels: int
    errors: int
    limit: float
    recent: tuple[int, int]
    log_dropped: int


class Cleared(NamedTuple):
    """An alert that is over."""

    kind: Kind
    subject: str


def decide(
    alerts: tuple[Alert, ...], evidence: Evidence, settings: Monitor, *, subject: str, now: float
) -> tuple[Alert | Cleared, ...]:
    """What to raise and what to clear about `subject`; nothing when nothing changed.

    Drift and lost quality stay until a release: evidence at hand is not taken back by quiet days.
    """
    active = {alert.kind for alert in alerts if alert.subject == subject}
    raised = tuple(
        Alert(kind, subject, "page" if kind == "performance" else "ticket", because, now)
        for kind, because in _due(evidence, settings)
        if kind not in active
    )
    if "log" in active and not evidence.log_dropped:
        return (*raised, Cleared("log", subject))
    return raised


def clear_on_release(alerts: tuple[Alert, ...], subject: str) -> tuple[Cleared, ...]:
    """What a new release of `subject` ends: its reference and its promise are new."""
    return tuple(
        Cleared(alert.kind, subject) for alert in alerts if alert.subject == subject and alert.kind != "log"
    )


def _due(evidence: Evidence, settings: Monitor) -> Iterator[tuple[Kind, str]]:
    """What is wrong now and why, whether or not it is known."""
    windows, labels = math.log(settings.false_alarm_windows), math.log(settings.false_alarm_labels)
    if evidence.drift_level >= windows:
        yield "drift", f"{_drifted(evidence)}; {_weigh(evidence.drift_level, windows)}"
    if evidence.performance_level >= labels:
        yield "performance", f"{_worsened(evidence)}; {_weigh(evidence.performance_level, labels)}"
    if evidence.log_dropped:
        yield "log", f"{evidence.log_dropped} answered rows are missing from the prediction log"


def _drifted(evidence: Evidence) -> str:
    """The features that are alarming alone, or else the worst: half the weight may lie on a single one."""
    alarming = [feature for feature in evidence.features if feature.is_alarming]
    worst = (alarming or list(evidence.features[:1]))[:NAMED]
    since = min((feature.since for feature in worst), default=1)
    named = ", ".join(f"{feature.name} ({feature.because})" for feature in worst)
    more = f" and {len(alarming) - NAMED} more" if len(alarming) > NAMED else ""
    return f"live rows differ from the reference since window {since} of {evidence.windows}: {named}{more}"


def _worsened(evidence: Evidence) -> str:
    labels, errors = evidence.recent
    rate, limit = 100 * errors / max(labels, 1), 100 * evidence.limit
    found = f"{errors:,} of the last {labels:,} labeled answers are wrong ({rate:.3g} %)"
    return f"{found}, promised were at most {limit:.3g} %"


def _weigh(level: float, alarm: float) -> str:
    """Log scores as powers of ten."""
    return f"e-value 10^{level / math.log(10):.1f}, alarm at 10^{alarm / math.log(10):.1f}"
