"""Quantiles, such as a latency's, from order statistics: exact whatever the distribution."""

from bisect import bisect_left

import numpy as np
from scipy.special import betainc

from tidegate.stats.result import Result, Tails

NO_TAILS = Tails()


def prove_quantile_below(values: np.ndarray, *, q: float, limit: float, tails: Tails = NO_TAILS) -> Result:
    """Whether the `q` quantile is at most `limit`.

    Each bound is an observed value, or infinite where there are too few (David & Nagaraja, Order Statistics,
    7.1). Proven means that the upper end is at most `limit`.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    above = _rank_above(n, q, error=tails.proof)
    below = n + 1 - _rank_above(n, 1 - q, error=tails.refute)
    high = float(ordered[above - 1]) if above <= n else np.inf
    low = float(ordered[below - 1]) if below >= 1 else -np.inf
    estimate = float(ordered[min(n - 1, int(np.ceil(n * q)) - 1)])
    within = int(np.searchsorted(ordered, limit, side="right"))
    p = float(betainc(within, n - within + 1, q)) if within else 1.0
    return Result(estimate, low, high, p, n, "exact", "order statistics")


def _rank_above(n: int, q: float, *, error: float) -> int:
    """The smallest rank whose value lies below the quantile with probability `error` at most; n + 1 if none."""
    return 1 + bisect_left(range(1, n + 1), True, key=lambda rank: betainc(rank, n - rank + 1, q) <= error)
