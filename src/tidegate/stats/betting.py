"""Means of bounded scores without assumptions on their distribution: betting (Waudby-Smith & Ramdas 2024).

A gambler bets each row against "the mean is at most m"; the wealth is an e-value. The average over 16 fixed
orders of the rows takes the luck out of their order and is an e-value too.
"""

import math
from typing import NamedTuple

import numpy as np

from tidegate.stats.result import Result, Tails
from tidegate.stats.sequential import log_mean_exp

ORDERS = 16
MOST_BETS = 50_000
CAP = 0.75
NO_TAILS = Tails()
NO_BOUNDS = (0.0, 1.0)


class _Bets(NamedTuple):
    """The rows in each order and what is bet on them before the null caps it: shape [orders, rows]."""

    values: np.ndarray
    stakes: np.ndarray


def prove_mean(
    values: np.ndarray, *, above: float, tails: Tails = NO_TAILS, bounds: tuple[float, float] = NO_BOUNDS
) -> Result:
    """Whether the mean of values within `bounds` lies above a constant, exactly.

    For two models on the same rows give the differences, with bounds (-1, 1) for scores in [0, 1] and
    `above` = -margin. Raises ValueError for a value outside the bounds, nan included.
    """
    scaled = _scale(np.asarray(values, dtype=float), bounds)
    width = bounds[1] - bounds[0]
    bets = _place(scaled, error=tails.proof)
    null = min(max((above - bounds[0]) / width, 0.0), 1.0)
    wealth = _log_wealth(bets, null)
    low = _unproven_from(bets, float(scaled.mean()), error=tails.proof)
    high = 1 - _unproven_from(
        _place(1 - scaled, error=tails.refute), 1 - float(scaled.mean()), error=tails.refute
    )
    estimate, low, high = (bounds[0] + width * part for part in (float(scaled.mean()), low, high))
    p = math.exp(-max(wealth, 0.0))
    return Result(
        estimate, low, high, p, len(scaled), "exact", "betting", wealth, width * float(scaled.std())
    )


def _scale(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    if not (len(values) and np.all((values >= bounds[0]) & (values <= bounds[1]))):
        raise ValueError(f"values must be some, each within [{bounds[0]}, {bounds[1]}]")
    scaled: np.ndarray = np.clip((values - bounds[0]) / (bounds[1] - bounds[0]), 0.0, 1.0)
    return scaled


def _place(scaled: np.ndarray, *, error: float) -> _Bets:
    """The predictable plug-in stakes: running mean and variance start at 1/2 and 1/4 as one observation."""
    rows = _blocks(scaled)
    values = np.stack([np.random.default_rng(order).permutation(rows) for order in range(ORDERS)])
    count = np.arange(2, len(rows) + 2)
    means = (0.5 + np.cumsum(values, axis=1)) / count
    variances = (0.25 + np.cumsum((values - means) ** 2, axis=1)) / count
    known = np.concatenate([np.full((ORDERS, 1), 0.25), variances[:, :-1]], axis=1)
    return _Bets(values, np.sqrt(2 * math.log(1 / error) / (len(rows) * known)))


def _blocks(scaled: np.ndarray) -> np.ndarray:
    """At most 50,000 rows: beyond, means of blocks of mixed rows, bounded and with the same mean as they are.

    Rows left over after whole blocks are in no bet.
    """
    size = -(-len(scaled) // MOST_BETS)
    if size == 1:
        return scaled
    mixed = np.random.default_rng(ORDERS).permutation(scaled)
    blocks: np.ndarray = mixed[: len(mixed) // size * size].reshape(-1, size).mean(axis=1)
    return blocks


def _log_wealth(bets: _Bets, null: float) -> float:
    """log of the mean wealth over the orders against "the mean is at most `null`"."""
    if null <= 0:
        return math.inf if bets.values.any() else 0.0
    stakes = np.minimum(bets.stakes, CAP / null)
    wealth = np.log1p(stakes * (bets.values - null)).sum(axis=1)
    return log_mean_exp(wealth.tolist())


def _unproven_from(bets: _Bets, mean: float, *, error: float) -> float:
    """The lower bound: the smallest null that is not refuted; wealth falls as the null rises."""
    least, most = 0.0, mean
    while most - least > 1e-6:
        middle = (least + most) / 2
        refuted = _log_wealth(bets, middle) >= -math.log(error)
        least, most = (middle, most) if refuted else (least, middle)
    return least
