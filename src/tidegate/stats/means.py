"""Means of any numbers, right when there are many: Student's t and the bootstrap's BCa interval."""

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from tidegate.stats.bootstrap import prove_mean_of
from tidegate.stats.result import Result, Tails

NO_TAILS = Tails()


def prove_mean_t(values: np.ndarray, *, above: float, tails: Tails = NO_TAILS) -> Result:
    """Whether a mean lies above a constant, by Student's t; paired when `values` are differences.

    For two models on the same rows `above` is -margin. Needs two values; equal ones leave no doubt.
    """
    values = np.asarray(values, dtype=float)
    n, mean, deviation = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    error = deviation / math.sqrt(n)
    low = mean + float(stdtrit(n - 1, tails.proof)) * error
    high = mean - float(stdtrit(n - 1, tails.refute)) * error
    p = float(stdtr(n - 1, (above - mean) / error)) if error else float(mean <= above)
    return Result(mean, low, high, p, n, "asymptotic", "t", deviation=deviation)


def prove_mean_bca(values: np.ndarray, *, above: float, tails: Tails = NO_TAILS) -> Result:
    """The same by the BCa bootstrap (Efron 1987), for skewed values such as losses."""
    return prove_mean_of(values, shift=0.0, above=above, tails=tails)
