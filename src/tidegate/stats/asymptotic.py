"""From an estimate and its standard error to a result, for tests that are right when rows are many."""

import math
from typing import NamedTuple

from scipy.special import ndtr, ndtri

from tidegate.stats.result import Result, Tails


class Estimate(NamedTuple):
    """An estimate from `n` rows with its standard error, and the method's name."""

    value: float
    error: float
    n: int
    method: str


def conclude_normal(estimate: Estimate, *, above: float, tails: Tails) -> Result:
    """The result of a normal estimate."""
    value, error, n, method = estimate
    if error <= 0:
        return conclude_constant(value, n, above=above, tails=tails)._replace(method=method)
    low = value + float(ndtri(tails.proof)) * error
    high = value - float(ndtri(tails.refute)) * error
    p = float(ndtr((above - value) / error))
    return Result(value, low, high, p, n, "asymptotic", method, deviation=error * math.sqrt(n))


def conclude_constant(value: float, n: int, *, above: float, tails: Tails) -> Result:
    """The result where no row hints at any spread, which few rows do not prove.

    Something that none of n rows showed has a share x with probability (1 - x)^n at most: the estimate could be
    off by such a share.
    """
    gap = min(max(value - above, 0.0), 1.0)
    low, high = (1 - tail ** (1 / n) for tail in tails)
    return Result(
        value, value - low, value + high, (1 - gap) ** n, n, "asymptotic", "no spread", deviation=0.0
    )
