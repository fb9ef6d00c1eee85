"""The nouns of tidegate, top to bottom as one picture; every record names its cause.

    Run -> Evaluation -> Decision -> ModelVersion -> Release -> Rollout -> Prediction, Label -> Alert

Times are seconds since the epoch (UTC); digests are lower-case hexadecimal SHA-256 unless said.
"""

from typing import Literal

import msgspec

Verdict = Literal["pass", "block", "underpowered", "hold"]
Guarantee = Literal["exact", "asymptotic", "model-based"]
Role = Literal["stable", "canary"]
Phase = Literal["running", "paused", "held", "promoted", "rolled_back"]
Severity = Literal["page", "ticket"]

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


class Evaluation(Record, frozen=True):
    """Evaluation rows reduced to what a decision needs; `metrics` are point estimates."""

    test_set: str
    rows: str
    n: int
    metrics: dict[str, float]


class Finding(Record, frozen=True):
    """What one check found, in numbers and in a sentence."""

    check: str
    verdict: Verdict
    estimate: float
    low: float
    high: float
    n: int
    n_needed: int | None
    because: str
    guarantee: Guarantee = "exact"


class Decision(Record, frozen=True):
    """The verdict on a candidate: `error` is the alpha this submission was tested at.

    `candidate` and `baseline` are digests of evaluation rows, `rules` is the digest of the gate's settings.
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


class Prediction(msgspec.Struct, frozen=True, array_like=True):
    """One answered request row, as logged before the reply was sent.

    `inputs` is the flat row, `output` the answer as rendered (None when `status` is not 200),
    `scores` the class scores when the model gives them, `status` the HTTP status.
    """

    request: str
    at: float
    unit: str
    endpoint: str
    bundle: str
    role: Role
    inputs: tuple[float, ...]
    output: str | int | float | None
    scores: tuple[float, ...]
    latency_ms: float
    status: int


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
