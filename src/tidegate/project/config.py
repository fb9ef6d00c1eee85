"""`tidegate.toml` to frozen records; an omitted key has the default written here."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from tidegate.errors import NotFoundError, UsageError, did_you_mean
from tidegate.project.ci import Ci
from tidegate.project.gate import Gate, misfit
from tidegate.project.log import Log
from tidegate.project.metric import Task
from tidegate.project.runtime import Runtime, Small
from tidegate.project.section import (
    Positive,
    Probability,
    Seconds,
    Section,
    Share,
    read_unit,
    write_unit,
)
from tidegate.project.serve import Serve

CONFIG = "tidegate.toml"


class Project(Section, frozen=True):
    """Who this is: `name` is also the endpoint's and the model's name."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    task: Task = "multiclass"


class Data(Section, frozen=True):
    """Where the pipeline leaves its tables (Parquet or CSV) and the names of their columns.

    Scores are one column `score` (the positive class's, or a list a row) or one column `score_LABEL` a class;
    `labels` are the classes, in the order of a list of scores; `positive` is the one that binary metrics count.
    """

    evaluation: str = "experiments/metrics/evaluation.csv"
    contract: str = "contract.odcs.yaml"
    heldout: str = "data/processed/test.csv"
    id: str = "id"
    truth: str = "truth"
    prediction: str = "prediction"
    label: str = "label"
    score: str = "score"
    labels: tuple[str, ...] = ()
    positive: str = ""


class Model(Section, frozen=True):
    """The artifact that ships, the rows that drift is measured against, names for class indices.

    With a `predictor`, `FILE:CLASS`, the artifact is what that class loads, a file or a folder. Any other model
    is converted to ONNX if at most the share `max_disagreements` of its answers on the held-out rows differs
    and no score by more than `tolerance`.
    """

    path: str = "model/artifacts/model.onnx"
    reference: str = "data/processed/train.csv"
    labels: tuple[str, ...] = ()
    predictor: Annotated[str, msgspec.Meta(pattern=r"^$|^[^:]+\.py:[A-Za-z_]\w*$")] = ""
    convert: Literal["auto", "never", "require"] = "auto"
    tolerance: Small = 1e-5
    max_disagreements: Small = 0.0


class Guard(Section, frozen=True):
    """A metric judged during a rollout.

    Harm is a canary rate above `harm_ratio` times stable's; safe is one proven below `safe_ratio`
    times stable's, or below `ignore_below` at all.
    """

    metric: Literal["error_rate", "wrong_rate"]
    harm_ratio: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    safe_ratio: Annotated[float, msgspec.Meta(gt=1)] = 1.5
    ignore_below: Probability = 0.001


class Rollout(Section, frozen=True):
    """How traffic moves to a candidate and when the machine decides; all traffic follows the last step."""

    steps: Annotated[tuple[Share, ...], msgspec.Meta(min_length=1)] = (Share(0.01), Share(0.05), Share(0.25))
    step_every: Seconds = Seconds(600)
    window: Seconds = Seconds(10)
    max_duration: Seconds = Seconds(86_400)
    on_timeout: Literal["hold", "rollback", "promote"] = "hold"
    harm_error: Probability = 0.05
    safe_error: Probability = 0.05
    guard: Annotated[tuple[Guard, ...], msgspec.Meta(min_length=1)] = (Guard("error_rate"),)

    def __post_init__(self) -> None:
        """Refuse steps that do not rise and guards that would stand in for each other."""
        if any(later <= earlier for earlier, later in pairwise(self.steps)) or self.steps[-1] >= 1:
            raise ValueError("steps must rise and stay below 100%, all traffic follows by promotion")
        metrics = [guard.metric for guard in self.guard]
        twice = next((metric for metric in metrics if metrics.count(metric) > 1), None)
        if twice:
            raise ValueError(f"two guards for `{twice}`, expected one a metric")


class Monitor(Section, frozen=True):
    """Drift and quality of the live model.

    A false drift alarm is expected at most once in `false_alarm_windows` windows, a false
    quality alarm once in `false_alarm_labels` labels; `tolerance` is the loss nobody pages for.
    """

    window: Seconds = Seconds(86_400)
    min_rows: Positive = 100
    sensitivity: Literal["low", "normal", "high"] = "normal"
    false_alarm_windows: Positive = 1000
    false_alarm_labels: Positive = 100_000
    tolerance: Probability = 0.01


class Sign(Section, frozen=True):
    """Whether a bundle without a trusted signature is refused."""

    require: bool = True


class Config(Section, frozen=True):
    """All of `tidegate.toml`."""

    project: Project
    data: Data = Data()
    model: Model = Model()
    gate: Gate = Gate()
    serve: Serve = Serve()
    rollout: Rollout = Rollout()
    monitor: Monitor = Monitor()
    sign: Sign = Sign()
    log: Log = Log()
    ci: Ci = Ci()
    runtime: Runtime = Runtime()

    def __post_init__(self) -> None:
        """Refuse a metric that the task's answers do not have."""
        wrong = misfit(self.gate, self.project.task)
        if wrong:
            raise ValueError(f"gate.rule: metric `{wrong}` does not fit project.task `{self.project.task}`")


def load_config(root: Path) -> Config:
    """Read `tidegate.toml` in `root`.

    Raises NotFoundError without the file and UsageError, naming line and key, for what is wrong in it.
    """
    path = root / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(CONFIG, f"no such file in {root}", hint="tidegate init") from None
    return parse_config(text)


def parse_config(text: str) -> Config:
    """The records in the text of a `tidegate.toml`; errors as in load_config."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(CONFIG, _toml_complaint(error)) from None
    try:
        return msgspec.convert(raw, Config, dec_hook=read_unit)
    except msgspec.ValidationError as error:
        raise _located(str(error), text) from None


def settings(config: Config) -> dict[str, Any]:
    """Every setting by table, in the notation of the file: reading it again gives the same records."""
    found: dict[str, Any] = msgspec.to_builtins(config, enc_hook=write_unit)
    return found


def _toml_complaint(error: tomllib.TOMLDecodeError) -> str:
    match = re.search(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
    return (
        f"line {match[2]}, column {match[3]}: {_lower(match[1])}, expected TOML"
        if match
        else _lower(str(error))
    )


def _located(complaint: str, text: str) -> UsageError:
    """msgspec's complaint in the house form: the key's path and line, then what was expected."""
    message, _, path = complaint.partition(" - at `$")
    keys = re.findall(r"[A-Za-z_]\w*", path)
    unknown = re.match(r"Object contains unknown field `(.+)`", message)
    if unknown:
        name = unknown[1]
        where = ".".join([*keys, name])
        found = f"unknown key{did_you_mean(name, known_keys(keys))}"
        return UsageError(_at_line(text, keys, name), f"{where}: {found}", hint=_show_hint(keys))
    missing = re.match(r"Object missing required field `(.+)`", message)
    if missing:
        where = ".".join([*keys, missing[1]])
        return UsageError(CONFIG, f"{where}: missing, this key is required", hint=f"add `{where}`")
    last = keys[-1] if keys else ""
    return UsageError(
        _at_line(text, keys[:-1], last), f"{'.'.join(keys)}: {_lower(message)}", hint=_show_hint(keys)
    )


def known_keys(path: list[str]) -> list[str]:
    """The keys allowed in the table at `path`, for suggestions and `config show`."""
    kinds: list[Any] = [Config]
    for key in path:
        kinds = [found for kind in kinds for found in _structs_below(kind, key)]
    return sorted({name for kind in kinds for name in _fields(kind)})


def _structs_below(kind: Any, key: str) -> list[Any]:
    annotation = kind.__annotations__.get(key)
    nested = [annotation, *get_args(annotation)]
    nested += [deep for part in nested for deep in get_args(part)]
    return [part for part in nested if isinstance(part, type) and issubclass(part, Section)]


def _fields(kind: Any) -> list[str]:
    tag = [kind.__struct_config__.tag_field] if kind.__struct_config__.tag_field else []
    return [*kind.__struct_fields__, *tag]


def _at_line(text: str, table: list[str], key: str) -> str:
    """`tidegate.toml:LINE`, the first line after the table's header that sets `key`."""
    inside = not table
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([\w.\s]+?)\s*\]+", line):
            inside = header[1] == ".".join(table)
            if header[1] == ".".join([*table, key]):
                return f"{CONFIG}:{number}"
        elif inside and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return f"{CONFIG}:{number}"
    return CONFIG


def _show_hint(keys: list[str]) -> str:
    return (
        f"`tidegate config show {keys[0]}` lists the keys"
        if keys
        else "`tidegate config show` lists the keys"
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
