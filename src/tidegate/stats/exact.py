"""Exact tests and intervals for 0/1 outcomes, from counts."""

import math
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import bdtr, bdtrc, betaincinv, ndtri

from tidegate.stats.binomial import chance, chance_of_at_least
from tidegate.stats.result import Tails

GAMMA = 1e-4
NUISANCE_POINTS = 48
STRAIGHT_FROM = 200


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
    return min(1.0, _largest_tail(float(observed), shares, n, margin=margin) + gamma)


def paired_interval(gained: int, lost: int, n: int, *, error: float) -> Interval:
    """The two-sided interval of (new - old) accuracy: the differences that paired_p does not reject.

    Each side spends half of `error`.
    """
    return paired_bounds(gained, lost, n, tails=Tails(error / 2, error / 2))


def paired_bounds(gained: int, lost: int, n: int, *, tails: Tails, margin: float | None = None) -> Interval:
    """The interval of (new - old) accuracy with an error for each end.

    With the `margin` of a claim the lower end lies on the side of it that paired_p says. Ends are found
    to 1e-5 or a five-hundredth of the standard error, whichever is finer, and rounded outwards.
    """
    low = -_rejected_from(gained, lost, n, tail=tails.proof, tried=margin)
    return Interval(low, _rejected_from(lost, gained, n, tail=tails.refute))


def _rejected_from(gained: int, lost: int, n: int, *, tail: float, tried: float | None = None) -> float:
    """The margin from which on paired_p is at most `tail`.

    Newton's steps on the normal scale, where p is nearly straight, kept in a bracket that every eighth
    step halves; they aim beyond the root, twice as far after each that fell short, so that both ends close in.
    With few discordant rows p may rise once more at wider margins, where rows without any become as extreme,
    so that it crosses `tail` more than once: halving alone, from outside, then finds a wide one of these
    margins, and what p is at the margin `tried` first says on which side of it.
    """
    gamma, turn = min(GAMMA, tail / 100), 0
    deviation = math.sqrt(gained + lost + 1) / n
    close = min(1e-5, deviation / 500)
    least, most = -(gained - lost) / n, 1.0
    guess = least - float(ndtri(tail)) * deviation
    aim = 0.0
    if tried is not None and least < tried < most:
        is_above = paired_p(gained, lost, n, margin=tried, gamma=gamma) > tail
        least, most = (tried, most) if is_above else (least, tried)
    while most - least > close:
        is_straight = turn % 8 < 7 and gained + lost > STRAIGHT_FROM
        guess = guess if is_straight and least < guess < most else (least + most) / 2
        p = paired_p(gained, lost, n, margin=guess, gamma=gamma)
        least, most = (least, guess) if p <= tail else (guess, most)
        side = -0.3 if p <= tail else 0.3
        aim = 2 * aim if aim * side > 0 else side
        guess += float(ndtri(min(p, 1 - 1e-9)) - ndtri(tail)) * deviation + aim * close
        turn += 1
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


def _largest_tail(observed: float, shares: np.ndarray, n: int, *, margin: float) -> float:
    """The largest P(statistic >= observed) at the boundary of the null over shares of discordant rows."""
    discordant = np.arange(_reach(float(shares.min()), n)[0], _reach(float(shares.max()), n)[1] + 1)
    needed = _critical(observed, discordant, n, margin=margin)
    toward = np.clip((shares - margin) / (2 * np.maximum(shares, 1e-300)), 0.0, 1.0)
    weights = chance(discordant, n, shares[:, None])
    row, column = np.nonzero(weights > 1e-19)
    reached = chance_of_at_least(needed[column], discordant[column], toward[row])
    return float(np.bincount(row, weights[row, column] * reached).max())


def _reach(share: float, n: int) -> tuple[int, int]:
    """The numbers of discordant rows outside of which less than 1e-14 of the probability lies."""
    spread = 8 * math.sqrt(n * share * (1 - share)) + 20
    return max(0, math.floor(n * share - spread)), min(n, math.ceil(n * share + spread))


def _critical(observed: float, discordant: np.ndarray, n: int, *, margin: float) -> np.ndarray:
    """Per number of discordant rows, the smallest `gained` whose statistic reaches the observed one.

    The statistic rises with `gained`, so it reaches at the root of a quadratic; rounding is put right by
    trying the whole numbers around it. Without a root all reach or none, by the sign of the margin; one more
    than `discordant` stands for none.
    """
    shrink, shift = 1 + observed**2 / n, n * margin
    inside = (discordant + 1) * shrink - shift**2 / n
    root = (observed * np.sqrt(np.maximum(inside, 0)) - shift) / shrink
    root = np.where(inside < 0, -np.sign(margin) * (discordant + 4), root)
    needed = np.clip(np.floor((root + discordant) / 2).astype(np.int64) - 1, 0, discordant + 1)
    for _ in range(4):
        reaches = _statistic(needed, discordant, n, margin=margin) >= observed - 1e-12
        needed = np.where(reaches, needed, np.minimum(needed + 1, discordant + 1))
    found: np.ndarray = needed
    return found
