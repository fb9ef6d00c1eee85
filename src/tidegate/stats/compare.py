"""Comparing several hypotheses or two sets of scores."""

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
