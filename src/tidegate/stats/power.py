"""How many labels a verdict needs."""

import math

import numpy as np
from scipy.special import bdtrc, ndtri

from tidegate.stats.exact import GAMMA, clopper_pearson, paired_p

MOST = 10_000_000


def paired_labels(
    disagreement: float, *, margin: float, error: float, power: float = 0.9, shift: float = 0.0
) -> int | None:
    """Rows that the exact paired test needs to pass with probability `power`.

    `disagreement` is the share of rows on which the two models differ in being right, `shift` the true
    difference new - old. Power is normal around the exact critical difference at the expected number
    of discordant rows. None when no number of rows is enough.
    """
    gap = margin + shift
    if gap <= 0:
        return None
    share = min(1.0, max(disagreement, abs(shift), abs(margin) / 10))
    deviation = math.sqrt(max(share - shift**2, 1e-12))
    rough = ((-ndtri(error) + ndtri(power)) * deviation / gap) ** 2
    least = 1
    most: int = max(16, math.ceil(2 * rough) + math.ceil(4 * -math.log(error) / gap))
    while most - least > max(1, most // 500):
        middle = (least + most) // 2
        if _has_power(middle, share, margin=margin, shift=shift, error=error, power=power):
            most = middle
        else:
            least = middle
    return min(most, MOST)


def floor_labels(rate: float, value: float, *, error: float, power: float = 0.9) -> int | None:
    """Rows until a proportion truly at `rate` is proven to reach `value` with probability `power`.

    None when `rate` does not lie above `value`.
    """
    if rate <= value:
        return None
    if value <= 0:
        return 1
    least, most = 0, 8
    while not _floor_has_power(most, rate, value, error=error, power=power):
        least, most = most, 2 * most
        if most > MOST:
            return MOST
    while most - least > max(1, most // 500):
        middle = (least + most) // 2
        if _floor_has_power(middle, rate, value, error=error, power=power):
            most = middle
        else:
            least = middle
    return most


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


def _has_power(n: int, share: float, *, margin: float, shift: float, error: float, power: float) -> bool:  # noqa: PLR0913
    """Whether `n` rows, with the expected number of discordant ones, pass with probability `power`."""
    discordant = max(1, round(n * share))
    gained = _critical_gained(discordant, n, margin=margin, error=error)
    if gained > discordant:
        return False
    edge = (2 * gained - discordant - 1) / n
    return bool((shift - edge) / math.sqrt(max(share - shift**2, 1e-12) / n) >= ndtri(power))


def _critical_gained(discordant: int, n: int, *, margin: float, error: float) -> int:
    """The fewest gained rows among the discordant with which the exact test passes."""
    gamma = min(GAMMA, error / 100)
    least, most = -1, discordant + 1
    while most - least > 1:
        middle = (least + most) // 2
        if paired_p(middle, discordant - middle, n, margin=margin, gamma=gamma) <= error:
            most = middle
        else:
            least = middle
    return most


def _floor_has_power(n: int, rate: float, value: float, *, error: float, power: float) -> bool:
    counts = np.arange(n + 1)
    proven = np.searchsorted(-bdtrc(counts - 1, n, value), -error)
    needed = int(proven) if proven <= n else n + 1
    while needed <= n and clopper_pearson(needed, n, error=error, side="lower").low < value:
        needed += 1
    return needed <= n and float(bdtrc(needed - 1, n, rate)) >= power
