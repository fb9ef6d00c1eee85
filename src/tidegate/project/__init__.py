"""`tidegate.toml`, the policy of a project, as frozen records."""

from tidegate.project.ci import Ci
from tidegate.project.config import (
    CONFIG,
    Config,
    Data,
    Guard,
    Model,
    Monitor,
    Project,
    Rollout,
    Sign,
    known_keys,
    load_config,
    parse_config,
    settings,
)
from tidegate.project.gate import (
    Better,
    Churn,
    Distribution,
    Gate,
    Labels,
    Max,
    Measured,
    Memory,
    Min,
    NotWorse,
    Quantile,
    Rule,
    Simpler,
    Size,
    Slices,
)
from tidegate.project.log import Log
from tidegate.project.metric import MetricName, Task, read_metric
from tidegate.project.runtime import Runtime
from tidegate.project.section import Bytes, Positive, Probability, Seconds, Section, Share, write_unit
from tidegate.project.serve import Serve

__all__ = [
    "CONFIG", "Better", "Bytes", "Churn", "Ci", "Config", "Data", "Distribution", "Gate", "Guard",
    "Labels", "Log", "Max", "Measured", "Memory", "MetricName", "Min", "Model", "Monitor", "NotWorse",
    "Positive", "Probability", "Project", "Quantile", "Rollout", "Rule", "Runtime", "Seconds",
    "Section", "Serve", "Share", "Sign", "Simpler", "Size", "Slices", "Task", "known_keys",
    "load_config", "parse_config", "read_metric", "settings", "write_unit",
]  # fmt: skip
