"""The nouns of tidegate, top to bottom as one picture; every record names its cause.

    Run -> Evaluation -> Decision -> ModelVersion -> Release -> Rollout -> Prediction, Label -> Alert

Times are seconds since the epoch (UTC); digests are lower-case hexadecimal SHA-256 unless said.
"""

import math
from typing import Literal

import msgspec

Verdict = Literal["pass", "block", "underpowered", "hold"]
Guarantee = Literal["exact", "asymptotic", "model-based"]
Role = Literal["stable", "canary"]
Phase = Literal["running", "paused", "held", "promoted", "rolled_back"]
Severity = Literal["page", "ticket"]
Consequence = Literal["block", "warn"]
AccessRole = Literal["predict", "label", "operate"]
Unit = Literal["share", "points", "number", "bytes"]

TERMINAL_PHASES = frozenset({"promoted", "rolled_back"})


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen record; reading one with an unknown field is an error."""


class Run(Record, frozen=True):
    """One `repro` that executed at least one stage: what went in and what came out.

    `deps` and `outs` map a path to its DVC hash (md5), `params` maps `file:key` to a value.
    """

    id: str
    commit: str
    stages: tuple[str, ...]
    params: dict[str, object]
    deps: dict[str, str]
    outs: dict[str, str]
    started: float
    ended: float


class Measure(Record, frozen=True):
    """A metric's value on a test set with its interval, which errs with probability 5 % on either side."""

    value: float
    low: float | None
    high: float | None
    guarantee: Guarantee = "asymptotic"
    method: str = ""


class Evaluation(Record, frozen=True):
    """One model on a test set: digests of the test set and of the rows, and what was measured, by metric.

    `missing` says of each metric that could not be computed why not.
    """

    test_set: str
    rows: str
    n: int
    task: str
    metrics: dict[str, Measure]
    missing: dict[str, str] = {}


class Finding(Record, frozen=True):
    """What one check found, in numbers and in a sentence.

    `estimate` with its interval is what `bound` is held against: a difference from live where there is one,
    else the value itself; `candidate` and `live` are the two values. Numbers are None where the gate shows
    only verdicts, and an end of an interval where it is infinite. A finding whose `severity` is `warn` has no
    part in the decision. `error` is the level of the test, `null` what it tried to refute, in words.
    """

    check: str
    verdict: Verdict
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    n_needed: int | None
    because: str
    guarantee: Guarantee = "exact"
    severity: Consequence = "block"
    kind: str = ""
    metric: str = ""
    slice: str = ""
    unit: Unit = "number"
    candidate: float | None = None
    live: float | None = None
    bound: float | None = None
    error: float | None = None
    p: float | None = None
    log_e: float | None = None
    method: str = ""
    null: str = ""
    counts: dict[str, int] = {}


class Decision(Record, frozen=True):
    """The verdict on a candidate: `error` is the alpha this submission was tested at.

    `candidate` and `baseline` are digests of evaluation rows, `rules` is the digest of the gate's settings.
    `show` says whether the numbers of the findings left the gate or only its verdicts.
    """

    candidate: str
    baseline: str | None
    test_set: str
    rules: str
    commit: str
    findings: tuple[Finding, ...]
    verdict: Verdict
    error: float
    submission: int
    at: float
    n: int = 0
    show: Literal["interval", "verdict"] = "interval"


class ModelVersion(Record, frozen=True):
    """A registered bundle: `digest` names its directory, `decision` the ledger's hash of the verdict."""

    name: str
    version: int
    digest: str
    commit: str
    decision: str


class Release(Record, frozen=True):
    """A bundle put in front of traffic; releases are numbered from 1 and never renumbered."""

    number: int
    bundle: str
    endpoint: str
    cause: Literal["first", "promoted", "rollback"]
    at: float


class Rollout(Record, frozen=True):
    """A candidate on its way: `steps` are canary shares below 1, `weight` is the share right now."""

    id: str
    endpoint: str
    stable: str
    candidate: str
    steps: tuple[float, ...]
    step: int
    weight: float
    phase: Phase
    started: float
    stepped: float
    because: str = ""


class AccessKey(Record, frozen=True):
    """What a client of the gateway may do: `sha256` is the digest of its token, `rate` its requests a second."""

    name: str
    sha256: str
    roles: tuple[AccessRole, ...]
    rate: float | None
    at: float


class TensorSpec(msgspec.Struct, frozen=True, gc=False):
    """A tensor that a model takes or gives, in the words of the Open Inference Protocol.

    `shape` begins with -1, the rows; of an input, `start` is the column of a row where its values begin.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    start: int = 0

    @property
    def width(self) -> int:
        """How many columns of a row it takes."""
        return math.prod(self.shape[1:])


class Prediction(msgspec.Struct, frozen=True, array_like=True):
    """One answered request row, as logged before the reply was sent.

    `inputs` is the flat row (NaN is a missing number, None a missing text or one that is not kept), `output` the
    answer as rendered (None when `status` is not 200), `scores` the class scores when the model gives them,
    `status` the HTTP status, `flags` the rules of the contract that the row breaks although it is served, as
    `column rule`.
    """

    request: str
    at: float
    unit: str
    endpoint: str
    bundle: str
    role: Role
    inputs: tuple[float | str | None, ...]
    output: str | int | float | None
    scores: tuple[float, ...]
    latency_ms: float
    status: int
    flags: tuple[str, ...] = ()


class Label(msgspec.Struct, frozen=True, array_like=True):
    """The late truth of one prediction; `at` is when it arrived."""

    request: str
    at: float
    truth: str | int | float


class Alert(Record, frozen=True):
    """Something a person should know; drift is a `ticket`, lost quality a `page`."""

    kind: Literal["drift", "performance", "log"]
    subject: str
    severity: Severity
    because: str
    since: float


class Event(Record, frozen=True):
    """One line of the ledger; `hash` covers every other field and so the whole past."""

    seq: int
    at: float
    kind: str
    subject: str
    body: dict[str, object]
    previous: str
    hash: str


def agree(one: str | int | float, other: str | int | float) -> bool:
    """Whether two answers are the same class: 3, 3.0 and "3" agree."""
    return _as_text(one) == _as_text(other)


def _as_text(answer: str | int | float) -> str:
    return str(int(answer)) if isinstance(answer, float) and answer.is_integer() else str(answer)
