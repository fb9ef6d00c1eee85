"""How often a merge gate is wrong: four rules of "not worse by 2 pp" next to each other, and under attack.

    python benchmarks/gate_calibration.py [--runs 100000]

Two models with 90 % accuracy differ on 10 % of the rows. At the boundary the candidate is truly 2 pp worse, so
that a pass is false; a rule may pass it 5 % of the time. The point estimate is the usual gate, `new >= old - m`.

The attack submits 400 candidates, each truly 2 pp worse, on one test set of 2,000 rows and counts as a false
pass when any is accepted: the best score seen, tested once at 5 %; each tested at 5 %; at 5 % / 400
(Bonferroni); and through tidegate's ledger of the test set.
"""

import argparse
from bisect import bisect_left
from functools import cache

import numpy as np
from scipy.special import ndtri

from tidegate.stats.budget import Account, Grant, next_level
from tidegate.stats.exact import clopper_pearson, paired_p

ACCURACY, DISAGREEMENT, MARGIN, ERROR = 0.9, 0.1, 0.02, 0.05
SUBMISSIONS = 400


@cache
def fewest_gained(discordant: int, n: int, level: float) -> int:
    """The fewest gained rows among the discordant with which the exact test passes."""
    gamma = min(1e-4, level / 100)
    return bisect_left(
        range(discordant + 1),
        True,
        key=lambda g: paired_p(g, discordant - g, n, margin=MARGIN, gamma=gamma) <= level,
    )


def draw(runs: int, n: int, shift: float) -> np.ndarray:
    """Rows [runs, 4] only the new model gets right, only the old, both, neither."""
    gained, lost = (DISAGREEMENT + shift) / 2, (DISAGREEMENT - shift) / 2
    both = ACCURACY - lost
    return np.random.default_rng(n).multinomial(n, [gained, lost, both, 1 - gained - lost - both], size=runs)


def point_estimate(counts: np.ndarray, n: int) -> np.ndarray:
    return counts[:, 0] - counts[:, 1] >= -MARGIN * n - 1e-9


def unpaired_z(counts: np.ndarray, n: int) -> np.ndarray:
    new, old = (counts[:, side] + counts[:, 2] for side in (0, 1))
    variance = (new * (n - new) + old * (n - old)) / n**3
    return (new - old) / n + MARGIN >= -ndtri(ERROR) * np.sqrt(variance)


def paired_wald(counts: np.ndarray, n: int) -> np.ndarray:
    difference = (counts[:, 0] - counts[:, 1]) / n
    variance = ((counts[:, 0] + counts[:, 1]) / n - difference**2) / n
    return difference + MARGIN >= -ndtri(ERROR) * np.sqrt(variance)


def exact(counts: np.ndarray, n: int, level: float = ERROR) -> np.ndarray:
    discordant = counts[:, 0] + counts[:, 1]
    needed = {int(m): fewest_gained(int(m), n, level) for m in np.unique(discordant)}
    return counts[:, 0] >= np.array([needed[int(m)] for m in discordant])


RULES = {
    "point estimate": point_estimate,
    "unpaired z": unpaired_z,
    "paired Wald": paired_wald,
    "exact unconditional": exact,
}


def calibration(runs: int) -> None:
    print(f"{'P(pass)':<22}{'n = 300':>20}{'n = 2,000':>22}")
    print(f"{'':<22}{'boundary    equal':>20}{'boundary    equal':>22}")
    for name, rule in RULES.items():
        cells = [
            float(np.mean(rule(draw(runs, n, shift), n))) for n in (300, 2000) for shift in (-MARGIN, 0.0)
        ]
        print(f"{name:<22}{cells[0]:>11.3f}{cells[1]:>9.3f}{cells[2]:>13.3f}{cells[3]:>9.3f}")


def attack(runs: int) -> None:
    n = 2000
    counts = draw(runs * SUBMISSIONS, n, -MARGIN)
    grant = Grant(SUBMISSIONS, ERROR)
    best = (counts[:, 0] - counts[:, 1]).reshape(runs, SUBMISSIONS).argmax(axis=1)
    shown = exact(counts, n).reshape(runs, SUBMISSIONS)[np.arange(runs), best]
    print(f"\n{SUBMISSIONS} worthless submissions, n = {n:,}      P(false pass)   95 % interval")
    report("score shown, then one 5 % test", shown)
    for name, level in {
        "pass/fail at 5 % each": ERROR,
        "Bonferroni, 5 % / 400 each": ERROR / SUBMISSIONS,
        "ledger": next_level(Account(), grant),  # the first pass is the false one, what follows is tighter
    }.items():
        report(name, exact(counts, n, level).reshape(runs, SUBMISSIONS).any(axis=1))


def report(name: str, passed: np.ndarray) -> None:
    low, high = clopper_pearson(int(passed.sum()), len(passed))
    print(f"{name:<42}{passed.mean():>10.3f}   [{low:.3f}, {high:.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000, help="simulated submissions of each kind")
    runs = parser.parse_args().runs
    calibration(runs)
    attack(max(runs // 25, 10))


if __name__ == "__main__":
    main()
