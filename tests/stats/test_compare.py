"""Holm's adjustment against statsmodels, and the mixture e-value of paired outcomes."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial, norm
from statsmodels.stats.multitest import multipletests

from tidegate.stats.compare import all_proven, benjamini_hochberg, holm, mixture_log_e
from tidegate.stats.exact import paired_p

LAW = settings(max_examples=60, deadline=None, derandomize=True)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize("seed", range(4))
def test_holm_equals_statsmodels_on_25_p_values(seed: int) -> None:
    p_values = np.random.default_rng(seed).random(25) ** (1 + 2 * seed)
    _, expected, _, _ = multipletests(p_values, method="holm")
    assert holm(list(p_values)) == pytest.approx(list(expected), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_benjamini_hochberg_equals_statsmodels_on_25_p_values(seed: int) -> None:
    p_values = np.random.default_rng(seed).random(25) ** (1 + 2 * seed)
    _, expected, _, _ = multipletests(p_values, method="fdr_bh")
    assert benjamini_hochberg(list(p_values)) == pytest.approx(list(expected), rel=1e-12)


@LAW
@given(p_values=P_VALUES)
def test_benjamini_hochberg_lies_between_the_p_value_and_holm(p_values) -> None:
    found = benjamini_hochberg(p_values)
    assert all(p <= b + 1e-15 for p, b in zip(p_values, found, strict=True))
    assert all(b <= h + 1e-12 for b, h in zip(found, holm(p_values), strict=True))
    assert benjamini_hochberg(p_values[::-1]) == found[::-1]


def test_no_claims_have_no_p_values() -> None:
    assert benjamini_hochberg([]) == []
    assert all_proven([]) == 1.0


def test_all_claims_are_proven_when_the_weakest_is_and_need_no_correction(ceiling) -> None:
    """Nine claims hold and one is at its boundary: the worst case of an intersection-union test."""
    assert all_proven([0.01, 0.04, 0.02]) == 0.04
    z = np.random.default_rng(8).normal(size=(5_000, 10))
    z[:, 1:] += 8.0
    passed = np.mean([all_proven(list(row)) <= 0.05 for row in norm.sf(z)])
    assert 0.04 <= passed <= ceiling(0.05, 5_000)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_holm_of_small_families(p_values, expected) -> None:
    assert holm(p_values) == pytest.approx(expected)


@LAW
@given(p_values=P_VALUES)
def test_holm_keeps_the_order_and_lies_between_the_p_value_and_bonferroni(p_values) -> None:
    adjusted = holm(p_values)
    for raw, found in zip(p_values, adjusted, strict=True):
        assert raw <= found <= 1.0
    assert min(adjusted) == min(1.0, len(p_values) * min(p_values))
    ranked = [found for _, found in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)
    assert holm(p_values[::-1]) == adjusted[::-1]


@LAW
@given(p_values=P_VALUES, at=st.integers(0, 11), factor=st.floats(0, 1))
def test_holm_never_rises_when_a_p_value_falls(p_values, at, factor) -> None:
    before = holm(p_values)
    p_values[at % len(p_values)] *= factor
    assert all(new <= old for new, old in zip(holm(p_values), before, strict=True))


def test_holm_bounds_the_error_of_a_family_in_which_half_is_true(ceiling) -> None:
    runs = 3_000
    z = np.random.default_rng(5).normal(size=(runs, 12))
    z[:, 6:] += 3.0
    p_values = norm.sf(z)
    wrong = np.mean([min(holm(list(row))[:6]) <= 0.05 for row in p_values])
    assert wrong <= ceiling(0.05, runs)
    assert np.mean(p_values[:, :6].min(axis=1) <= 0.05) > 0.2


def test_mixture_log_e_equals_the_reference() -> None:
    assert mixture_log_e(60, 1890, 50, margin=0.02) == pytest.approx(8.09812019, abs=5e-9)


def test_no_rows_are_no_evidence() -> None:
    assert mixture_log_e(0, 0, 0, margin=0.02) == pytest.approx(0.0, abs=1e-15)


@LAW
@given(counts=st.tuples(*[st.integers(0, 10**6)] * 3), margin=st.floats(0, 0.5, exclude_max=True))
def test_mixture_log_e_rises_with_gained_and_falls_with_lost_rows(counts, margin) -> None:
    gained, same, lost = counts
    here = mixture_log_e(gained, same, lost, margin=margin)
    assert math.isfinite(here)
    assert mixture_log_e(gained + 1, same, lost, margin=margin) > here
    assert mixture_log_e(gained, same, lost + 1, margin=margin) < here


@pytest.mark.parametrize(("margin", "share"), [(0.0, 0.2), (0.02, 0.1), (0.1, 0.1), (0.3, 0.9)])
def test_mixture_e_value_has_expectation_one_at_the_boundary(margin: float, share: float) -> None:
    assert expectation(share, -margin, margin=margin) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("difference", "margin"), [(-0.05, 0.02), (-0.2, 0.0), (-0.03, 0.02)])
def test_mixture_e_value_has_expectation_below_one_inside_the_null(difference, margin) -> None:
    assert expectation(0.25, difference, margin=margin) < 1.0


def test_mixture_e_value_grows_where_the_null_is_false() -> None:
    assert expectation(0.25, 0.05, margin=0.02) > 1.02


def expectation(share: float, difference: float, *, margin: float) -> float:
    """The mean of the e-value over 24 paired rows, of which `share` differ, by enumeration."""
    n, better, worse = 24, (share + difference) / 2, (share - difference) / 2
    outcomes = [(g, n - g - w, w) for g, w in product(range(n + 1), repeat=2) if g + w <= n]
    chances = multinomial.pmf(outcomes, n, [better, 1 - share, worse])
    return math.fsum(
        chance * math.exp(mixture_log_e(*counts, margin=margin))
        for counts, chance in zip(outcomes, chances, strict=True)
    )


def test_looking_again_and_again_does_not_break_the_error(ceiling) -> None:
    runs, looks, step, margin = 600, 12, 60, 0.02
    rng = np.random.default_rng(6)
    counts = rng.multinomial(step, [0.04, 0.9, 0.06], size=(runs, looks)).cumsum(axis=1)
    alarms = [any(mixture_log_e(*look, margin=margin) >= math.log(20) for look in run) for run in counts]
    assert np.mean(alarms) <= ceiling(0.05, runs)


def test_looking_again_and_again_breaks_the_error_of_the_fixed_test() -> None:
    counts = np.random.default_rng(7).multinomial(40, [0.08, 0.8, 0.12], size=(24, 10)).cumsum(axis=1)
    alarms = [any(paired_p(g, w, g + s + w, margin=0.04) <= 0.1 for g, s, w in run) for run in counts]
    assert np.mean(alarms) > 0.2
