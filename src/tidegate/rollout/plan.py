"""What a rollout will take, or still takes: the units after which an equal candidate is expected through."""

import math
from collections.abc import Mapping

from tidegate.domain import Record
from tidegate.domain import Rollout as Progress
from tidegate.project import Guard, Rollout
from tidegate.rollout.measure import Evidence
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
        Expected(guard.metric, rate, _units(guard, rate, share, missing=_needed(settings.safe_error)))
        for guard in settings.guard
        for rate in (base_rates.get(guard.metric, 0.0),)
    )


def remaining(settings: Rollout, rollout: Progress, evidence: Evidence) -> tuple[Expected, ...]:
    """What an equal candidate still needs for each guard, at today's share and stable's observed rate."""
    guards = {guard.metric: guard for guard in settings.guard}
    return tuple(
        Expected(found.metric, rate, _units(guards[found.metric], rate, rollout.weight, missing=missing))
        for found in evidence.guards
        for rate in (found.stable_events / max(found.stable_units, 1),)
        for missing in (_needed(settings.safe_error) - max(found.log_safe, 0.0),)
        if found.log_safe < -math.log(settings.safe_error)
    )


def _needed(error: float) -> float:
    """log E for a promotion; the mean over bets and over two processes costs at most log of their number."""
    return math.log(2 * len(GRID) / error)


def _units(guard: Guard, rate: float, share: float, *, missing: float) -> int | None:
    """Evidence missing over the growth of the best bet a unit (Wald's equation, overshoot left out)."""
    relative = max(arm_log_e(rate * share, rate * (1 - share), share, ratio=guard.safe_ratio, side="safe"))
    absolute = share * max(floor_log_e(rate, 1, floor=guard.ignore_below, side="safe"))
    growth = max(relative, absolute)
    return math.ceil(missing / growth) if growth > 0 else None
