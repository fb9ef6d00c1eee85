"""The split of traffic: the weight's share, the same unit on the same arm, every rollout its own draw."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.serve.route import Arm, Route, choose, position, with_version

LAW = settings(max_examples=100, deadline=None, derandomize=True)
WEIGHTS = st.floats(0.0, 1.0)
WORDS = st.text(max_size=40)


@pytest.fixture(scope="module")
def route(fake_model):
    """`route(weight, salt)`: version 3 is stable, version 4 the canary."""
    stable, canary = Arm(fake_model("s"), "stable", 3, 7), Arm(fake_model("c"), "canary", 4, 7)
    return lambda weight, salt="r1": Route("digits", stable, canary, weight, salt)


def canaries(route: Route, units: list[str]) -> list[bool]:
    return [choose(route, unit).role == "canary" for unit in units]


def bound(n: int, share: float) -> float:
    """Six standard deviations of a binomial count: one in 10^9 examples is beyond."""
    return 6 * math.sqrt(n * share * (1 - share)) + 1


@LAW
@given(st.floats(0.01, 0.99), st.integers(0, 2**32), WORDS)
def test_the_canary_takes_the_weights_share_of_units(route, weight: float, seed: int, salt: str) -> None:
    source = random.Random(seed)
    units = [f"user-{source.getrandbits(64)}" for _ in range(1000)]
    taken = sum(canaries(route(weight, salt), units))
    assert abs(taken - 1000 * weight) < bound(1000, weight)


def test_numbered_users_are_split_as_evenly_as_random_ones(route) -> None:
    units = [str(number) for number in range(10_000)]
    assert abs(sum(canaries(route(0.1), units)) - 1000) < bound(10_000, 0.1)


@LAW
@given(WEIGHTS, WEIGHTS, WORDS, WORDS)
def test_once_canary_canary_at_every_greater_weight(route, one: float, other: float, unit, salt) -> None:
    low, high = sorted((one, other))
    if choose(route(low, salt), unit).role == "canary":
        assert choose(route(high, salt), unit).role == "canary"


@LAW
@given(WORDS, WORDS)
def test_a_unit_stands_in_one_place_between_0_and_1(unit: str, salt: str) -> None:
    assert 0.0 <= position(salt, unit) < 1.0
    assert position(salt, unit) == position(salt, unit)


@LAW
@given(WORDS, WORDS)
def test_no_weight_takes_nobody_and_the_whole_weight_everybody(route, unit: str, salt: str) -> None:
    assert choose(route(0.0, salt), unit).role == "stable"
    assert choose(route(1.0, salt), unit).role == "canary"


@pytest.mark.parametrize(("one", "other"), [(f"r{i}", f"r{i + 1}") for i in range(8)])
def test_assignments_under_different_salts_are_independent(route, one: str, other: str) -> None:
    units = [f"user-{number}" for number in range(4000)]
    for weight in (0.2, 0.5):
        first, second = canaries(route(weight, one), units), canaries(route(weight, other), units)
        both = sum(a and b for a, b in zip(first, second, strict=True))
        assert abs(both - 4000 * weight**2) < bound(4000, weight**2)


def test_a_rollouts_id_of_any_length_is_a_salt(route) -> None:
    assert 0.0 <= position("", "u") < 1.0
    assert position("r" * 64, "u") != position("r" * 63, "u")
    assert 0.0 <= position("ü" * 200, "u") < 1.0


def test_without_a_canary_everybody_is_stable(route) -> None:
    alone = replace(route(1.0), canary=None)
    assert not any(canaries(alone, [str(number) for number in range(100)]))


@pytest.mark.parametrize(
    ("version", "role"), [("3", "stable"), ("4", "canary"), ("5", None), ("03", None), ("", None)]
)
def test_a_version_names_its_arm(route, version: str, role: str | None) -> None:
    arm = with_version(route(0.1), version)
    assert (arm.role if arm else None) == role


def test_a_version_that_is_not_served_names_none(route) -> None:
    assert with_version(replace(route(0.1), canary=None), "4") is None
