"""What the prediction log says about the rollout in progress and about the release that is live."""

from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from pathlib import Path

import msgspec

from tidegate.domain import Label, Prediction, Rollout, agree
from tidegate.flow.log import hidden_inputs
from tidegate.monitor.decide import Evidence as Seen
from tidegate.monitor.drift import Drift, Feature, drift_features, drift_level, fold_window, start_drift
from tidegate.monitor.performance import (
    BATCH,
    fold_labels,
    performance_level,
    recent_labels,
    start_performance,
)
from tidegate.monitor.reference import Reference, parse_reference
from tidegate.project import Config, parse_config
from tidegate.registry.columns import row_columns
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.model import load_model
from tidegate.rollout.measure import GRACE_S, Evidence, Meter
from tidegate.store.layout import Layout
from tidegate.store.predictions import Cursor, cursor_at, read_labels, read_predictions
from tidegate.store.state import State

MOST_WAITING = 1_000_000


class LogReader:
    """Where in the prediction log one reader is."""

    def __init__(self, folder: Path, since: float) -> None:
        self._folder = folder
        self._predictions: Cursor = cursor_at(folder, since)
        self._labels: Cursor = self._predictions

    def read(self) -> tuple[list[Prediction], list[Label]]:
        """What is new: labels first, so that a label's prediction is never missed."""
        labels, self._labels = read_labels(self._folder, self._labels)
        predictions, self._predictions = read_predictions(self._folder, self._predictions)
        return predictions, labels


class RolloutWatch:
    """The evidence of one rollout, by the rules that its candidate was released with."""

    def __init__(self, layout: Layout, rollout: Rollout, candidate: Bundle) -> None:
        self.settings = policy_of(candidate).rollout
        self._reader = LogReader(layout.log, rollout.started)
        self._meter = Meter(rollout, self.settings)

    def evidence(self, now: float) -> Evidence:
        """Everything logged by now."""
        self._meter.add(*self._reader.read())
        return self._meter.evidence(now)


class ReleaseWatch:
    """Drift and quality of the live bundle since its release, by the rules in its own policy."""

    def __init__(self, layout: Layout, live: Bundle, since: float, *, hidden: frozenset[int]) -> None:
        self.settings = policy_of(live).monitor
        self._bundle = live.digest
        self._since = since
        self._reader = LogReader(layout.log, since)
        reference = parse_reference(live.read("reference.json"))
        reference, self._columns = _logged(reference, row_columns(live.contract), hidden)
        self._drift = start_drift(reference, self.settings)
        self._drift_level, self._features = _drift_of(self._drift)
        self._performance = start_performance(reference, self.settings)
        self._rows: list[Prediction] = []
        self._closed = 0
        self._answers: dict[str, str | int | float] = {}
        self._right: list[bool] = []

    def seen(self, now: float, *, dropped: int) -> Seen:
        """What the detectors say at `now`; `dropped` rows were lost since the last look."""
        predictions, labels = self._reader.read()
        self._take(row for row in predictions if row.bundle == self._bundle and row.at >= self._since)
        self._judge_labels(labels)
        self._close_windows(now)
        drift, performance = self._drift, self._performance
        return Seen(
            drift_level=self._drift_level,
            features=self._features,
            windows=drift.windows,
            rows=drift.rows,
            performance_level=performance_level(performance),
            labels=performance.labels,
            errors=performance.errors,
            limit=performance.limit,
            recent=recent_labels(performance),
            log_dropped=dropped,
        )

    def _take(self, rows: Iterable[Prediction]) -> None:
        for row in rows:
            if row.output is not None:
                self._rows.append(row)
                self._answers[row.request] = row.output
        for request in list(islice(self._answers, max(0, len(self._answers) - MOST_WAITING))):
            del self._answers[request]

    def _judge_labels(self, labels: Sequence[Label]) -> None:
        """Labels of this release's predictions; each prediction counts once."""
        pairs = [(self._answers.pop(label.request, None), label) for label in labels]
        self._right += [agree(said, label.truth) for said, label in pairs if said is not None]
        whole = len(self._right) - len(self._right) % BATCH
        for at in range(0, whole, BATCH):
            errors = self._right[at : at + BATCH].count(False)
            self._performance = fold_labels(self._performance, errors, BATCH)
        del self._right[:whole]

    def _close_windows(self, now: float) -> None:
        """Fold the windows that are over; one with too few rows goes on into the next."""
        current = self._number(now - GRACE_S)
        if current <= self._closed:
            return
        self._closed = current
        over = sorted((row for row in self._rows if self._number(row.at) < current), key=lambda row: row.at)
        rest = [row for row in self._rows if self._number(row.at) >= current]
        waiting: list[Prediction] = []
        for _, rows in groupby(over, key=lambda row: self._number(row.at)):
            waiting += rows
            if len(waiting) >= self.settings.min_rows:
                self._fold(waiting)
                waiting = []
        self._rows = waiting + rest

    def _number(self, at: float) -> int:
        return int(at // float(self.settings.window))

    def _fold(self, rows: Sequence[Prediction]) -> None:
        import numpy as np

        seen = [[row.inputs[i] for i in self._columns] for row in rows]
        inputs = np.array(seen, dtype=float).reshape(len(rows), len(self._columns))
        self._drift = fold_window(self._drift, inputs, [str(row.output) for row in rows])
        self._drift_level, self._features = _drift_of(self._drift)


def watch_rollout(config: Config, layout: Layout, rollout: Rollout) -> RolloutWatch:
    """The watch of a rollout; TidegateError when its candidate cannot be opened or served."""
    bundle = _open(config, layout, rollout.candidate)
    load_model(bundle, settings=config.runtime).close()
    return RolloutWatch(layout, rollout, bundle)


def watch_release(config: Config, layout: Layout, state: State) -> ReleaseWatch:
    """The watch of what is live, from its release on; a state with nothing live has none."""
    release = state.releases[-1]
    bundle = _open(config, layout, release.bundle)
    return ReleaseWatch(layout, bundle, release.at, hidden=hidden_inputs(bundle.contract, config.log))


def _drift_of(drift: Drift) -> tuple[float, tuple[Feature, ...]]:
    """What a window may change, and nothing else does."""
    return drift_level(drift), tuple(drift_features(drift))


def policy_of(bundle: Bundle) -> Config:
    """The settings that a bundle was released with."""
    return parse_config(bundle.read("policy.toml").decode())


def _open(config: Config, layout: Layout, digest: str) -> Bundle:
    return open_bundle(layout.bundles, digest, keys=layout.keys, require=config.sign.require)


def _logged(
    reference: Reference, names: Sequence[str], hidden: frozenset[int]
) -> tuple[Reference, list[int]]:
    """The reference without what the log hides, and where in a logged row its columns stand."""
    places = {name: i for i, name in enumerate(names) if i not in hidden}
    columns = tuple(column for column in reference.columns if column.name in places)
    return msgspec.structs.replace(reference, columns=columns), [places[column.name] for column in columns]
