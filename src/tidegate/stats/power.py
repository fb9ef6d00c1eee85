"""How many labels a verdict needs."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import bdtrc, ndtri

from tidegate.stats.betting import MOST_BETS
from tidegate.stats.binomial import chance_of_at_least
from tidegate.stats.exact import GAMMA, clopper_pearson, paired_p

MOST = 10_000_000
FEW = 300


class Truth(NamedTuple):
    """How two models really compare: the share of rows only one gets right, and new - old accuracy."""

    disagreement: float
    shift: float


class Guess(NamedTuple):
    """A guess how many of the `discordant` among `n` rows must be gained to pass."""

    gained: int
    discordant: int
    n: int


def paired_labels(
    disagreement: float, *, margin: float, error: float, power: float = 0.9, shift: float = 0.0
) -> int | None:
    """Rows that the exact paired test needs to pass with probability `power`, to one part in 500.

    `disagreement` is the share of rows on which the two models differ in being right, `shift` the true
    difference new - old. The normal approximation brackets the search, `paired_power` decides it. None when
    no number of rows is enough.
    """
    gap = margin + shift
    if gap <= 0:
        return None
    share = min(1.0, max(disagreement, abs(shift), abs(margin) / 10))
    truth = Truth(share, shift)
    rough = normal_labels(math.sqrt(max(share - shift**2, 1e-12)), gap=gap, error=error, power=power)

    def power_of(n: int) -> float:
        return paired_power(n, truth, margin=margin, error=error)

    if rough < FEW:
        return _search(lambda n: power_of(n) >= power, rough // 2, rough)
    return _refine(power_of, rough, error=error, power=power)


def paired_power(n: int, truth: Truth, *, margin: float, error: float) -> float:
    """The probability that `n` rows pass the exact paired test at `error`, to two or three digits.

    Averages the binomial chance of enough gained rows over equally likely numbers of discordant ones: 16 of
    them, fewer where rounding no longer shows.
    """
    expected = n * truth.disagreement
    size = 16 if expected < 2000 else 4 if expected < 20_000 else 1
    spread = math.sqrt(expected * (1 - truth.disagreement))
    likely = np.rint(expected + ndtri((np.arange(size) + 0.5) / size) * spread)
    toward = min(1.0, (1 + truth.shift / truth.disagreement) / 2)
    z, total = -float(ndtri(error)), 0.0
    for discordant in np.clip(likely, 0, n).astype(int).tolist():
        root = math.sqrt(discordant + 1)
        guess = round((z * root - n * margin + discordant) / 2)
        gained = _critical_gained(Guess(guess, discordant, n), margin=margin, error=error)
        z = (2 * gained - discordant + n * margin) / root
        total += float(chance_of_at_least(np.array([gained]), np.array([discordant]), np.array([toward]))[0])
    return total / size


def normal_labels(deviation: float, *, gap: float, error: float, power: float = 0.9) -> int:
    """Rows for an asymptotic test (t, DeLong, bootstrap) of a value that lies `gap` on the right side.

    `deviation` is a Result's: the standard error times the root of n.
    """
    rough = ((-float(ndtri(error)) + float(ndtri(power))) * deviation / gap) ** 2
    return _rows(rough)


def betting_labels(deviation: float, *, gap: float, error: float, power: float = 0.9) -> int:
    """Rows for the betting test of values scaled to [0, 1] (halve both for differences within [-1, 1]).

    Its log-wealth is nearly normal with the moments of the stakes really placed, which start low.
    """
    needed, sure = -math.log(error), float(ndtri(power))
    rough = _rows(((math.sqrt(2 * needed) + sure) * deviation / gap) ** 2)
    if rough > MOST_BETS:
        return rough

    def is_enough(n: int) -> bool:
        variances = deviation**2 + 0.25 / np.arange(1, n + 1)
        stakes = np.sqrt(2 * needed / (n * variances))
        mean = float(np.sum(stakes * gap - stakes**2 * (deviation**2 + gap**2) / 2))
        return mean - needed >= sure * math.sqrt(float(np.sum(stakes**2)) * deviation**2)

    return _search(is_enough, rough, 2 * rough)


def floor_labels(rate: float, value: float, *, error: float, power: float = 0.9) -> int | None:
    """Rows until a proportion truly at `rate` is proven to reach `value` with probability `power`.

    None when `rate` does not lie above `value`.
    """
    if rate <= value:
        return None
    if value <= 0:
        return 1
    return _search(lambda n: _floor_has_power(n, rate, value, error=error, power=power), 0, 8)


def easeml_labels(
    accuracy: float, *, tolerance: float, variables: int = 1, clauses: int = 1, candidates: float = 1.0
) -> int:
    """The labels of ease.ml/ci's Hoeffding bound (Renggli et al. 2019), for comparison.

    n = r^2 ln(r C K / delta) / (2 eps^2) with delta = 1 - `accuracy`, eps = `tolerance`, r `variables`,
    C `clauses`; K = `candidates` is H without and 2^H with feedback between H submissions.
    """
    spent = variables * clauses * candidates / (1 - accuracy)
    return math.ceil(variables**2 * math.log(spent) / (2 * tolerance**2) - 1e-6)


def bennett_labels(accuracy: float, *, tolerance: float, disagreement: float, candidates: float = 1.0) -> int:
    """The labels of ease.ml/ci's Bennett bound when the models differ on a share `disagreement` of rows."""
    u = tolerance / disagreement
    rate = disagreement * ((1 + u) * math.log1p(u) - u)
    return math.ceil((math.log(candidates) + math.log(4 / (1 - accuracy))) / rate - 1e-6)


def _search(is_enough: Callable[[int], bool], least: int, most: int) -> int:
    """The smallest number that is enough, to one part in 500, at most MOST; the ends given are guesses."""
    while most < MOST and not is_enough(most):
        least, most = most, 2 * most
    while least > 0 and is_enough(least):
        least, most = least // 2, least
    while most - least > max(1, most // 500):
        middle = (least + most) // 2
        least, most = (least, middle) if is_enough(middle) else (middle, most)
    return min(most, MOST)


def _refine(power_of: Callable[[int], float], rough: int, *, error: float, power: float) -> int:
    """Newton's steps on the scale where power is straight in the root of n, then up until it is reached."""
    n, sure = rough, -float(ndtri(error))
    for _ in range(2):
        found = sure + float(ndtri(min(max(power_of(n), 1e-3), 1 - 1e-6)))
        n = round(n * min(((sure + float(ndtri(power))) / max(found, 0.1)) ** 2, 4.0))
    while n < MOST and power_of(n) < power:
        n += max(1, n // 250)
    return min(n, MOST)


def _rows(rough: float) -> int:
    """Whole rows, two at least (one has no spread), MOST at most."""
    return max(2, min(math.ceil(rough), MOST))


def _critical_gained(guess: Guess, *, margin: float, error: float) -> int:
    """The fewest gained rows with which the exact test passes; one more than the discordant if none do."""
    gamma, discordant = min(GAMMA, error / 100), guess.discordant

    def passes(gained: int) -> bool:
        return paired_p(gained, discordant - gained, guess.n, margin=margin, gamma=gamma) <= error

    step = max(1, int(math.sqrt(discordant) / 40))
    least = min(max(guess.gained - step, -1), discordant)
    most = min(least + step, discordant + 1)
    while least >= 0 and passes(least):
        least, most, step = max(-1, least - step), least, 2 * step
    while most <= discordant and not passes(most):
        least, most, step = most, min(most + step, discordant + 1), 2 * step
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if passes(middle) else (middle, most)
    return most


def _floor_has_power(n: int, rate: float, value: float, *, error: float, power: float) -> bool:
    counts = np.arange(n + 1)
    proven = np.searchsorted(-bdtrc(counts - 1, n, value), -error)
    needed = int(proven) if proven <= n else n + 1
    while needed <= n and clopper_pearson(needed, n, error=error, side="lower").low < value:
        needed += 1
    return needed <= n and float(bdtrc(needed - 1, n, rate)) >= power
