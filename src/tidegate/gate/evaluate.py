"""One model's evaluation: every metric that its rows allow, each with its interval."""

from tidegate.domain import Evaluation, Measure
from tidegate.gate.finding import finite
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, Metric, goodness, lacks
from tidegate.gate.rows import Rows, count
from tidegate.project import read_metric
from tidegate.stats.result import Tails

ANSWERS = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")
SCORES = ("auc", "average_precision", "log_loss", "brier", "calibration_error")
NUMBERS = ("mae", "rmse", "r2")
TAILS = Tails(0.05, 0.05)


def evaluate(rows: Rows, metrics: tuple[str, ...] = ()) -> Evaluation:
    """The rows as a record: what they are, and these metrics of them, or all that their task has."""
    usual = NUMBERS if rows.task == "regression" else (*ANSWERS, *(SCORES if rows.scores is not None else ()))
    found, missing = {}, {}
    for name in metrics or usual:
        metric = metric_of(read_metric(name))
        reason = lacks(metric.name, rows)
        if reason:
            missing[name] = reason
        else:
            found[name] = measure(metric, rows)
    return Evaluation(rows.test_set, rows.digest, count(rows), rows.task, found, missing)


def measure(metric: Metric, rows: Rows) -> Measure:
    """A metric's value with an interval that errs with probability 5 % on either side."""
    seen = goodness(metric, metric.prove(rows, Bar(0.0 if metric.sign > 0 else -1.0, TAILS)))
    return Measure(metric.measure(rows), finite(seen.low), finite(seen.high), seen.guarantee, seen.method)
