"""The names of metrics: what each needs, and which way is better."""

import re
from typing import Literal, NamedTuple

from tidegate.errors import did_you_mean

Task = Literal["multiclass", "binary", "regression"]
Needs = Literal["answers", "scores", "numbers", "rows"]

ANSWERS = (
    "accuracy", "balanced_accuracy",
    *(f"{name}{average}" for name in ("f1", "precision", "recall")
      for average in ("", "_binary", "_macro", "_micro", "_weighted")),
)  # fmt: skip
SCORES = ("auc", "average_precision", "log_loss", "brier", "calibration_error")
NUMBERS = ("mae", "rmse", "r2", "quantile_loss")
LOSSES = frozenset({"log_loss", "brier", "calibration_error", "mae", "rmse", "quantile_loss"})
_QUANTILE = re.compile(r"quantile_loss\((0?\.\d+)\)")
_CUSTOM = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


class MetricName(NamedTuple):
    """A metric as a rule names it; `q` is the quantile of a quantile loss, else 0."""

    text: str
    needs: Needs
    is_loss: bool
    q: float = 0.0

    def fits(self, task: Task) -> bool:
        """Whether answers of this task can be measured by it."""
        return self.needs == "rows" or (self.needs == "numbers") == (task == "regression")


def read_metric(text: str) -> MetricName:
    """The metric of this name. Raises ValueError, with the nearest known name, for an unknown one."""
    if quantile := _QUANTILE.fullmatch(text):
        return MetricName(text, "numbers", is_loss=True, q=float(quantile[1]))
    if _CUSTOM.fullmatch(text):
        return MetricName(text, "rows", is_loss=False)
    groups: tuple[tuple[Needs, tuple[str, ...]], ...] = (
        ("answers", ANSWERS),
        ("scores", SCORES),
        ("numbers", NUMBERS[:-1]),
    )
    for needs, names in groups:
        if text in names:
            return MetricName(text, needs, is_loss=text in LOSSES)
    known = (*ANSWERS, *SCORES, *NUMBERS[:-1], "quantile_loss(0.9)")
    raise ValueError(f"unknown metric `{text}`{did_you_mean(text, known) or ', or write `module:function`'}")
