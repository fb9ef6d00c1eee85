"""The bootstrap: BCa intervals (Efron 1987) from resamples that are seeded by the data's content.

Where a metric is a function of counts, the counts are resampled (multinomially), so that ten million rows
cost what their few kinds cost.
"""

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from tidegate.stats.asymptotic import Estimate, conclude_constant, conclude_normal
from tidegate.stats.result import Result, Tails

RESAMPLES = 2000
EXTREMES = 10
MOST_KINDS = 2000
MOST_GROUPS = 10_000
CHUNK = 4_000_000
NO_TAILS = Tails()

Statistic = Callable[[np.ndarray], np.ndarray]


class Draws(NamedTuple):
    """A statistic on the data, on resamples of it, and how its spread changes with it (BCa's a)."""

    estimate: float
    values: np.ndarray
    acceleration: float


class _Scale(NamedTuple):
    """Resampled values in order, on the normal scale; beyond the tenth from an end it is continued straight."""

    ordered: np.ndarray
    deviation: float


def generator(*parts: np.ndarray) -> np.random.Generator:
    """Random numbers that depend on the content of arrays alone: the same data get the same verdict."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{part.dtype.str}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return np.random.default_rng(int.from_bytes(digest.digest(), "big"))


def prove_counts(
    counts: np.ndarray, statistic: Statistic, *, above: float, tails: Tails = NO_TAILS
) -> Result:
    """Whether a function of counts lies above a constant.

    `counts` are the rows of each kind; `statistic` maps counts [resamples, kinds] to values [resamples].
    """
    counts = np.asarray(counts, dtype=np.int64)
    n, rng = int(counts.sum()), generator(counts)
    sizes = _chunks(RESAMPLES, len(counts))
    values = np.concatenate([statistic(rng.multinomial(n, counts / n, size=size)) for size in sizes])
    estimate = float(statistic(counts[None, :])[0])
    draws = Draws(estimate, values, _acceleration_of_counts(counts, statistic))
    return conclude(draws, n, above=above, tails=tails)


def prove_rows(
    parts: tuple[np.ndarray, ...],
    statistic: Callable[[np.ndarray], float],
    *,
    above: float,
    tails: Tails = NO_TAILS,
) -> Result:
    """Whether a function of weighted rows lies above a constant: for metrics that no counts stand for.

    `statistic` takes the weight of each row, 1 each for the data; it is called 2,101 times. `parts` are the
    columns that it reads, for the seed. The acceleration is a jackknife's over 100 groups.
    """
    n, rng = len(parts[0]), generator(*parts)
    whole = np.ones(n)
    drawn = (np.bincount(rng.integers(0, n, n), minlength=n).astype(float) for _ in range(RESAMPLES))
    values = np.array([statistic(weights) for weights in drawn])
    groups = np.arange(n) % min(n, 100)
    left_out = np.array([statistic(whole * (groups != group)) for group in range(min(n, 100))])
    draws = Draws(statistic(whole), values, _acceleration(left_out.mean() - left_out, np.ones(len(left_out))))
    return conclude(draws, n, above=above, tails=tails)


def prove_mean_of(influence: np.ndarray, *, shift: float, above: float, tails: Tails = NO_TAILS) -> Result:
    """Whether `shift` plus a mean over rows lies above a constant.

    For a mean itself give its values and no shift; for another statistic the influence of each row on it,
    and as shift what it is on the data. Of more than 10,000 rows, groups of equal size are resampled.
    """
    influence = np.asarray(influence, dtype=float)
    n, rng, estimate = len(influence), generator(influence), float(influence.mean())
    means = _group_means(influence)
    sizes = _chunks(RESAMPLES, len(means))
    drawn = [means[rng.integers(0, len(means), (size, len(means)))].mean(axis=1) for size in sizes]
    acceleration = _acceleration(influence - estimate, np.ones(n))
    draws = Draws(shift + estimate, shift + np.concatenate(drawn), acceleration)
    return conclude(draws, n, above=above, tails=tails)


def prove_batches(
    estimate: float, batches: np.ndarray, n: int, *, above: float, tails: Tails = NO_TAILS
) -> Result:
    """The same for any statistic of very many rows: its values on disjoint random batches give its error.

    The way for millions of rows, where 2,000 resamples would take hours; use 100 batches or more.
    """
    error = float(np.std(batches, ddof=1)) / math.sqrt(len(batches))
    return conclude_normal(Estimate(estimate, error, n, "batch means"), above=above, tails=tails)


def conclude(draws: Draws, n: int, *, above: float, tails: Tails) -> Result:
    """The BCa interval of a statistic, and the p-value that makes the same interval's end touch `above`.

    Values that are not finite (a resample without a class) are left out. Tails thinner than 10 resamples
    are continued as a normal's, so that the small errors of a gate's budget can be proven at all.
    """
    values = np.sort(draws.values[np.isfinite(draws.values)])
    deviation = float(values.std()) if len(values) > 2 * EXTREMES else math.nan
    if not deviation > 1e-12 * max(1.0, abs(draws.estimate)):
        return conclude_constant(draws.estimate, n, above=above, tails=tails)
    scale, bias = _Scale(values, deviation), _bias(values, draws.estimate)
    low = _bca_end(scale, draws.acceleration, bias, z=float(ndtri(tails.proof)))
    high = _bca_end(scale, draws.acceleration, bias, z=-float(ndtri(tails.refute)))
    raised = _rank(scale, above) - bias
    p = float(ndtr(raised / max(1 + draws.acceleration * raised, 0.1) - bias))
    ends = min(low, draws.estimate), max(high, draws.estimate)
    return Result(draws.estimate, *ends, p, n, "asymptotic", "bootstrap", deviation=deviation * math.sqrt(n))


def _bca_end(scale: _Scale, acceleration: float, bias: float, *, z: float) -> float:
    raised = bias + z
    return _value(scale, bias + raised / max(1 - acceleration * raised, 0.1))


def _bias(ordered: np.ndarray, estimate: float) -> float:
    """BCa's z0: where the estimate stands among its resamples, ties half."""
    below, upto = np.searchsorted(ordered, estimate, "left"), np.searchsorted(ordered, estimate, "right")
    return min(max(float(ndtri((below + upto) / (2 * len(ordered)))), -1.0), 1.0)


def _rank(scale: _Scale, value: float) -> float:
    """The place of a value among the resamples, as a normal deviate."""
    ordered, size = scale.ordered, len(scale.ordered)
    edge = float(ndtri(EXTREMES / size))
    upto = int(np.searchsorted(ordered, value, "right"))
    if upto < EXTREMES:
        return edge + min(0.0, value - float(ordered[EXTREMES - 1])) / scale.deviation
    if upto > size - EXTREMES:
        return -edge + max(0.0, value - float(ordered[-EXTREMES])) / scale.deviation
    return float(ndtri(upto / size))


def _value(scale: _Scale, z: float) -> float:
    """The resampled value at a normal deviate: the inverse of `_rank`."""
    ordered, size = scale.ordered, len(scale.ordered)
    edge = float(ndtri(EXTREMES / size))
    if z < edge:
        return float(ordered[EXTREMES - 1]) + (z - edge) * scale.deviation
    if z > -edge:
        return float(ordered[-EXTREMES]) + (z + edge) * scale.deviation
    return float(np.quantile(ordered, ndtr(z)))


def _acceleration_of_counts(counts: np.ndarray, statistic: Statistic) -> float:
    """From leaving out one row of each kind; 0 for too many kinds, which leaves a bias-corrected interval."""
    kinds = np.flatnonzero(counts)
    if len(kinds) > MOST_KINDS:
        return 0.0
    left_out, at = [], 0
    for size in _chunks(len(kinds), len(counts)):
        fewer = np.tile(counts, (size, 1))
        fewer[np.arange(size), kinds[at : at + size]] -= 1
        left_out.append(statistic(fewer))
        at += size
    values = np.concatenate(left_out)
    return _acceleration(np.average(values, weights=counts[kinds]) - values, counts[kinds])


def _acceleration(off: np.ndarray, weights: np.ndarray) -> float:
    """Skewness of the influence over six, BCa's a."""
    squares = float(np.sum(weights * off**2))
    if not squares > 0:
        return 0.0
    return float(np.sum(weights * off**3)) / (6 * squares * math.sqrt(squares))


def _group_means(values: np.ndarray) -> np.ndarray:
    size = -(-len(values) // MOST_GROUPS)
    if size == 1:
        return values
    mixed = np.random.default_rng(RESAMPLES).permutation(values)
    means: np.ndarray = mixed[: len(values) // size * size].reshape(-1, size).mean(axis=1)
    return means


def _chunks(items: int, width: int) -> list[int]:
    """Items cut so that each part times `width` stays within memory that is cheap."""
    size = max(1, min(items, CHUNK // max(width, 1)))
    return [min(size, items - at) for at in range(0, items, size)]
