"""Exact intervals and paired tests: reference numbers, size by enumeration, and laws."""

from bisect import bisect_left
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, norm

from tidegate.stats.exact import (
    Interval,
    clopper_pearson,
    mcnemar,
    paired_bounds,
    paired_interval,
    paired_p,
)
from tidegate.stats.result import Tails

LAW = settings(max_examples=40, deadline=None, derandomize=True)
SLOW_LAW = settings(max_examples=4, deadline=None, derandomize=True)


@st.composite
def paired(draw, most=120):
    """Counts (gained, lost, n) of a paired comparison."""
    n = draw(st.integers(2, most))
    gained = draw(st.integers(0, n))
    return gained, draw(st.integers(0, n - gained)), n


def passes_from(n: int, margin: float, error: float) -> list[int]:
    """Per number of discordant rows, the fewest gained with which the paired test passes."""

    def passes(gained: int, discordant: int) -> bool:
        return paired_p(gained, discordant - gained, n, margin=margin) <= error

    return [bisect_left(range(m + 1), True, key=partial(passes, discordant=m)) for m in range(n + 1)]


def wald_passes_from(n: int, margin: float, error: float) -> list[int]:
    """The same for the unexact test that divides the difference by its estimated deviation."""
    z = norm.isf(error)

    def passes(gained: int, discordant: int) -> bool:
        mean = (2 * gained - discordant) / n
        return mean + margin >= z * np.sqrt(max(discordant / n - mean**2, 0) / n)

    return [bisect_left(range(m + 1), True, key=partial(passes, discordant=m)) for m in range(n + 1)]


def largest_size(critical: list[int], n: int, margin: float) -> float:
    """The largest probability of passing over the boundary of the null."""
    m = np.arange(n + 1)
    return max(
        float(np.sum(binom.pmf(m, n, share) * binom.sf(np.array(critical) - 1, m, (1 - margin / share) / 2)))
        for share in np.linspace(margin, 1, 120)
    )


@pytest.mark.parametrize(
    ("successes", "n", "side", "expected"),
    [
        (182, 200, "both", (0.8614917915, 0.9457857455)),
        (0, 59, "upper", (0.0, 0.0495076099)),
        (59, 59, "lower", (0.9504923901, 1.0)),
        (0, 10, "both", (0.0, 0.3084971078)),
        (10, 10, "both", (0.6915028922, 1.0)),
        (5, 10, "lower", (0.2224411010, 1.0)),
        (5, 10, "upper", (0.0, 0.7775588990)),
        (0, 10, "lower", (0.0, 1.0)),
        (10, 10, "upper", (0.0, 1.0)),
    ],
)
def test_clopper_pearson_equals_the_reference(successes, n, side, expected) -> None:
    assert clopper_pearson(successes, n, side=side) == pytest.approx(expected, abs=1e-10)


@LAW
@given(n=st.integers(1, 5000), at=st.floats(0, 1), error=st.floats(1e-6, 0.5))
def test_clopper_pearson_is_the_beta_quantiles_and_holds_the_estimate(n, at, error) -> None:
    successes = round(at * n)
    low, high = clopper_pearson(successes, n, error=error)
    assert low <= successes / n <= high
    assert low == pytest.approx(beta.ppf(error / 2, successes, n - successes + 1) if successes else 0)
    assert high == pytest.approx(beta.isf(error / 2, successes + 1, n - successes) if successes < n else 1)
    assert clopper_pearson(successes, n, error=error / 2, side="lower").low == low
    assert clopper_pearson(successes, n, error=error / 2, side="upper").high == high


@LAW
@given(n=st.integers(1, 2000), at=st.floats(0, 1), error=st.floats(1e-6, 0.4))
def test_clopper_pearson_rises_with_successes_and_narrows_with_error(n, at, error) -> None:
    successes = round(at * (n - 1))
    here, above = clopper_pearson(successes, n, error=error), clopper_pearson(successes + 1, n, error=error)
    wider = clopper_pearson(successes, n, error=error / 2)
    assert here.low < above.low and here.high < above.high
    assert wider.low <= here.low and here.high <= wider.high


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.37, 0.5, 0.93])
def test_clopper_pearson_covers_at_every_rate(rate: float) -> None:
    n = 80
    within = [
        interval.low <= rate <= interval.high for interval in map(clopper_pearson, range(n + 1), [n] * 81)
    ]
    assert np.sum(binom.pmf(np.arange(n + 1), n, rate)[within]) >= 0.95


@pytest.mark.parametrize(
    ("gained", "lost", "one_sided", "expected"),
    [
        (25, 10, False, 0.0166738478),
        (25, 10, True, 0.0083369239),
        (45, 30, True, 0.05267113),
        (10, 25, False, 0.0166738478),
        (0, 0, False, 1.0),
        (0, 0, True, 1.0),
        (0, 5, True, 1.0),
        (5, 0, True, 1 / 32),
        (5, 0, False, 1 / 16),
    ],
)
def test_mcnemar_equals_the_reference(gained, lost, one_sided, expected) -> None:
    assert mcnemar(gained, lost, one_sided=one_sided) == pytest.approx(expected, rel=1e-7)


@LAW
@given(gained=st.integers(0, 300), lost=st.integers(0, 300))
def test_mcnemar_is_the_binomial_test_of_a_fair_coin(gained: int, lost: int) -> None:
    n = gained + lost
    two_sided = binomtest(gained, n).pvalue if n else 1.0
    one_sided = binomtest(gained, n, alternative="greater").pvalue if n else 1.0
    assert mcnemar(gained, lost) == pytest.approx(two_sided)
    assert mcnemar(gained, lost) == mcnemar(lost, gained)
    assert mcnemar(gained, lost, one_sided=True) == pytest.approx(one_sided)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "margin", "expected"),
    [(30, 25, 500, 0.02, 0.02537805), (45, 30, 500, 0.0, 0.04207390)],
)
def test_paired_p_equals_the_reference(gained, lost, n, margin, expected) -> None:
    assert paired_p(gained, lost, n, margin=margin) == pytest.approx(expected, abs=5e-9)


def test_paired_p_lies_between_wald_and_mcnemar() -> None:
    deviation = np.sqrt((55 - 5**2 / 500) / 500**2)
    wald = norm.sf((5 / 500 + 0.02) / deviation)
    assert wald == pytest.approx(0.02150980, abs=5e-9)
    assert paired_p(30, 25, 500, margin=0.02) > wald
    assert paired_p(45, 30, 500, margin=0.0) < mcnemar(45, 30, one_sided=True)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "margin"),
    [
        (0, 0, 50, 0.0),
        (10, 10, 50, 0.0),
        (3, 8, 100, 0.05),
        (9, 4, 100, -0.05),
        (0, 50, 50, 1.0),
        (0, 0, 50, -0.1),
    ],
)
def test_a_difference_at_or_beyond_the_margin_is_no_evidence(gained, lost, n, margin) -> None:
    assert paired_p(gained, lost, n, margin=margin) == 1.0


def test_two_models_that_never_differ_are_not_worse_by_the_margin() -> None:
    assert paired_p(0, 0, 300, margin=0.02) == pytest.approx(0.98**300 + 1e-4, rel=1e-6)
    assert paired_p(0, 0, 100, margin=0.02) > 0.05


def test_rows_that_all_differ_are_a_test_of_a_coin() -> None:
    assert paired_p(40, 0, 40, margin=0.0) == pytest.approx(1e-4, rel=1e-3)
    assert paired_p(27, 13, 40, margin=0.0) >= mcnemar(27, 13, one_sided=True)


def test_an_unrestricted_nuisance_never_makes_the_test_bolder() -> None:
    assert 0.0419 < paired_p(45, 30, 500, margin=0.0, gamma=0.0) <= 1.0
    assert paired_p(30, 25, 500, margin=0.02, gamma=0.0) > 0.025


@LAW
@given(counts=paired(), margin=st.floats(-0.5, 0.5), gamma=st.floats(1e-6, 1e-3))
def test_paired_p_is_a_probability_of_at_least_gamma(counts, margin, gamma) -> None:
    p = paired_p(*counts, margin=margin, gamma=gamma)
    assert gamma <= p <= 1.0


@LAW
@given(counts=paired(60), margin=st.floats(-0.3, 0.3))
def test_paired_p_falls_when_a_lost_row_is_gained_instead(counts, margin) -> None:
    gained, lost, n = counts
    if lost > 0:
        p = paired_p(gained, lost, n, margin=margin)
        assert paired_p(gained + 1, lost - 1, n, margin=margin) <= p + 1e-12


def test_paired_p_falls_with_a_wider_margin() -> None:
    p_values = [paired_p(30, 25, 500, margin=margin) for margin in (-0.01, 0.0, 0.01, 0.02, 0.04, 0.08)]
    assert p_values == sorted(p_values, reverse=True)
    assert p_values[0] == 1.0
    assert p_values[-1] == pytest.approx(1e-4, rel=0.1)


@pytest.fixture(scope="module")
def critical() -> list[int]:
    return passes_from(60, 0.05, 0.05)


def test_the_paired_test_keeps_its_size_at_every_share_of_discordant_rows(critical) -> None:
    size = largest_size(critical, 60, 0.05)
    assert size <= 0.05
    assert size == pytest.approx(0.0485, abs=5e-4)


def test_the_unexact_test_breaks_its_size_in_the_same_enumeration() -> None:
    assert largest_size(wald_passes_from(60, 0.05, 0.05), 60, 0.05) > 0.06


def test_a_candidate_no_worse_passes_more_often_than_one_at_the_boundary(critical) -> None:
    m = np.arange(61)
    equal = np.sum(binom.pmf(m, 60, 0.1) * binom.sf(np.array(critical) - 1, m, 0.5))
    boundary = np.sum(binom.pmf(m, 60, 0.1) * binom.sf(np.array(critical) - 1, m, 0.25))
    assert equal > 3 * boundary


def test_paired_interval_equals_the_reference() -> None:
    found = paired_interval(30, 25, 500, error=0.1)
    assert isinstance(found, Interval)
    assert found == pytest.approx((-0.01485, 0.03596), abs=2e-5)


def test_paired_interval_of_extreme_counts_has_its_closed_form() -> None:
    """n of n gained has probability ((1 + d) / 2)^n at most, no discordant row (1 - |d|)^n."""
    tail = 0.025 - 1e-4
    assert paired_interval(20, 0, 20, error=0.05) == pytest.approx((2 * tail ** (1 / 20) - 1, 1.0), abs=2e-5)
    assert paired_interval(0, 20, 20, error=0.05) == pytest.approx((-1.0, 1 - 2 * tail ** (1 / 20)), abs=2e-5)
    widest = 1 - tail ** (1 / 100)
    assert paired_interval(0, 0, 100, error=0.05) == pytest.approx((-widest, widest), abs=2e-5)


@SLOW_LAW
@given(counts=paired(30), error=st.sampled_from([0.02, 0.1, 0.3]))
def test_paired_interval_is_the_margins_that_the_test_does_not_reject(counts, error) -> None:
    gained, lost, n = counts
    low, high = paired_interval(gained, lost, n, error=error)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert paired_interval(lost, gained, n, error=error) == Interval(-high, -low)
    gamma = min(1e-4, error / 200)
    if low > -1:
        assert paired_p(gained, lost, n, margin=-low, gamma=gamma) <= error / 2
        assert paired_p(gained, lost, n, margin=-low - 2e-5, gamma=gamma) > error / 2


def test_a_smaller_error_widens_the_paired_interval() -> None:
    wide, narrow = paired_interval(12, 7, 100, error=0.02), paired_interval(12, 7, 100, error=0.2)
    assert wide.low < narrow.low < 0.05 < narrow.high < wide.high


def paired_p_by_definition(gained, lost, n, *, margin, gamma):
    """The Berger-Boos p-value summed over every outcome of `n` rows that is at least as extreme."""

    def statistic(g, w):
        return (g - w + n * margin) / np.sqrt(np.maximum(g + w - (g - w) ** 2 / n, 0) + 1)

    observed = statistic(gained, lost)
    if observed <= 0:
        return 1.0
    m = np.arange(n + 1)[:, None]
    g = np.arange(n + 1)[None, :]
    reached = (g <= m) & (statistic(g, m - g) >= observed - 1e-12)
    inside = clopper_pearson(gained + lost, n, error=gamma)
    low = max(inside.low, abs(margin))
    shares = [*np.linspace(low, max(inside.high, low), 48), max((gained + lost) / n, abs(margin))]
    tails = [
        np.sum(reached * binom.pmf(m, n, s) * binom.pmf(g, m, min(max((s - margin) / (2 * s), 0), 1)))
        for s in shares
        if s > 0
    ]
    return min(1.0, max(tails, default=0.0) + gamma)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(counts=paired(25), margin=st.floats(-0.6, 0.6))
def test_paired_p_is_the_sum_over_all_outcomes_as_extreme(counts, margin) -> None:
    expected = paired_p_by_definition(*counts, margin=margin, gamma=1e-4)
    assert paired_p(*counts, margin=margin) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("margin", [None, 0.0, 0.05, 0.25])
@pytest.mark.parametrize(("n", "tail"), [(18, 0.05), (14, 0.001)])
def test_the_paired_interval_misses_every_true_difference_as_rarely_as_promised(n, tail, margin) -> None:
    """By enumeration of all outcomes, over shares of discordant rows and differences within them."""
    outcomes = [(g, w) for g in range(n + 1) for w in range(n + 1 - g)]
    tails = Tails(tail, 0.5)
    lows = np.array([paired_bounds(g, w, n, tails=tails, margin=margin).low for g, w in outcomes])
    gained, discordant = np.array([[g, g + w] for g, w in outcomes]).T
    worst = 0.0
    for share in np.linspace(0.02, 1, 25):
        for difference in np.linspace(-share, share, 21):
            chances = binom.pmf(discordant, n, share) * binom.pmf(
                gained, discordant, np.clip((1 + difference / share) / 2, 0, 1)
            )
            worst = max(worst, float(chances[lows > difference].sum()))
    assert worst <= tail


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 7, 10_000_000), (3000, 2900, 1_000_000)])
def test_an_interval_of_millions_of_rows_is_found_to_its_own_scale(gained, lost, n) -> None:
    low, high = paired_bounds(gained, lost, n, tails=Tails(0.05, 0.01))
    assert paired_p(gained, lost, n, margin=-low) <= 0.05
    deviation = np.sqrt(gained + lost) / n
    assert paired_p(gained, lost, n, margin=-low - deviation / 400) > 0.05 - 1e-3
    assert high - (gained - lost) / n > (gained - lost) / n - low
