"""Exact tests and intervals for 0/1 outcomes, from counts."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import bdtr, bdtrc, betaincinv, gammaln

GAMMA = 1e-4
NUISANCE_POINTS = 48


class Interval(NamedTuple):
    """A confidence interval; a one-sided one has an end at the edge of the possible."""

    low: float
    high: float


def clopper_pearson(
    successes: int, n: int, *, error: float = 0.05, side: Literal["both", "lower", "upper"] = "both"
) -> Interval:
    """The exact interval of a proportion, by quantiles of beta distributions (Clopper & Pearson 1934).

    `side` says which end is wanted; a one-sided bound spends the whole `error` on it.
    """
    tail = error / 2 if side == "both" else error
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 and side != "upper" else 0.0
    high = (
        float(betaincinv(successes + 1, n - successes, 1 - tail))
        if successes < n and side != "lower"
        else 1.0
    )
    return Interval(low, high)


def mcnemar(gained: int, lost: int, *, one_sided: bool = False) -> float:
    """The p-value of "as many gained as lost", from a fair coin over the discordant pairs (exact McNemar).

    One-sided, the alternative is more `gained` than `lost`.
    """
    n = gained + lost
    if one_sided:
        return float(bdtrc(gained - 1, n, 0.5)) if gained > 0 else 1.0
    return min(1.0, 2 * float(bdtr(min(gained, lost), n, 0.5)))


def paired_p(gained: int, lost: int, n: int, *, margin: float, gamma: float | None = None) -> float:
    """The p-value of "new is worse than old by `margin` or more" from paired 0/1 outcomes of `n` rows.

    Exact and unconditional after Berger & Boos (1994): the unknown share of discordant rows runs over its
    interval at confidence 1 - `gamma`, and `gamma` is added to the largest tail found. `gained` rows only
    the new model got right, `lost` rows only the old. A negative margin asks for "better by more than".
    """
    gamma = GAMMA if gamma is None else gamma
    observed = _statistic(np.array([gained]), np.array([gained + lost]), n, margin=margin)[0]
    if observed <= 0:
        return 1.0
    shares = _nuisance(gained + lost, n, least=abs(margin), gamma=gamma)
    tail = max(_tail(float(observed), float(share), n, margin=margin) for share in shares)
    return min(1.0, tail + gamma)


def paired_interval(gained: int, lost: int, n: int, *, error: float) -> Interval:
    """The two-sided interval of (new - old) accuracy: the differences that paired_p does not reject.

    Each side spends half of `error`; ends are found to 1e-5.
    """
    gamma = min(GAMMA, error / 200)
    low = -_rejected_from(gained, lost, n, tail=error / 2, gamma=gamma)
    high = _rejected_from(lost, gained, n, tail=error / 2, gamma=gamma)
    return Interval(low, high)


def _rejected_from(gained: int, lost: int, n: int, *, tail: float, gamma: float) -> float:
    """The smallest margin at which paired_p is at most `tail`."""
    least, most = -(gained - lost) / n, 1.0
    while most - least > 1e-5:
        middle = (least + most) / 2
        if paired_p(gained, lost, n, margin=middle, gamma=gamma) <= tail:
            most = middle
        else:
            least = middle
    return most


def _statistic(gained: np.ndarray, discordant: np.ndarray, n: int, *, margin: float) -> np.ndarray:
    """The ordering statistic (d + n m) / sqrt(max(M - d^2/n, 0) + 1)."""
    difference = 2 * gained - discordant
    spread = np.maximum(discordant - difference**2 / n, 0) + 1
    found: np.ndarray = (difference + n * margin) / np.sqrt(spread)
    return found


def _nuisance(discordant: int, n: int, *, least: float, gamma: float) -> np.ndarray:
    inside = clopper_pearson(discordant, n, error=gamma)
    low = max(inside.low, least)
    points = np.linspace(low, max(inside.high, low), NUISANCE_POINTS)
    return np.append(points, max(discordant / n, least))


def _tail(observed: float, share: float, n: int, *, margin: float) -> float:
    """P(statistic >= observed) at the boundary of the null, with `share` of the rows discordant."""
    if share <= 0:
        return 0.0
    spread = 12 * np.sqrt(n * share * (1 - share)) + 12
    lowest, highest = max(0, int(n * share - spread)), min(n, int(n * share + spread) + 1)
    discordant = np.arange(lowest, highest + 1)
    needed = _critical(observed, discordant, n, margin=margin)
    toward = min(1.0, max(0.0, (share - margin) / (2 * share)))
    reached = np.where(needed > 0, bdtrc(np.maximum(needed - 1, 0), discordant, toward), 1.0)
    reached = np.where(needed > discordant, 0.0, reached)
    return float(np.sum(_binomial(discordant, n, share) * reached))


def _critical(observed: float, discordant: np.ndarray, n: int, *, margin: float) -> np.ndarray:
    """Per number of discordant rows, the smallest `gained` whose statistic reaches the observed one."""
    low, high = np.zeros_like(discordant), discordant + 1
    while np.any(low < high):
        middle = (low + high) // 2
        is_enough = _statistic(middle, discordant, n, margin=margin) >= observed - 1e-12
        low, high = np.where(is_enough, low, np.minimum(middle + 1, high)), np.where(is_enough, middle, high)
    return high


def _binomial(k: np.ndarray, n: int, share: float) -> np.ndarray:
    """The binomial probabilities of `k` successes in `n`."""
    if share >= 1:
        return np.where(k == n, 1.0, 0.0)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    found: np.ndarray = np.exp(ways + k * np.log(share) + (n - k) * np.log1p(-share))
    return found
