"""The budget of a test set: how often it may be asked, and at which error each time."""

import math


def level(passes: int, *, submissions: int, error: float) -> float:
    """The error of the next submission after `passes` passes on this test set.

    error / (2^(j+1) C(H, j+1)): summed over every test that can be reached, it stays below `error`,
    whatever the submitter learned from the verdicts. 0 when every submission allowed has passed.
    """
    if passes >= submissions:
        return 0.0
    return error / (1 << (passes + 1)) / math.comb(submissions, passes + 1)
