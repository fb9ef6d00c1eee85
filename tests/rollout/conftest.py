"""Rollouts in the middle of their way, and rows of the log as the gateways write them."""

import math
from collections.abc import Callable, Sequence

import pytest

from tidegate.domain import Label, Prediction, Rollout
from tidegate.project import Rollout as Settings
from tidegate.rollout.measure import Evidence, GuardEvidence

STABLE, CANDIDATE = "stable" * 10, "candidate" * 7
BUNDLES = {"stable": STABLE, "canary": CANDIDATE}
STARTED = 1000.0


def make_rollout(steps: Sequence[float] = (0.1, 0.5), **changed: object) -> Rollout:
    """A rollout that started at 1000 s and has just taken its first step."""
    fields = {
        "id": "r1",
        "endpoint": "digits",
        "stable": STABLE,
        "candidate": CANDIDATE,
        "steps": tuple(steps),
        "step": 0,
        "weight": steps[0],
        "phase": "running",
        "started": STARTED,
        "stepped": STARTED,
    }
    return Rollout(**{**fields, **changed})


def make_row(at: float, unit: str, role: str = "stable", **changed: object) -> Prediction:
    """A logged answer `a`, `at` seconds after the rollout's start, whose request is named by unit and time."""
    fields = {
        "request": f"{unit}@{at}",
        "at": STARTED + at,
        "unit": unit,
        "endpoint": "digits",
        "bundle": BUNDLES[role],
        "role": role,
        "inputs": (),
        "output": "a",
        "scores": (),
        "latency_ms": 1.0,
        "status": 200,
    }
    return Prediction(**{**fields, **changed})


def make_label(row: Prediction, at: float, truth: str = "a") -> Label:
    """The truth of a row, which came `at` seconds after the rollout's start."""
    return Label(row.request, STARTED + at, truth)


def make_evidence(harm: float = 0.0, safe: Sequence[float] = (0.0,), units: int = 400) -> Evidence:
    """E-values `harm`, and one `safe` for each guard; a tenth of the units are the canary's."""
    metrics = ("error_rate", "wrong_rate")[: len(safe)]
    guards = tuple(
        GuardEvidence(metric, 3, units // 10, 9, units - units // 10, math.log(harm or 1), math.log(e or 1))
        for metric, e in zip(metrics, safe, strict=True)
    )
    return Evidence(guards, math.log(harm or 1))


@pytest.fixture(scope="session")
def rollout() -> Callable[..., Rollout]:
    return make_rollout


@pytest.fixture(scope="session")
def row() -> Callable[..., Prediction]:
    return make_row


@pytest.fixture(scope="session")
def label() -> Callable[..., Label]:
    return make_label


@pytest.fixture(scope="session")
def evidence() -> Callable[..., Evidence]:
    return make_evidence


@pytest.fixture(scope="session")
def ceiling() -> Callable[[float, int], float]:
    """The largest share of alarms that `lives` simulations may show when the truth is at most `error`."""
    return lambda error, lives: error + 3 * math.sqrt(error * (1 - error) / lives)


@pytest.fixture(scope="session")
def policy() -> Callable[..., Settings]:
    """Settings with a step every 10 s and a window of 1 s."""

    def make(**changed: object) -> Settings:
        return Settings(**{"step_every": 10.0, "window": 1.0, "max_duration": 1000.0, **changed})

    return make
