"""What every test of this room returns: an estimate with its interval, and the evidence for a claim."""

from typing import Literal, NamedTuple

Guarantee = Literal["exact", "asymptotic", "model-based"]


class Tails(NamedTuple):
    """The error of each end of an interval: of the end that proves the claim, and of the one that refutes it.

    For "above a bound" the lower end proves, for "below" the upper. `proof` is the level that p is held against.
    """

    proof: float = 0.05
    refute: float = 0.05


class Result(NamedTuple):
    """The evidence for a claim, "the true value lies above a bound" unless the test says below.

    The interval's ends err with the probabilities of the Tails asked for. `p` is the p-value of the
    claim's contrary; `log_e` is set where the test is an e-value, and then p = min(1, 1/e). `deviation`
    is the standard error times the root of `n`, what planners need; None where they count outcomes.
    """

    estimate: float
    low: float
    high: float
    p: float
    n: int
    guarantee: Guarantee
    method: str
    log_e: float | None = None
    deviation: float | None = None


def negate(result: Result) -> Result:
    """The result for the value with its sign changed: the way to prove "below" with a test of "above".

    Test the negated values above the negated bound, then negate what was found; p and e stay.
    """
    return result._replace(estimate=-result.estimate, low=-result.high, high=-result.low)


def complement(result: Result) -> Result:
    """The result for one minus the value, for shares: what `negate` is for differences."""
    return result._replace(estimate=1 - result.estimate, low=1 - result.high, high=1 - result.low)
