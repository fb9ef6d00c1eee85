"""Several hypotheses at once, and the e-value of paired outcomes."""

import math
from collections.abc import Sequence

from tidegate.stats.sequential import log_mean_exp

BETS = 32


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted by Holm (1979): rejecting those at most alpha bounds the family's error."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted by Benjamini & Hochberg (1995): of those at most alpha, a share alpha is false on average."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    adjusted = [0.0] * len(p_values)
    smallest = 1.0
    for rank, i in enumerate(order):
        smallest = min(smallest, len(p_values) / (len(p_values) - rank) * p_values[i])
        adjusted[i] = smallest
    return adjusted


def all_proven(p_values: Sequence[float]) -> float:
    """The p-value of "not every claim is true" (intersection-union, Berger 1982): no correction is needed."""
    return max(p_values, default=1.0)


def mixture_log_e(gained: int, same: int, lost: int, *, margin: float) -> float:
    """log of the e-value against "new is worse than old by `margin` or more", from paired 0/1 outcomes.

    The mean over 32 betting fractions, geometric up to .95 of the largest allowed.
    """
    room = 1.0 - margin
    low, high = math.log(1e-3 / room), math.log(0.95 / room)
    bets = [math.exp(low + (high - low) * i / (BETS - 1)) for i in range(BETS)]
    return log_mean_exp([_wealth(bet, gained, same, lost, margin=margin) for bet in bets])


def _wealth(bet: float, gained: int, same: int, lost: int, *, margin: float) -> float:
    won = gained * math.log1p(bet * (1 + margin)) + same * math.log1p(bet * margin)
    return won + lost * math.log1p(bet * (margin - 1))
