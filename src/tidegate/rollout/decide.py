"""The next state of a rollout: a pure function of its state, the evidence and the time."""

import math
from typing import Literal, NamedTuple

import msgspec

from tidegate.domain import TERMINAL_PHASES, Phase, Rollout
from tidegate.errors import ConflictError
from tidegate.project import Rollout as Settings
from tidegate.rollout.measure import Evidence, GuardEvidence
from tidegate.rollout.plan import Expected, remaining

Change = Literal["stepped", "paused", "resumed", "held", "promoted", "rolled_back"]


class Move(NamedTuple):
    """A change of a rollout: what is appended to the ledger as `rollout.CHANGE`."""

    change: Change
    rollout: Rollout


def decide(rollout: Rollout, evidence: Evidence, settings: Settings, *, now: float) -> Move | None:
    """What follows from the evidence; None to go on as it is.

    Back when E(canary is worse) >= 1/harm_error, even while paused; through when for every guard
    E(canary is safe) >= 1/safe_error; at `max_duration` what `on_timeout` says; else the next step when
    `step_every` has passed. Null hypotheses and error rates: each side errs with at most its own error over
    the whole rollout, however often this is asked.
    """
    if rollout.phase in TERMINAL_PHASES:
        return None
    if evidence.log_harm >= -math.log(settings.harm_error):
        return abort(rollout, now, _harm(rollout, evidence, settings, now=now))
    if rollout.phase == "paused":
        return None
    if evidence.guards and all(guard.log_safe >= -math.log(settings.safe_error) for guard in evidence.guards):
        return promote(rollout, now, _safe(rollout, evidence, settings, now=now))
    if rollout.phase == "held":
        return None
    if now - rollout.started >= settings.max_duration:
        return _time_is_up(rollout, evidence, settings, now=now)
    return _next_step(rollout, evidence, settings, now=now)


def abort(rollout: Rollout, now: float, because: str) -> Move:
    """All traffic back to stable, for good; ConflictError when the rollout has ended."""
    return _move(rollout, "rolled_back", now, because=because, weight=0.0)


def promote(rollout: Rollout, now: float, because: str) -> Move:
    """All traffic to the candidate, for good; ConflictError when the rollout has ended."""
    return _move(rollout, "promoted", now, because=because, weight=1.0)


def pause(rollout: Rollout, now: float, because: str) -> Move:
    """Stay at this step until resumed; harm still rolls back."""
    return _move(rollout, "paused", now, because=because, weight=rollout.weight)


def resume(rollout: Rollout, now: float, because: str) -> Move:
    """Go on after a pause; ConflictError when there is none. The clock of the step starts anew."""
    if rollout.phase in ("running", "held"):
        found = f"rollout {rollout.id} is {rollout.phase}, not paused"
        raise ConflictError("rollout resume", found, hint="promote or abort it")
    return _move(rollout, "resumed", now, because=because, weight=rollout.weight)


_PHASES: dict[Change, Phase] = {
    "stepped": "running",
    "resumed": "running",
    "paused": "paused",
    "held": "held",
    "promoted": "promoted",
    "rolled_back": "rolled_back",
}


def _move(rollout: Rollout, change: Change, now: float, *, because: str, weight: float) -> Move:
    if rollout.phase in TERMINAL_PHASES:
        found = f"rollout {rollout.id} is {rollout.phase.replace('_', ' ')} already"
        raise ConflictError("rollout", found, hint="tidegate ps")
    phase = _PHASES[change]
    moved = msgspec.structs.replace(rollout, phase=phase, weight=weight, stepped=now, because=because)
    return Move(change, moved)


def _next_step(rollout: Rollout, evidence: Evidence, settings: Settings, *, now: float) -> Move | None:
    """One more step; never without traffic, which says nothing about the last one."""
    following = rollout.step + 1
    if following >= len(rollout.steps) or now - rollout.stepped < settings.step_every or not evidence.units:
        return None
    share = rollout.steps[following]
    because = f"no harm seen in {evidence.units:,} units of the canary after {now - rollout.started:.1f} s"
    move = _move(rollout, "stepped", now, because=because, weight=share)
    return move._replace(rollout=msgspec.structs.replace(move.rollout, step=following))


def _time_is_up(rollout: Rollout, evidence: Evidence, settings: Settings, *, now: float) -> Move:
    missing = "; ".join(wait_text(one) for one in remaining(settings, rollout, evidence))
    because = f"undecided after max_duration, {float(settings.max_duration):.0f} s: {missing}"
    if settings.on_timeout == "rollback":
        return abort(rollout, now, because)
    if settings.on_timeout == "promote":
        return promote(rollout, now, because)
    return _move(rollout, "held", now, because=because, weight=rollout.weight)


def _harm(rollout: Rollout, evidence: Evidence, settings: Settings, *, now: float) -> str:
    worst = max(evidence.guards, key=lambda guard: guard.log_harm)
    e_value = f"E = {e_text(evidence.log_harm)}, needed {1 / settings.harm_error:g}"
    return f"canary is worse: {counts(worst)}; {e_value}; {now - rollout.started:.1f} s after the start"


def _safe(rollout: Rollout, evidence: Evidence, settings: Settings, *, now: float) -> str:
    said = ", ".join(f"{counts(guard)} (E = {e_text(guard.log_safe)})" for guard in evidence.guards)
    needed = f"needed {1 / settings.safe_error:g} each"
    return f"canary is safe: {said}; {needed}; {now - rollout.started:.1f} s after the start"


def wait_text(one: Expected) -> str:
    """How much longer a guard takes, `wrong_rate needs about 2,100 more labels`."""
    units = "labels" if one.metric == "wrong_rate" else "requests"
    if one.units is None:
        return f"{one.metric} cannot be decided at a base rate of {one.base_rate:.1%}"
    return f"{one.metric} needs about {one.units:,} more {units}"


def counts(guard: GuardEvidence) -> str:
    """Events of units for both arms, `wrong_rate canary 30 of 45, stable 8 of 260`."""
    canary = f"canary {guard.canary_events:,} of {guard.canary_units:,}"
    return f"{guard.metric} {canary}, stable {guard.stable_events:,} of {guard.stable_units:,}"


def e_text(log_e: float) -> str:
    """An e-value from its logarithm, without overflow: `0.32`, `41`, `1.3e+270`."""
    if log_e < math.log(10):
        return f"{math.exp(log_e):.2g}"
    exponent, rest = divmod(log_e / math.log(10), 1)
    mantissa, _, carry = f"{10**rest:.1e}".partition("e")
    return f"{math.exp(log_e):,.0f}" if exponent < 5 else f"{mantissa}e+{int(exponent) + int(carry)}"
