"""The ledger of a test set: levels, their sum, and what an attacker gets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.stats.budget import level


@pytest.mark.parametrize(("passes", "expected"), [(0, 7.8125e-4), (1, 2.5201612903e-5), (2, 1.2600806452e-6)])
def test_levels_of_32_submissions_equal_the_reference(passes: int, expected: float) -> None:
    assert level(passes, submissions=32, error=0.05) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("passes", [3, 4, 100])
def test_a_spent_budget_grants_no_error(passes: int) -> None:
    assert level(passes, submissions=3, error=0.05) == 0.0


def test_a_single_submission_gets_half_of_the_error() -> None:
    assert level(0, submissions=1, error=0.05) == pytest.approx(0.025)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(submissions=st.integers(1, 200), error=st.floats(1e-6, 0.5))
def test_levels_of_every_reachable_test_sum_to_the_error(submissions: int, error: float) -> None:
    reachable = [math.comb(submissions, j + 1) for j in range(submissions)]
    levels = [level(j, submissions=submissions, error=error) for j in range(submissions)]
    spent = math.fsum(n * x for n, x in zip(reachable, levels, strict=True))
    assert spent == pytest.approx(error * (1 - 2.0**-submissions), rel=1e-9)
    assert spent <= error * (1 + 1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(submissions=st.integers(2, 200), passes=st.integers(0, 198))
def test_more_submissions_or_a_wider_error_never_reverse_the_level(submissions: int, passes: int) -> None:
    granted = level(passes, submissions=submissions, error=0.05)
    assert level(passes, submissions=submissions, error=0.1) == pytest.approx(2 * granted)
    assert 0.0 <= granted <= 0.025
    if passes < submissions:
        assert level(passes, submissions=submissions + 1, error=0.05) <= granted


def test_four_hundred_worthless_submissions_do_not_pass(ceiling) -> None:
    runs, submissions = 20_000, 400
    p_values = np.random.default_rng(11).random((runs, submissions), dtype=np.float32)
    first = level(0, submissions=submissions, error=0.05)
    false_passes = float(np.mean(p_values.min(axis=1) <= first))
    assert 0.015 < false_passes <= ceiling(0.05, runs)
    assert np.mean(p_values[:, :100].min(axis=1) <= 0.05) > 0.99
