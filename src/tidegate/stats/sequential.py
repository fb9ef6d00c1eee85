"""Evidence that may be looked at any time: e-processes and confidence sequences, from counts.

An e-process is at most 1 in expectation under its null at every stopping time, so acting when it reaches
1/alpha errs with probability at most alpha, however often one looks (Ville). Bets run over a fixed grid, so
log-wealth is a sum of counts times constants: order-free, and shards merge by adding.
"""

import math
from collections.abc import Sequence
from typing import Literal

GRID = (1.1, 1.2, 1.35, 1.6, 2.0, 2.7, 4.0, 7.0, 15.0, 50.0)

Side = Literal["harm", "safe"]


def log_mean_exp(values: Sequence[float]) -> float:
    """log of the mean of exp(values), without leaving the log scale."""
    top = max(values)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(math.exp(value - top) for value in values) / len(values))


def arm_log_e(canary: float, stable: float, share: float, *, ratio: float, side: Side) -> tuple[float, ...]:
    """What one window adds to the log-wealth of each bet of the arm-given-event process.

    `canary` and `stable` count events (such as errors), `share` is the canary's observed share of units in
    the window, strictly between 0 and 1. Harm tests "the canary's rate is at most `ratio` times stable's",
    safe tests "at least". Sum the tuples over windows; log E is the log_mean_exp of the sums. Valid for rare
    events under any common change of the base rate and any ramp of the share.
    """
    null = _arm(share, ratio)
    alternatives = (_arm(share, ratio * g if side == "harm" else ratio / g) for g in GRID)
    return tuple(canary * math.log(a / null) + stable * math.log((1 - a) / (1 - null)) for a in alternatives)


def floor_log_e(events: float, n: float, *, floor: float, side: Side) -> tuple[float, ...]:
    """What `events` among `n` units add to the log-wealth of each bet against a fixed rate.

    Harm tests "the rate is at most `floor`", safe tests "at least".
    """
    rates = (min(floor * g, (1 + floor) / 2) if side == "harm" else floor / g for g in GRID)
    return tuple(events * math.log(r / floor) + (n - events) * math.log((1 - r) / (1 - floor)) for r in rates)


def share_log_e(canary: int, stable: int, share: float, *, k: float = 1000.0) -> float:
    """log of the e-value against "a unit is the canary's with probability `share`", a Beta mixture."""
    a, b = k * share, k * (1 - share)
    wealth = _log_beta(a + canary, b + stable) - _log_beta(a, b)
    return wealth - canary * math.log(share) - stable * math.log(1 - share)


def cs_rho(error: float, horizon: float) -> float:
    """The tuning of the asymptotic confidence sequence that is tightest at n = `horizon`."""
    spent = -2 * math.log(error)
    return math.sqrt((spent + math.log(spent + 1)) / horizon)


def cs_half_width(n: int, variance: float, *, error: float, horizon: float) -> float:
    """Half the width of the asymptotic confidence sequence of a mean (Waudby-Smith et al. 2024)."""
    scaled = n * cs_rho(error, horizon) ** 2
    return math.sqrt(variance * 2 * (scaled + 1) / (n * scaled) * math.log(math.sqrt(scaled + 1) / error))


def normal_mixture_bound(variance: float, *, error: float, rho: float) -> float:
    """The two-sided normal-mixture boundary of a sum with that variance process (Howard et al. 2021)."""
    total = variance + rho
    return math.sqrt(total * math.log(total / (rho * error**2)))


def _arm(share: float, ratio: float) -> float:
    """The probability that an event is the canary's, at a rate ratio."""
    return share * ratio / (share * ratio + 1 - share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
