"""Windows of live rows against the reference: counts in, one score for each column and for all of them."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tidegate.errors import UsageError
from tidegate.monitor.reference import Numeric, Reference, count_hits, in_single
from tidegate.project import Monitor
from tidegate.stats.detect import drift_limits, drift_score, drift_start, drift_step

ANSWERS = "answers"


class Indicator(NamedTuple):
    """Something a row is or is not, as a phrase, and its share among the reference's rows."""

    phrase: str
    frequency: float


class Yardstick(NamedTuple):
    """What live rows are compared with; features are the columns and, last, the model's answers.

    `sizes` are indicators per feature, `limits` [indicators, 2] the largest shares that are no drift,
    `alarm` is the log score of an alarm.
    """

    names: tuple[str, ...]
    cuts: tuple[np.ndarray, ...]
    answers: tuple[str, ...]
    indicators: tuple[Indicator, ...]
    sizes: tuple[int, ...]
    limits: np.ndarray
    alarm: float


class Trail(NamedTuple):
    """The most suspicious stretch of windows up to now, for each bet of each detector.

    `climb` is the bet's log wealth over it; it began in window `since` and had `hits` in `rows` rows.
    """

    climb: np.ndarray
    since: np.ndarray
    hits: np.ndarray
    rows: np.ndarray


class Drift(NamedTuple):
    """What `windows` windows of together `rows` rows have shown.

    `scores` [indicators, sides, bets] are the detectors, `trail` says since when they climb.
    """

    windows: int
    rows: int
    yardstick: Yardstick
    scores: np.ndarray
    trail: Trail


class Feature(NamedTuple):
    """A column's, or the answers', own log score, its largest move in words, and the window it began in."""

    name: str
    log_score: float
    because: str
    is_alarming: bool
    since: int


def start_drift(reference: Reference, settings: Monitor) -> Drift:
    """Before the first window; a false alarm is expected once in `settings.false_alarm_windows` at most."""
    yardstick = _yardstick(reference, settings)
    scores = drift_start(len(yardstick.indicators))
    counts = np.zeros(scores.shape, dtype=int)
    return Drift(0, 0, yardstick, scores, Trail(np.zeros(scores.shape), counts, counts, counts))


def fold_window(drift: Drift, inputs: np.ndarray, outputs: Sequence[str]) -> Drift:
    """After one more window: `inputs` [rows, the reference's columns] and the answer to each row.

    A window without rows says nothing and does not count. Raises UsageError for any other shape.
    """
    yardstick, rows = drift.yardstick, len(outputs)
    if not rows:
        return drift
    hits = _count(yardstick, inputs, outputs)
    scores = drift_step(drift.scores, hits, rows, limits=yardstick.limits)
    wealth = scores - np.logaddexp(0.0, drift.scores)
    window = drift.windows + 1
    trail = _follow(drift.trail, Trail(wealth, np.array(window), hits[:, None, None], np.array(rows)))
    return Drift(window, drift.rows + rows, yardstick, scores, trail)


def drift_level(drift: Drift) -> float:
    """The log score of all features, half of the weight on the answers; an alarm at log(windows)."""
    *inputs, answers = _feature_scores(drift)
    if not inputs:
        return answers
    return float(np.logaddexp(drift_score(np.array(inputs)), answers)) - math.log(2)


def drift_features(drift: Drift) -> list[Feature]:
    """Every feature, the most drifted first; one is alarming that would be an alarm alone, shared by all."""
    yardstick = drift.yardstick
    alarm = yardstick.alarm + math.log(len(yardstick.names))
    found = [
        Feature(name, score, _describe(drift, bet), score >= alarm, int(drift.trail.since[bet]))
        for name, score, bet in zip(yardstick.names, _feature_scores(drift), _worst_bets(drift), strict=True)
    ]
    return sorted(found, key=lambda feature: -feature.log_score)


def _yardstick(reference: Reference, settings: Monitor) -> Yardstick:
    columns = [list(_column_indicators(column)) for column in reference.columns]
    inputs = [indicator for column in columns for indicator in column]
    answers = list(_answer_indicators(reference))
    limits = [
        drift_limits(np.array([each.frequency for each in part]), n, sensitivity=settings.sensitivity)
        for part, n in ((inputs, reference.n), (answers, reference.n_answers))
    ]
    return Yardstick(
        names=(*(column.name for column in reference.columns), ANSWERS),
        cuts=tuple(in_single(np.array(column.cuts)) for column in reference.columns),
        answers=reference.answers,
        indicators=(*inputs, *answers),
        sizes=(*map(len, columns), len(answers)),
        limits=np.concatenate(limits),
        alarm=math.log(settings.false_alarm_windows),
    )


def _column_indicators(column: Numeric) -> Iterator[Indicator]:
    """In the order of count_hits."""
    for cut, frequency in zip(column.cuts, column.frequencies, strict=True):
        yield Indicator(f"of rows at most {cut:.6g}", frequency)
    for lowest in column.cuts[:1]:
        yield Indicator(f"of rows below {lowest:.6g}", column.below)
    yield Indicator("of rows missing", column.missing)


def _answer_indicators(reference: Reference) -> Iterator[Indicator]:
    for answer, share in zip(reference.answers, reference.shares, strict=True):
        yield Indicator(f"of answers `{answer}`", share)
    yield Indicator("of answers never seen in the evaluation", 0.0)


def _count(yardstick: Yardstick, inputs: np.ndarray, outputs: Sequence[str]) -> np.ndarray:
    expected = (len(outputs), len(yardstick.cuts))
    if inputs.shape != expected:
        raise UsageError("drift", f"inputs of shape {inputs.shape}, answers and columns need {expected}")
    ordered = np.sort(in_single(inputs.T), axis=1)
    columns = [count_hits(column, cuts) for column, cuts in zip(ordered, yardstick.cuts, strict=True)]
    counts = Counter(outputs)
    known = [counts[answer] for answer in yardstick.answers]
    return np.concatenate([*columns, known, [len(outputs) - sum(known)]]).astype(int)


def _follow(trail: Trail, step: Trail) -> Trail:
    """The trail one window on: a stretch whose wealth is lost has ended, the next begins with this window."""
    over = trail.climb <= 0
    return Trail(
        climb=np.where(over, 0.0, trail.climb) + step.climb,
        since=np.where(over, step.since, trail.since),
        hits=np.where(over, 0, trail.hits) + step.hits,
        rows=np.where(over, 0, trail.rows) + step.rows,
    )


def _by_feature(drift: Drift) -> list[np.ndarray]:
    return np.split(drift.scores, np.cumsum(drift.yardstick.sizes)[:-1])


def _feature_scores(drift: Drift) -> list[float]:
    return [drift_score(scores) for scores in _by_feature(drift)]


def _worst_bets(drift: Drift) -> Iterator[tuple[int, ...]]:
    """Of each feature the bet with the highest score: its indicator, side and number."""
    first = 0
    for scores in _by_feature(drift):
        indicator, side, bet = np.unravel_index(int(scores.argmax()), scores.shape)
        yield first + int(indicator), int(side), int(bet)
        first += len(scores)


def _describe(drift: Drift, bet: tuple[int, ...]) -> str:
    """What moved from where to where."""
    trail, (phrase, frequency) = drift.trail, drift.yardstick.indicators[bet[0]]
    share = trail.hits[bet] / max(trail.rows[bet], 1)
    return f"{100 * share:.3g} % {phrase}, reference {100 * frequency:.3g} %"
