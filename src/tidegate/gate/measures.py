"""Every metric by its name: means of losses, areas, what has influence only, functions of the user's."""

from collections.abc import Callable

import numpy as np

from tidegate.gate.answers import ACCURACY, counted
from tidegate.gate.custom import resample, view_of
from tidegate.gate.influence import influence_of
from tidegate.gate.losses import losses_of
from tidegate.gate.metric import Bar, Metric, p_by
from tidegate.gate.rows import Rows, scores_of
from tidegate.project import MetricName
from tidegate.stats.asymptotic import conclude_constant
from tidegate.stats.auc import (
    auc,
    macro_auc,
    prove_auc,
    prove_auc_difference,
    prove_macro_auc,
    prove_macro_auc_difference,
)
from tidegate.stats.betting import prove_mean
from tidegate.stats.bootstrap import prove_mean_of
from tidegate.stats.calibration import prove_calibration_below
from tidegate.stats.means import prove_mean_bca, prove_mean_t
from tidegate.stats.result import Result, negate

Losses = tuple[np.ndarray, float | None]


def metric_of(name: MetricName) -> Metric:
    """The metric of this name. Raises UsageError for a function of the user's that cannot be imported."""
    if name.text == "accuracy":
        return ACCURACY._replace(name=name)
    if name.needs == "answers":
        return counted(name)
    if name.needs == "rows":
        return _custom(name)
    return _measured(name)


def _measured(name: MetricName) -> Metric:
    if name.text == "auc":
        return _area(name)
    if name.text in ("average_precision", "rmse", "r2", "calibration_error"):
        return _smooth(name)
    return _mean(name, lambda rows: losses_of(name, rows))


def _area(name: MetricName) -> Metric:
    """The area under the curve: by DeLong of two classes, by the bootstrap of influences of more."""

    def measure(rows: Rows) -> float:
        return auc(*_classed(rows)) if len(rows.classes) == 2 else macro_auc(*_classed(rows))

    def prove(rows: Rows, bar: Bar) -> Result:
        test = prove_auc if len(rows.classes) == 2 else prove_macro_auc
        return test(*_classed(rows), above=bar.above, tails=bar.tails)

    def compare(new: Rows, old: Rows, bar: Bar) -> Result:
        test = prove_auc_difference if len(new.classes) == 2 else prove_macro_auc_difference
        (truth, now), (_, then) = _classed(new), _classed(old)
        return test(truth, now, then, margin=-bar.above, tails=bar.tails)

    return Metric(name, measure, prove, compare, p_by(compare))


def _classed(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores as areas take them: positive or not of two classes, else the class's number."""
    scores = scores_of(rows)
    return rows.truth == rows.positive if scores.ndim == 1 else rows.truth, scores


def _mean(name: MetricName, values_of: Callable[[Rows], Losses]) -> Metric:
    """A mean over rows: exact by betting when the values are bounded, else right when there are many."""
    sign = -1 if name.is_loss else 1

    def prove(rows: Rows, bar: Bar) -> Result:
        values, most = values_of(rows)
        if most is None:
            return _unbounded(sign * values, bar, is_paired=False)
        bounds = (-most, 0.0) if sign < 0 else (0.0, most)
        return prove_mean(sign * values, above=bar.above, tails=bar.tails, bounds=bounds)

    def compare(new: Rows, old: Rows, bar: Bar) -> Result:
        (now, most), (then, _) = values_of(new), values_of(old)
        if most is None:
            return _unbounded(sign * (now - then), bar, is_paired=True)
        return prove_mean(sign * (now - then), above=bar.above, tails=bar.tails, bounds=(-most, most))

    return Metric(name, lambda rows: float(values_of(rows)[0].mean()), prove, compare, p_by(compare))


def _unbounded(values: np.ndarray, bar: Bar, *, is_paired: bool) -> Result:
    if len(values) < 2:
        return conclude_constant(float(values.mean()), len(values), above=bar.above, tails=bar.tails)
    prove = prove_mean_t if is_paired else prove_mean_bca
    return prove(values, above=bar.above, tails=bar.tails)


def _smooth(name: MetricName) -> Metric:
    """A metric to which each row adds its influence; the calibration of one model by its own bound."""
    sign = -1 if name.is_loss else 1

    def prove(rows: Rows, bar: Bar) -> Result:
        found = influence_of(name, rows)
        if name.text == "calibration_error":
            limit = -bar.above
            return negate(prove_calibration_below(found.truth, found.scores, limit=limit, tails=bar.tails))
        return prove_mean_of(sign * found.each, shift=sign * found.value, above=bar.above, tails=bar.tails)

    def compare(new: Rows, old: Rows, bar: Bar) -> Result:
        now, then = influence_of(name, new), influence_of(name, old)
        each, shift = sign * (now.each - then.each), sign * (now.value - then.value)
        return prove_mean_of(each, shift=shift, above=bar.above, tails=bar.tails)

    return Metric(name, lambda rows: influence_of(name, rows).value, prove, compare, p_by(compare))


def _custom(name: MetricName) -> Metric:
    """A function of the user's: means of what it says of each row, else the bootstrap of its one number."""
    sign = -1 if name.is_loss else 1

    def values_of(rows: Rows) -> Losses:
        return np.asarray(view_of(name, rows), dtype=float), None

    mean = _mean(name, values_of)

    def measure(rows: Rows) -> float:
        return float(np.mean(view_of(name, rows)))

    def prove(rows: Rows, bar: Bar) -> Result:
        if np.ndim(view_of(name, rows)):
            return mean.prove(rows, bar)
        return resample(
            lambda index: sign * view_of(name, rows, index), rows, above=bar.above, tails=bar.tails
        )

    def compare(new: Rows, old: Rows, bar: Bar) -> Result:
        if np.ndim(view_of(name, new)):
            return mean.compare(new, old, bar)
        return resample(
            lambda index: sign * (view_of(name, new, index) - view_of(name, old, index)),
            new,
            above=bar.above,
            tails=bar.tails,
        )

    return Metric(name, measure, prove, compare, p_by(compare))
