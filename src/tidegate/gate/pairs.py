"""Two models on the same rows: the counts that every comparison is a function of, and their words."""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.gate.evaluate import Rows, right
from tidegate.stats.exact import Interval, paired_interval, paired_p


class Pair(NamedTuple):
    """Of n rows, `gained` only the candidate gets right and `lost` only the other model."""

    gained: int
    lost: int
    n: int

    @property
    def difference(self) -> float:
        """The candidate's accuracy minus the other's."""
        return (self.gained - self.lost) / self.n

    @property
    def disagreement(self) -> float:
        """The share of rows that one of them gets right; at least one row's worth, to plan with."""
        return max(self.gained + self.lost, 1) / self.n


def changes(candidate: Rows, other: Rows) -> tuple[int, ...]:
    """Per row 1 for gained, -1 for lost, 0 for the same; the rows must be in the same order."""
    return tuple(new - old for new, old in zip(right(candidate), right(other), strict=True))


def tally(changed: Sequence[int]) -> Pair:
    """The counts of some rows' changes."""
    return Pair(changed.count(1), changed.count(-1), len(changed))


def p_not_worse(pair: Pair, *, margin: float, error: float) -> float:
    """The exact p-value of "worse by `margin` or more", sharp enough for a test at `error`."""
    return paired_p(pair.gained, pair.lost, pair.n, margin=margin, gamma=min(1e-4, error / 100))


def p_worse(pair: Pair, *, margin: float, error: float) -> float:
    """The exact p-value of "worse by `margin` at most": the same test with the models exchanged."""
    return p_not_worse(Pair(pair.lost, pair.gained, pair.n), margin=-margin, error=error)


def interval(pair: Pair, *, error: float) -> Interval:
    """The difference, missed on either side with probability `error` at most."""
    return paired_interval(pair.gained, pair.lost, pair.n, error=min(2 * error, 0.99))


def sentence(pair: Pair, span: Interval) -> str:
    """`31 better and 12 worse of 898 rows: difference +2.1 pp, interval [-0.2, +4.4] pp`."""
    counts = f"{pair.gained} better and {pair.lost} worse of {pair.n:,} rows"
    ends = f"[{points(span.low)}, {points(span.high)}]"
    return f"{counts}: difference {points(pair.difference)} pp, interval {ends} pp"


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed; zero has no sign to lose."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"
