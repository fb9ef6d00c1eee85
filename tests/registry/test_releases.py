"""The way back: every rollback goes one step further, never forward."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain import ModelVersion, Release
from tidegate.registry.releases import next_version, previous_bundle
from tidegate.store.state import State

# a letter is a promotion of that bundle, "<" a rollback
HISTORIES = st.lists(st.sampled_from("abcd<"), max_size=12)


def released(bundles) -> State:
    """The state after releases of these bundles, one after the other."""
    releases = (
        Release(number, bundle, "digits", "promoted", float(number))
        for number, bundle in enumerate(bundles, start=1)
    )
    return State(releases=tuple(releases))


def rolled_back(bundles):
    """The releases after one rollback; the same ones when nothing came before."""
    target = previous_bundle(released(bundles))
    return bundles if target is None else [*bundles, target]


def replayed(history):
    """The bundles of the releases of a history in which nothing live is released again."""
    bundles = []
    for turn in history:
        if turn == "<":
            bundles = rolled_back(bundles)
        elif not bundles or bundles[-1] != turn:
            bundles = [*bundles, turn]
    return bundles


@pytest.mark.parametrize(
    ("bundles", "previous"),
    [
        ("", None),
        ("a", None),
        ("ab", "a"),
        ("abc", "b"),
        ("abcb", "a"),
        ("abcba", None),
        ("abcbd", "b"),
        ("aba", None),
        ("abab", "a"),
        ("aa", None),
        ("abcac", "a"),
    ],
)
def test_the_previous_bundle_is_what_the_live_one_took_over_from(bundles, previous) -> None:
    assert previous_bundle(released(bundles)) == previous


def test_rolling_back_twice_goes_two_steps_back() -> None:
    once = rolled_back(list("abcd"))
    twice = rolled_back(once)
    assert (once[-1], twice[-1]) == ("c", "b")


@given(history=HISTORIES)
def test_rolling_back_again_and_again_never_comes_forward_and_ends(history) -> None:
    bundles = replayed(history)
    seen = bundles[-1:]
    while (target := previous_bundle(released(bundles))) is not None:
        assert target not in seen
        seen.append(target)
        bundles = [*bundles, target]
    assert seen[-1:] == bundles[:1]


@given(history=HISTORIES, fresh=st.just("z"))
def test_a_rollback_undoes_exactly_the_promotion_of_a_new_bundle(history, fresh) -> None:
    before = replayed(history)
    after = rolled_back([*before, fresh])
    assert after[-1] == (before[-1] if before else fresh)
    assert previous_bundle(released(after)) == previous_bundle(released(before))


@given(history=HISTORIES)
def test_what_is_live_is_never_the_way_back(history) -> None:
    bundles = replayed(history)
    assert previous_bundle(released(bundles)) != (bundles[-1] if bundles else "")


@pytest.mark.parametrize(("numbers", "expected"), [((), 1), ((1,), 2), ((1, 2, 3), 4), ((7, 2), 8)])
def test_versions_count_up_from_one(numbers, expected) -> None:
    versions = tuple(ModelVersion("digits", n, f"b{n}", "c" * 40, "d" * 64) for n in numbers)
    assert next_version(State(versions=versions)) == expected
