"""The rules of the gate, one record a kind, as `[[gate.rule]]` tables say them."""

from typing import Annotated, Literal

import msgspec

from tidegate.project.metric import MetricName, Task, read_metric
from tidegate.project.section import Bytes, Positive, Probability, Section

Mode = Literal["fp_free", "fn_free"]
Severity = Literal["block", "warn"]
Margin = Annotated[float, msgspec.Meta(ge=0)]
Column = Annotated[str, msgspec.Meta(min_length=1)]


class Ruling(Section, frozen=True, kw_only=True):
    """A rule without a metric: a finding of a rule with `severity = "warn"` is shown and never blocks."""

    severity: Severity = "block"


class Measured(Section, frozen=True, kw_only=True):
    """A rule about a metric; `lower_is_better` is for metrics of your own, `module:function`."""

    severity: Severity = "block"
    metric: str = "accuracy"
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown metrics, and another direction than a known metric has."""
        found = read_metric(self.metric)
        if self.lower_is_better and found.needs != "rows":
            raise ValueError(f"lower_is_better is for `module:function`, {self.metric} has its own direction")

    @property
    def named(self) -> MetricName:
        """The metric, with the direction that counts."""
        found = read_metric(self.metric)
        return found._replace(is_loss=found.is_loss or self.lower_is_better)


class Min(Measured, frozen=True, tag_field="kind", tag="min"):
    """The metric is proven to reach `value` (0/1 metrics: exact)."""

    value: float
    mode: Mode = "fp_free"

    def __post_init__(self) -> None:
        """Refuse losses, which have a ceiling."""
        super().__post_init__()
        if self.named.is_loss:
            raise ValueError(f"less is better of {self.metric}, expected a rule of kind `max`")


class Max(Measured, frozen=True, kw_only=True, tag_field="kind", tag="max"):
    """The metric is proven to be at most `value`, for losses and errors."""

    metric: str
    value: float
    mode: Mode = "fp_free"

    def __post_init__(self) -> None:
        """Refuse metrics that have a floor."""
        super().__post_init__()
        if not self.named.is_loss:
            raise ValueError(f"more is better of {self.metric}, expected a rule of kind `min`")

    @property
    def named(self) -> MetricName:
        """The metric; a function of the user's with a ceiling is a loss."""
        found = read_metric(self.metric)
        return found._replace(is_loss=found.is_loss or found.needs == "rows")


class NotWorse(Measured, frozen=True, tag_field="kind", tag="not_worse"):
    """The metric is proven to be at most `margin` worse than the live model's on the same rows."""

    margin: Margin = 0.01
    mode: Mode = "fp_free"


class Better(Measured, frozen=True, tag_field="kind", tag="better"):
    """The metric is proven to be more than `by` better than the live model's on the same rows."""

    by: Margin = 0.0
    mode: Mode = "fp_free"


class Slices(Measured, frozen=True, tag_field="kind", tag="slices"):
    """No slice of at least `min_rows` rows is proven worse than live by more than `margin`.

    With `mode = "pass_only_if_all_proven"` every slice must be proven not to be.
    """

    by: tuple[Column, ...] = ()
    bins: tuple[Annotated[str, msgspec.Meta(pattern=r"^.+:\d+$")], ...] = ()
    where: tuple[Column, ...] = ()
    margin: Margin = 0.0
    min_rows: Positive = 100
    mode: Literal["block_if_proven_worse", "pass_only_if_all_proven"] = "block_if_proven_worse"

    def __post_init__(self) -> None:
        """Refuse a rule that cuts nothing."""
        super().__post_init__()
        if not (self.by or self.bins or self.where):
            raise ValueError("slices need one of `by`, `bins`, `where`")


class Churn(Ruling, frozen=True, tag_field="kind", tag="churn"):
    """At most `max` of the predictions differ from the live model's, numbers by more than `tolerance`."""

    max: Probability
    tolerance: Margin = 0.0
    mode: Mode = "fp_free"


class Quantile(Ruling, frozen=True, kw_only=True, tag_field="kind", tag="quantile"):
    """The `q` quantile of a column of the evaluation rows, such as a latency, is proven to be at most `max`."""

    column: Column
    q: Probability = 0.99
    max: float
    mode: Mode = "fp_free"


class Size(Ruling, frozen=True, tag_field="kind", tag="size"):
    """The model's file is at most `max`."""

    max: Bytes


class Memory(Ruling, frozen=True, tag_field="kind", tag="memory"):
    """A process of its own that loads the model and answers one row grows by at most `max`."""

    max: Bytes


class Distribution(Ruling, frozen=True, tag_field="kind", tag="distribution"):
    """Answers or scores are distributed as the live model's, but for `tolerance`."""

    column: Column = "prediction"
    tolerance: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.05
    severity: Severity = "warn"


class Simpler(Ruling, frozen=True, tag_field="kind", tag="simpler"):
    """The candidate is proven better than the simplest models there are, by more than `by`."""

    than: tuple[Literal["dummy", "linear", "tree"], ...] = ("dummy", "linear", "tree")
    by: Margin = 0.0
    severity: Severity = "warn"


class Labels(Ruling, frozen=True, tag_field="kind", tag="labels"):
    """At most `max` of the truths look wrong by the candidate's own scores (confident learning)."""

    max: Probability = 0.05
    severity: Severity = "warn"


Rule = (
    Min | Max | NotWorse | Better | Slices | Churn | Quantile | Size | Memory
    | Distribution | Simpler | Labels
)  # fmt: skip


class Gate(Section, frozen=True):
    """Who may ship: `error` bounds false passes over `submissions` candidates on one test set.

    The bound counts what is learned from verdicts. `show = "verdict"` lets nothing else leave the gate; with
    `"interval"` it holds for candidates that were not chosen by the numbers shown.
    """

    submissions: Positive = 32
    error: Probability = 0.05
    power: Probability = 0.9
    show: Literal["interval", "verdict"] = "interval"
    rule: tuple[Rule, ...] = (NotWorse(),)


def misfit(gate: Gate, task: Task) -> str:
    """The first metric that answers of this task cannot be measured by; empty when all fit."""
    metrics = (rule.named for rule in gate.rule if isinstance(rule, Measured))
    return next((metric.text for metric in metrics if not metric.fits(task)), "")
