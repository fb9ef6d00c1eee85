"""What a rollout will take, against rollouts that are played out."""

import math

import numpy as np
import pytest

from tidegate.domain import Rollout as Progress
from tidegate.project import Guard, Rollout
from tidegate.rollout.measure import Evidence, GuardEvidence
from tidegate.rollout.plan import Expected, expect, remaining
from tidegate.stats.sequential import GRID, arm_log_e, floor_log_e

LOOKS, LIVES = 400, 200


def played(guard: Guard, rate: float, share: float, *, horizon: int) -> float:
    """The mean units until E(safe) reaches 20, in lives whose canary is exactly as good as stable."""
    random = np.random.default_rng(11)
    units = horizon // LOOKS
    canary = random.binomial(units, share, (LIVES, LOOKS))
    events = random.binomial(canary, rate), random.binomial(units - canary, rate)
    arm = [np.array(arm_log_e(*one, share, ratio=guard.safe_ratio, side="safe")) for one in ((1, 0), (0, 1))]
    relative = events[0][..., None] * arm[0] + events[1][..., None] * arm[1]
    floor = [np.array(floor_log_e(*one, floor=guard.ignore_below, side="safe")) for one in ((1, 1), (0, 1))]
    absolute = events[0][..., None] * floor[0] + (canary - events[0])[..., None] * floor[1]
    wealth = np.concatenate([relative, absolute], axis=-1).cumsum(axis=1)
    log_e = np.logaddexp.reduce(wealth, axis=-1) - math.log(2 * len(GRID))
    is_safe = log_e >= math.log(20)
    assert is_safe.any(axis=1).all()
    return float(np.mean(is_safe.argmax(axis=1) + 1)) * units


@pytest.mark.parametrize(
    ("rate", "share", "ratio"),
    [
        (0.05, 0.5, 1.5),
        (0.05, 0.25, 1.5),
        (0.05, 0.01, 1.5),
        (0.01, 0.5, 3.0),
        (0.2, 0.1, 2.0),
        (0.0002, 0.25, 1.5),
        (0.0, 0.25, 1.5),
    ],
)
def test_the_units_expected_are_those_that_rollouts_take_within_a_factor_of_two(rate, share, ratio) -> None:
    guard = Guard("error_rate", safe_ratio=ratio)
    settings = Rollout(steps=(0.001, share), guard=(guard,))
    (expected,) = expect(settings, {"error_rate": rate})
    took = played(guard, rate, share, horizon=5 * expected.units)
    assert expected.units / 2 <= took <= expected.units * 2


def test_each_guard_has_its_own_base_rate_and_zero_where_none_is_given() -> None:
    guards = (Guard("error_rate"), Guard("wrong_rate", safe_ratio=1.2))
    found = expect(Rollout(steps=(0.1, 0.5), guard=guards), {"wrong_rate": 0.05})
    assert [(one.metric, one.base_rate) for one in found] == [("error_rate", 0.0), ("wrong_rate", 0.05)]
    assert found[0].units == expect(Rollout(steps=(0.5,)), {"error_rate": 0.0})[0].units


def test_without_events_only_the_floor_can_tell() -> None:
    settings = Rollout(steps=(0.5,), guard=(Guard("error_rate", ignore_below=0.01),))
    growth = 0.5 * max(floor_log_e(0, 1, floor=0.01, side="safe"))
    assert expect(settings, {"error_rate": 0.0})[0].units == math.ceil(math.log(400) / growth)


def found(safe: float, *, weight: float = 0.5) -> tuple[Expected, ...]:
    """What remains for two guards, the second of which is through."""
    settings = Rollout(guard=(Guard("error_rate"), Guard("wrong_rate")))
    guards = (
        GuardEvidence("error_rate", 1, 100, 1, 100, log_safe=safe),
        GuardEvidence("wrong_rate", 5, 100, 5, 100, log_safe=3.1),
    )
    rollout = Progress("r", "e", "s", "c", (weight,), 0, weight, "running", 0.0, 0.0)
    return remaining(settings, rollout, Evidence(guards, 0.0))


def test_what_remains_is_told_for_the_guards_that_are_not_through() -> None:
    (left,) = found(0.0)
    assert (left.metric, left.base_rate) == ("error_rate", 0.01)


def test_evidence_at_hand_shortens_what_remains_and_a_small_share_lengthens_it() -> None:
    assert found(1.5)[0].units < found(0.0)[0].units < found(0.0, weight=0.1)[0].units
    assert found(-4.0) == found(0.0)


@pytest.mark.parametrize(
    ("easier", "harder"),
    [
        ({"safe_ratio": 2.0}, {"safe_ratio": 1.2}),
        ({"rate": 0.1}, {"rate": 0.01}),
        ({"share": 0.5}, {"share": 0.05}),
        ({"error": 0.1}, {"error": 0.001}),
    ],
)
def test_more_is_needed_for_a_closer_ratio_rarer_events_a_smaller_share_and_a_smaller_error(
    easier, harder
) -> None:
    def units(rate=0.05, share=0.5, error=0.05, **ratio):
        settings = Rollout(steps=(share,), safe_error=error, guard=(Guard("wrong_rate", **ratio),))
        return expect(settings, {"wrong_rate": rate})[0].units

    assert units(**easier) < units(**harder)
