"""Binomial probabilities of arrays, fast and accurate up to tens of millions of rows."""

import numpy as np
from scipy.special import betainc, gammaln, ndtr, xlog1py, xlogy

MANY = 5_000


def chance(k: np.ndarray, n: int, share: float | np.ndarray) -> np.ndarray:
    """The probability of exactly `k` successes in `n`."""
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    found: np.ndarray = np.exp(ways + xlogy(k, share) + xlog1py(n - k, -share))
    return found


def chance_of_at_least(k: np.ndarray, n: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The probability of `k` successes or more in `n`, element by element.

    Exact through the incomplete beta function; where more than 5,000 successes and as many failures are
    expected, by the normal approximation of Peizer & Pratt (1968), which is then right to 1e-8.
    """
    k, n, share = (np.asarray(part, dtype=float) for part in np.broadcast_arrays(k, n, share))
    is_many = (n * np.minimum(share, 1 - share) > MANY) & (k > MANY / 2) & (n - k > MANY / 2)
    found = np.where(k <= 0, 1.0, 0.0)
    few = ~is_many & (k > 0) & (k <= n)
    found[few] = betainc(k[few], n[few] - k[few] + 1, share[few])
    found[is_many] = _peizer_pratt(k[is_many], n[is_many], share[is_many])
    return found


def _peizer_pratt(k: np.ndarray, n: np.ndarray, share: np.ndarray) -> np.ndarray:
    other = 1 - share
    hits, misses = k - 0.5, n - k + 0.5
    gap = k - 1 / 3 - (n + 1 / 3) * share
    gap += 0.02 * (other / k - share / (n - k + 1) + (other - 0.5) / (n + 1))
    curve = 1 + other * _peizer(hits / (n * share)) + share * _peizer(misses / (n * other))
    found: np.ndarray = ndtr(-gap * np.sqrt(curve / ((n + 1 / 6) * share * other)))
    return found


def _peizer(ratio: np.ndarray) -> np.ndarray:
    """(1 - x^2 + 2 x log x) / (1 - x)^2, by its series near its removable pole at 1."""
    off = ratio - 1
    near = np.abs(off) < 1e-2
    apart = np.where(near, 1.0, off)
    direct = (1 - ratio**2 + 2 * ratio * np.log(ratio)) / apart**2
    series = -off / 3 + off**2 / 6 - off**3 / 10 + off**4 / 15 - off**5 / 21
    return np.where(near, series, direct)
