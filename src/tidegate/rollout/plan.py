"""What a rollout will take: the requests after which an equally good candidate is expected through."""

import math
from collections.abc import Mapping

from tidegate.domain import Record
from tidegate.project import Guard, Rollout
from tidegate.stats.sequential import GRID, arm_log_e, floor_log_e


class Expected(Record, frozen=True):
    """For one guard, the units (answered, or labeled for `wrong_rate`) until an equal candidate is safe.

    `units` counts both arms at the last step's share; None when the evidence would not grow.
    """

    metric: str
    base_rate: float
    units: int | None


def expect(settings: Rollout, base_rates: Mapping[str, float]) -> tuple[Expected, ...]:
    """The expectation for each guard at its base rate, an event a unit; 0 where none is given."""
    share = float(settings.steps[-1])
    return tuple(
        Expected(guard.metric, rate, _units(guard, rate, share, error=settings.safe_error))
        for guard in settings.guard
        for rate in (base_rates.get(guard.metric, 0.0),)
    )


def _units(guard: Guard, rate: float, share: float, *, error: float) -> int | None:
    """Evidence needed over the growth of the best bet a unit (Wald's equation, overshoot left out).

    The mean over bets and over two processes costs at most log of their number.
    """
    relative = 0.0
    if share < 1:
        events, units = rate * share, rate * (1 - share)
        relative = max(arm_log_e(events, units, share, ratio=guard.safe_ratio, side="safe"))
    absolute = share * max(floor_log_e(rate, 1, floor=guard.ignore_below, side="safe"))
    growth = max(relative, absolute)
    return math.ceil(math.log(2 * len(GRID) / error) / growth) if growth > 0 else None
