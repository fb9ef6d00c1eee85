"""The ledger of a test set: levels, their sum, and what an attacker gets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tidegate.stats.budget import Account, Grant, balance, error_left, level, next_level, record


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


def test_the_account_is_a_fold_over_verdicts() -> None:
    grant = Grant(32, 0.05)
    account = balance([False, True, False])
    assert account == Account(3, 1) == record(balance([False, True]), passed=False)
    assert next_level(account, grant) == level(1, submissions=32, error=0.05)
    assert next_level(balance([]), grant) == pytest.approx(7.8125e-4)
    assert next_level(Account(32, 0), grant) == next_level(Account(400, 7), grant) == 0.0


def test_a_fresh_account_has_all_of_its_error_left_and_a_spent_one_none() -> None:
    grant = Grant(32, 0.05)
    assert error_left(Account(), grant) == pytest.approx(0.05)
    assert error_left(Account(1, 0), grant) == pytest.approx(0.05 * (1 - 1 / 16))
    assert error_left(Account(31, 0), grant) == next_level(Account(31, 0), grant)
    assert error_left(Account(32, 2), grant) == error_left(Account(40, 2), grant) == 0.0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(verdicts=st.lists(st.booleans(), max_size=40), submissions=st.integers(1, 60))
def test_every_submission_spends_at_least_its_level_whatever_its_verdict(verdicts, submissions) -> None:
    """What is left before a test covers the test, all that follows a pass and all that follows a block."""
    grant = Grant(submissions, 0.05)
    account = balance(verdicts)
    passed, blocked = (error_left(record(account, passed=verdict), grant) for verdict in (True, False))
    left = error_left(account, grant)
    assert left == pytest.approx(next_level(account, grant) + passed + blocked, rel=1e-9, abs=1e-18)


def test_an_attacker_who_learns_from_verdicts_passes_falsely_as_rarely_as_promised(ceiling) -> None:
    """Each submission keeps the flips of rows that passed so far, on a test set of 400 fair coins."""
    rng, runs, grant, n = np.random.default_rng(12), 300, Grant(40, 0.05), 400
    broken = 0
    for _ in range(runs):
        account, kept = Account(), np.zeros(n)
        for _ in range(grant.submissions):
            trial = kept + rng.normal(size=n)
            z = rng.normal(size=n) @ trial / np.linalg.norm(trial)
            passed = bool(norm.sf(z) <= next_level(account, grant))
            kept, broken = (trial, broken + 1) if passed else (kept, broken)
            account = record(account, passed=passed)
    assert broken / runs <= ceiling(0.05, runs)
