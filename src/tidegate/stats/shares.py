"""Claims about shares of rows: a metric of 0/1 outcomes above a constant, two models on the same rows."""

import math

from scipy.special import betainc

from tidegate.stats.exact import GAMMA, clopper_pearson, paired_bounds, paired_p
from tidegate.stats.result import Result, Tails

NO_TAILS = Tails()


def prove_share(successes: int, n: int, *, above: float, tails: Tails = NO_TAILS) -> Result:
    """Whether a proportion reaches `above`, exactly (Clopper & Pearson 1934).

    p is the chance of so many successes at `above`. For "at most c" ask of the failures and `complement`:
    `prove_share(n - successes, n, above=1 - c)`.
    """
    low = clopper_pearson(successes, n, error=tails.proof, side="lower").low
    high = clopper_pearson(successes, n, error=tails.refute, side="upper").high
    p = _chance_of_at_least(successes, n, min(max(above, 0.0), 1.0))
    estimate = successes / n
    spread = math.sqrt(estimate * (1 - estimate))
    return Result(estimate, low, high, p, n, "exact", "Clopper-Pearson", deviation=spread)


def prove_paired(gained: int, lost: int, n: int, *, margin: float, tails: Tails = NO_TAILS) -> Result:
    """Whether new - old accuracy lies above `-margin`, by the exact unconditional test of paired outcomes.

    `gained` rows only the new model got right, `lost` rows only the old; needs counts alone.
    """
    low, high = paired_bounds(gained, lost, n, tails=tails, margin=margin)
    p = paired_p(gained, lost, n, margin=margin, gamma=min(GAMMA, tails.proof / 100))
    estimate = (gained - lost) / n
    spread = math.sqrt(max((gained + lost) / n - estimate**2, 0.0))
    return Result(estimate, low, high, p, n, "exact", "exact unconditional paired", deviation=spread)


def _chance_of_at_least(successes: int, n: int, share: float) -> float:
    return float(betainc(successes, n - successes + 1, share)) if successes else 1.0
