"""Labels until a gate passes an equal candidate 9 times in 10, by method: tidegate's exact test next to bounds.

    python benchmarks/label_counts.py

The rule is "not worse by the margin" at level 5 %; the two models differ on a share of the rows. A bound passes
when the difference seen exceeds the margin by its half-width, so that the count holds both: two Hoeffding bounds
are one of 2.5 % on each accuracy, the paired ones bound the difference of rows; Bennett's knows the share. The
second table is ease.ml/ci's own sample sizes (Renggli et al. 2019), which hold for any accuracy, with H = 32.
"""

import math
from collections.abc import Callable

from scipy.special import ndtri

from tidegate.stats.power import (
    Truth,
    bennett_labels,
    betting_labels,
    easeml_labels,
    normal_labels,
    paired_labels,
    paired_power,
)

LEVEL, POWER = 0.05, 0.9
CASES = ((0.10, 0.02), (0.10, 0.01), (0.05, 0.01), (0.20, 0.02))


def two_hoeffding(n: float, _: float) -> float:
    """The half-width of the difference of two accuracies, each bounded at half the level."""
    return 2 * math.sqrt(math.log(2 / LEVEL) / (2 * n))


def paired_hoeffding(n: float, _: float) -> float:
    """The half-width of a mean of differences within [-1, 1]."""
    return math.sqrt(2 * math.log(1 / LEVEL) / n)


def bennett(n: float, share: float) -> float:
    """The same when their mean square is `share`."""
    return solve(
        lambda t: n * share * ((1 + t / share) * math.log1p(t / share) - t / share) - math.log(1 / LEVEL)
    )


def solve(rises: Callable[[float], float], most: float = 1.0) -> float:
    least = 0.0
    for _ in range(80):
        middle = (least + most) / 2
        least, most = (least, middle) if rises(middle) >= 0 else (middle, most)
    return most


def labels(half_width: Callable[[float, float], float], share: float, margin: float) -> int:
    """Rows until half-width and the chance of 1 in 10 fit into the margin."""
    spread = float(ndtri(POWER)) * math.sqrt(share)
    return math.ceil(solve(lambda n: margin - half_width(n, share) - spread / math.sqrt(n) if n else -1, 1e9))


METHODS: dict[str, Callable[[float, float], int | None]] = {
    "two Hoeffding bounds": lambda share, margin: labels(two_hoeffding, share, margin),
    "paired Hoeffding": lambda share, margin: labels(paired_hoeffding, share, margin),
    "Bennett": lambda share, margin: labels(bennett, share, margin),
    "betting": lambda share, margin: betting_labels(math.sqrt(share) / 2, gap=margin / 2, error=LEVEL),
    "paired t, normal": lambda share, margin: normal_labels(math.sqrt(share), gap=margin, error=LEVEL),
    "exact unconditional": lambda share, margin: paired_labels(share, margin=margin, error=LEVEL),
}


def main() -> None:
    print(f"{'differ on':<24}" + "".join(f"{share:>11.0%}" for share, _ in CASES))
    print(f"{'margin':<24}" + "".join(f"{margin:>11.0%}" for _, margin in CASES))
    for name, method in METHODS.items():
        print(f"{name:<24}" + "".join(f"{method(*case) or 0:>11,}" for case in CASES))
    found = METHODS["exact unconditional"](*CASES[0]) or 0
    reached = paired_power(found, Truth(CASES[0][0], 0.0), margin=CASES[0][1], error=LEVEL)
    print(f"power of the exact test with {found:,} rows, first case: {reached:.3f}")
    print(f"\n{'ease.ml/ci, H = 32':<44}{'no feedback':>12}{'full':>10}")
    for name, accuracy, tolerance, variables in (
        ("n > c, 99 %, within .1", 0.99, 0.1, 1),
        ("n - o > c, 99 %, within .1", 0.99, 0.1, 2),
        ("n > c, 99.99 %, within .01", 0.9999, 0.01, 1),
    ):
        each = (
            easeml_labels(accuracy, tolerance=tolerance, variables=variables, candidates=k)
            for k in (32, 2**32)
        )
        print(f"{name:<44}" + "".join(f"{n:>{12 - 2 * i},}" for i, n in enumerate(each)))
    each = (bennett_labels(0.9999, tolerance=0.01, disagreement=0.1, candidates=k) for k in (32, 2**32))
    print(
        f"{'n - o, 99.99 %, within .01, 10 % differ':<44}"
        + "".join(f"{n:>{12 - 2 * i},}" for i, n in enumerate(each))
    )


if __name__ == "__main__":
    main()
