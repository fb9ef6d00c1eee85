"""Planners: published label counts, and the power that the planned labels really have."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from tidegate.stats import power
from tidegate.stats.betting import prove_mean
from tidegate.stats.exact import clopper_pearson, paired_p
from tidegate.stats.power import (
    Guess,
    Truth,
    bennett_labels,
    betting_labels,
    easeml_labels,
    floor_labels,
    normal_labels,
    paired_labels,
    paired_power,
)

LAW = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("accuracy", "tolerance", "variables", "candidates", "expected"),
    [
        (0.99, 0.1, 1, 32, 404),
        (0.99, 0.1, 1, 2**32, 1340),
        (0.99, 0.1, 2, 32, 1753),
        (0.99, 0.1, 2, 2**32, 5496),
        (0.9999, 0.01, 1, 32, 63381),
        (0.9999, 0.01, 1, 2**32, 156956),
    ],
)
def test_easeml_labels_equal_the_published_table(
    accuracy, tolerance, variables, candidates, expected
) -> None:
    found = easeml_labels(accuracy, tolerance=tolerance, variables=variables, candidates=candidates)
    assert found == expected


def test_another_clause_costs_as_much_as_twice_the_candidates() -> None:
    two_clauses = easeml_labels(0.99, tolerance=0.1, clauses=2, candidates=32)
    assert two_clauses == easeml_labels(0.99, tolerance=0.1, candidates=64) == 439


@pytest.mark.parametrize(("candidates", "expected"), [(32, 29048), (2**32, 67706)])
def test_bennett_labels_equal_the_published_table(candidates: int, expected: int) -> None:
    assert bennett_labels(0.9999, tolerance=0.01, disagreement=0.1, candidates=candidates) == expected


@LAW
@given(tolerance=st.floats(0.01, 0.2), candidates=st.integers(1, 10**6))
def test_bounds_ask_for_more_labels_when_more_is_promised(tolerance: float, candidates: int) -> None:
    few = easeml_labels(0.95, tolerance=tolerance, candidates=candidates)
    assert few <= easeml_labels(0.99, tolerance=tolerance, candidates=candidates)
    assert few <= easeml_labels(0.95, tolerance=tolerance / 2, candidates=candidates)
    bennett = bennett_labels(0.95, tolerance=tolerance, disagreement=0.2, candidates=candidates)
    assert bennett <= bennett_labels(0.95, tolerance=tolerance, disagreement=0.3, candidates=candidates)
    assert bennett <= bennett_labels(0.95, tolerance=tolerance, disagreement=0.2, candidates=candidates + 1)


def test_the_exact_test_needs_a_fraction_of_the_labels_of_the_bounds() -> None:
    found = paired_labels(0.1, margin=0.02, error=0.05)
    assert found == 2168
    assert found < bennett_labels(0.95, tolerance=0.02, disagreement=0.1)
    assert found < easeml_labels(0.95, tolerance=0.02, variables=2) / 8


@pytest.mark.parametrize(("margin", "shift"), [(0.0, 0.0), (0.02, -0.02), (-0.05, 0.05), (-0.1, 0.0)])
def test_no_number_of_labels_shows_what_is_not_so(margin: float, shift: float) -> None:
    assert paired_labels(0.1, margin=margin, error=0.05, shift=shift) is None


@pytest.mark.parametrize(
    ("disagreement", "margin", "shift", "promised"),
    [(0.2, 0.12, 0.0, 0.9), (0.3, 0.15, 0.0, 0.8), (0.3, 0.0, 0.15, 0.9), (0.25, -0.02, 0.2, 0.9)],
)
def test_planned_pairs_pass_with_the_power_promised(disagreement, margin, shift, promised) -> None:
    n = paired_labels(disagreement, margin=margin, error=0.05, power=promised, shift=shift)
    assert n is not None
    assert promised - 0.02 <= passing(n, disagreement, shift, margin=margin) <= promised + 0.05
    assert passing(n // 2, disagreement, shift, margin=margin) < promised - 0.1


def passing(n: int, share: float, difference: float, *, margin: float) -> float:
    """The probability that the exact test at 5 % passes, over the likely numbers of discordant rows."""
    spread = 3.5 * math.sqrt(n * share * (1 - share))
    total, gained = 0.0, 0
    for m in range(max(0, int(n * share - spread)), min(n, int(n * share + spread)) + 1):
        while gained <= m and paired_p(gained, m - gained, n, margin=margin) > 0.05:
            gained += 1
        total += binom.pmf(m, n, share) * binom.sf(gained - 1, m, (1 + difference / share) / 2)
    return total


def test_plans_grow_with_disagreement_power_and_certainty() -> None:
    base = paired_labels(0.2, margin=0.25, error=0.05)
    assert base is not None
    assert paired_labels(0.1, margin=0.25, error=0.05) < base < paired_labels(0.4, margin=0.25, error=0.05)
    assert paired_labels(0.2, margin=0.25, error=0.05, power=0.5) < base
    assert paired_labels(0.2, margin=0.25, error=0.001) > base
    assert paired_labels(0.2, margin=0.25, error=0.05, shift=0.05) < base


def test_a_candidate_right_wherever_the_old_is_wrong_needs_ten_rows_at_one_in_a_thousand() -> None:
    """2^-9 does not reach the error and 2^-10 does, however little power is asked."""
    assert paired_labels(1.0, margin=0.0, error=1e-3, shift=1.0) == 10
    assert paired_labels(0.05, margin=0.0, error=1e-3, shift=0.05, power=0.1) == 126
    assert binom.sf(9, 126, 0.05) == pytest.approx(0.1, abs=0.01)


def test_models_that_agree_still_need_enough_rows_to_show_it() -> None:
    n = paired_labels(0.0, margin=0.1, error=0.05)
    assert n is not None
    assert paired_p(0, 0, n, margin=0.1) <= 0.05
    assert n < paired_labels(0.1, margin=0.1, error=0.05)


def test_a_plan_never_asks_for_more_than_the_most(monkeypatch) -> None:
    monkeypatch.setattr(power, "MOST", 40)
    assert paired_labels(0.2, margin=0.1, error=0.05) == 40
    assert floor_labels(0.62, 0.6, error=0.05) == 40


@pytest.mark.parametrize(("rate", "value"), [(0.9, 0.9), (0.85, 0.9), (1.0, 1.0), (0.0, 0.0)])
def test_a_floor_at_or_above_the_rate_is_never_proven(rate: float, value: float) -> None:
    assert floor_labels(rate, value, error=0.05) is None


@pytest.mark.parametrize("value", [0.0, -0.5])
def test_a_floor_that_cannot_be_missed_needs_one_label(value: float) -> None:
    assert floor_labels(0.9, value, error=0.05) == 1


def test_a_perfect_model_needs_the_rule_of_three() -> None:
    n = floor_labels(1.0, 0.95, error=0.05)
    assert n == 59
    assert clopper_pearson(n, n, error=0.05, side="lower").low >= 0.95


@pytest.mark.parametrize(
    ("rate", "value", "error", "promised"),
    [
        (0.9, 0.85, 0.05, 0.9),
        (0.95, 0.9, 0.01, 0.8),
        (0.6, 0.5, 0.05, 0.9),
        (0.99, 0.5, 0.05, 0.5),
        (0.2, 0.1, 1e-3, 0.95),
    ],
)
def test_a_planned_floor_is_proven_with_the_power_promised(rate, value, error, promised) -> None:
    n = floor_labels(rate, value, error=error, power=promised)
    assert n is not None
    assert proven(n, rate, value, error) >= promised
    assert n <= 8 or proven(int(0.8 * n), rate, value, error) < promised


def proven(n: int, rate: float, value: float, error: float) -> float:
    """The probability that the lower Clopper-Pearson bound of `n` rows reaches `value`."""
    enough = [k for k in range(n + 1) if clopper_pearson(k, n, error=error, side="lower").low >= value]
    return float(np.sum(binom.pmf(enough, n, rate)))


def test_a_plan_counts_only_what_the_gate_will_call_proven() -> None:
    """Where the tail says proven and the bound misses by rounding, the bound decides."""
    value = 0.14719863809710795
    assert binom.sf(3, 8, value) <= 0.02 + 1e-15
    assert clopper_pearson(4, 8, error=0.02, side="lower").low < value
    assert proven(8, 0.5, value, 0.02) < 0.55 <= binom.sf(3, 8, 0.5)
    assert floor_labels(0.5, value, error=0.02, power=0.55) == 10
    assert proven(10, 0.5, value, 0.02) >= 0.55


@pytest.mark.parametrize(("n", "share", "shift", "margin"), [(300, 0.2, 0.0, 0.08), (700, 0.1, 0.01, 0.03)])
def test_the_power_of_16_numbers_is_the_power_of_all(n, share, shift, margin) -> None:
    quick = paired_power(n, Truth(share, shift), margin=margin, error=0.05)
    assert quick == pytest.approx(passing(n, share, shift, margin=margin), abs=0.012)


def test_power_rises_with_rows_far_beyond_what_can_be_enumerated() -> None:
    powers = [paired_power(n, Truth(0.1, 0.0), margin=0.002, error=0.05) for n in (60_000, 200_000, 400_000)]
    assert powers == sorted(powers)
    wald = [norm.cdf(0.002 * math.sqrt(n / 0.1) - 1.645) for n in (60_000, 200_000, 400_000)]
    assert powers == pytest.approx(wald, abs=0.02)


@pytest.mark.parametrize("gained", [-5, 0, 30, 58, 61, 200])
def test_any_guess_leads_to_the_fewest_gained_rows_that_pass(gained) -> None:
    found = power._critical_gained(Guess(gained, 100, 1000), margin=0.0, error=0.05)
    assert paired_p(found, 100 - found, 1000, margin=0.0) <= 0.05
    assert paired_p(found - 1, 101 - found, 1000, margin=0.0) > 0.05


def test_no_row_need_be_gained_where_the_margin_covers_all_and_none_suffice_where_it_asks_too_much() -> None:
    assert power._critical_gained(Guess(5, 10, 1000), margin=0.2, error=0.05) == 0
    assert power._critical_gained(Guess(5, 10, 1000), margin=-0.1, error=0.05) == 11


def test_a_search_with_a_bad_guess_still_finds_the_smallest_number() -> None:
    assert power._search(lambda n: n >= 37, 1, 2) == 37
    assert power._search(lambda n: n >= 37, 200, 300) == 37
    assert power._search(lambda n: n >= 1, 8, 16) == 1


def test_normal_labels_are_the_textbook_sample_size() -> None:
    assert normal_labels(1.0, gap=0.5, error=0.025) == math.ceil(((1.959964 + 1.281552) / 0.5) ** 2)
    assert normal_labels(0.0, gap=0.5, error=0.05) == 2
    assert normal_labels(9e9, gap=1e-3, error=0.05) == power.MOST


def test_planned_bets_win_with_the_power_promised() -> None:
    rng, null = np.random.default_rng(3), 0.7
    deviation = math.sqrt(6 * 2 / 64 / 9)
    n = betting_labels(deviation, gap=0.05, error=0.05)
    won = np.mean([prove_mean(rng.beta(6, 2, n), above=null).p <= 0.05 for _ in range(300)])
    assert 0.85 <= won <= 0.97
    assert n > normal_labels(deviation, gap=0.05, error=0.05)


def test_bets_on_more_rows_than_are_bet_on_one_by_one_are_planned_without_a_start() -> None:
    n = betting_labels(0.1, gap=1e-3, error=0.05)
    assert n == math.ceil(((math.sqrt(2 * math.log(20)) + norm.ppf(0.9)) * 100) ** 2) > 50_000


@pytest.mark.parametrize("first", [0.5, 0.9, 0.999])
def test_refining_ends_where_the_power_is_reached_from_any_start(first) -> None:
    """A test whose power is normal with a hundredth of the rows lost."""

    def power_of(n):
        return float(norm.cdf(0.1 * math.sqrt(0.99 * n) - norm.isf(0.05)))

    rough = round((norm.isf(0.05) + norm.ppf(first)) ** 2 * 100)
    found = power._refine(power_of, rough, error=0.05, power=0.9)
    assert power_of(found) >= 0.9
    assert power_of(round(0.99 * found)) < 0.9
