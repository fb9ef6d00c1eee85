"""What the simulations of this room share."""

import math
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def ceiling() -> Callable[[float, int], float]:
    """The largest share of alarms that `runs` simulations may show when the truth is at most `alpha`."""
    return lambda alpha, runs: alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)
