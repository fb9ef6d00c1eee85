"""How the live model is doing: the detectors' figures, recomputed from the prediction log."""

import time
from pathlib import Path

from tidegate.domain import Alert, Record
from tidegate.errors import UnavailableError
from tidegate.flow.evidence import watch_release
from tidegate.project import load_config
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger


class Moved(Record, frozen=True):
    """How far a column, or the answers, are from the reference: `log_score` is the log of its e-value."""

    name: str
    log_score: float
    because: str


class Health(Record, frozen=True):
    """Levels are logs of e-values; alarms come at `alarm_windows` and `alarm_labels`."""

    release: int
    drift_level: float
    alarm_windows: int
    windows: int
    rows: int
    features: tuple[Moved, ...]
    performance_level: float
    alarm_labels: int
    labels: int
    errors: int
    limit: float
    alerts: tuple[Alert, ...]


def health(root: Path) -> Health:
    """Everything logged since the live release; UnavailableError with nothing live."""
    config, layout = load_config(root), Layout(root)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
    if state.live is None:
        raise UnavailableError("monitor", "nothing is live yet", hint="tidegate plan && tidegate apply")
    watch = watch_release(config, layout, state)
    seen = watch.seen(time.time(), dropped=0)
    return Health(
        release=state.live.number,
        drift_level=seen.drift_level,
        alarm_windows=watch.settings.false_alarm_windows,
        windows=seen.windows,
        rows=seen.rows,
        features=tuple(Moved(one.name, one.log_score, one.because) for one in seen.features),
        performance_level=seen.performance_level,
        alarm_labels=watch.settings.false_alarm_labels,
        labels=seen.labels,
        errors=seen.errors,
        limit=seen.limit,
        alerts=state.alerts,
    )
