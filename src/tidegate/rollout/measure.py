"""From the prediction log to the evidence of a rollout: each unit counts once, windows stand alone.

A guard's events are counted in strata. For `error_rate` a stratum is a window of request times; for
`wrong_rate` it is a window of request times crossed with a window of label times, so that neither a drifting
base rate nor a ramp of the share can pass for a difference between the arms.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from tidegate.domain import Label, Prediction, Record, Role, Rollout, agree
from tidegate.project import Guard
from tidegate.project import Rollout as Settings
from tidegate.stats.sequential import GRID, Side, arm_log_e, floor_log_e, log_mean_exp

# answers that wait for their label; the oldest are given up first
MOST_WAITING = 1_000_000

# rows reach the log a little after the time they carry
GRACE_S = 0.25

Stratum = tuple[int, ...]


class GuardEvidence(Record, frozen=True):
    """Units and events of both arms, and log E that the canary is worse and that it is safe."""

    metric: Literal["error_rate", "wrong_rate"]
    canary_events: int = 0
    canary_units: int = 0
    stable_events: int = 0
    stable_units: int = 0
    log_harm: float = 0.0
    log_safe: float = 0.0


class Evidence(Record, frozen=True):
    """What is known about a rollout: a record a guard, and log of the mean E of harm over the guards."""

    guards: tuple[GuardEvidence, ...]
    log_harm: float

    @property
    def units(self) -> int:
        """The most units of the canary that any guard has seen."""
        return max((guard.canary_units for guard in self.guards), default=0)


class Arms(NamedTuple):
    """Units and events of one stratum."""

    canary_units: int
    stable_units: int
    canary_events: int
    stable_events: int


class GuardMeter:
    """The strata of one guard: open ones as sets of units, closed ones as sums.

    A unit with an event is out of all later strata: what remains is at risk of its first event.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._open: dict[Stratum, dict[str, tuple[float, Role]]] = {}
        self._events: dict[Stratum, set[str]] = {}
        self._out: set[str] = set()
        self._total = Arms(0, 0, 0, 0)
        self._bets = {name: [0.0] * len(GRID) for name in ("harm", "safe", "above", "below")}

    def add(self, stratum: Stratum, row: Prediction, *, is_event: bool) -> None:
        """Count the row's unit in an open stratum, in the role of its earliest row there."""
        units, this = self._open.setdefault(stratum, {}), (row.at, row.role)
        units[row.unit] = min(units.get(row.unit, this), this)
        if is_event:
            self._events.setdefault(stratum, set()).add(row.unit)

    def close(self, before: int) -> None:
        """Fold in the strata whose last window is older than number `before`, oldest first."""
        over = [stratum for stratum in self._open if stratum[-1] < before]
        for stratum in sorted(over, key=lambda windows: windows[::-1]):
            roles = {unit: role for unit, (_, role) in self._open.pop(stratum).items()}
            self._fold(roles, self._events.pop(stratum, set()))

    def evidence(self) -> GuardEvidence:
        """What the closed strata say."""
        total, log_e = self._total, {name: log_mean_exp(bets) for name, bets in self._bets.items()}
        return GuardEvidence(
            self._guard.metric,
            canary_events=total.canary_events,
            canary_units=total.canary_units,
            stable_events=total.stable_events,
            stable_units=total.stable_units,
            log_harm=min(log_e["harm"], log_e["above"]),
            log_safe=log_mean_exp((log_e["safe"], log_e["below"])),
        )

    def _fold(self, units: dict[str, Role], events: set[str]) -> None:
        at_risk = {unit: role for unit, role in units.items() if unit not in self._out}
        first = [at_risk[unit] for unit in events if unit in at_risk]
        canary = sum(role == "canary" for role in at_risk.values())
        canary_events = sum(role == "canary" for role in first)
        arms = Arms(canary, len(at_risk) - canary, canary_events, len(first) - canary_events)
        self._out |= events
        self._total = Arms(*(one + other for one, other in zip(self._total, arms, strict=True)))
        self._bet(arms)

    def _bet(self, arms: Arms) -> None:
        guard, events, units = self._guard, arms.canary_events, arms.canary_units
        if arms.canary_units and arms.stable_units:
            share = arms.canary_units / (arms.canary_units + arms.stable_units)
            ratios: tuple[tuple[Side, float], ...] = (("harm", guard.harm_ratio), ("safe", guard.safe_ratio))
            for side, ratio in ratios:
                self._grow(side, arm_log_e(events, arms.stable_events, share, ratio=ratio, side=side))
        self._grow("above", floor_log_e(events, units, floor=guard.ignore_below, side="harm"))
        self._grow("below", floor_log_e(events, units, floor=guard.ignore_below, side="safe"))

    def _grow(self, name: str, gains: Sequence[float]) -> None:
        self._bets[name] = [old + gain for old, gain in zip(self._bets[name], gains, strict=True)]


class Meter:
    """Reads the log of one rollout forward; the same rows give the same evidence."""

    def __init__(self, rollout: Rollout, settings: Settings) -> None:
        self._rollout = rollout
        self._arms = (rollout.stable, rollout.candidate)
        self._window = float(settings.window)
        self._meters = {guard.metric: GuardMeter(guard) for guard in settings.guard}
        self._closed = 0
        self._answers: dict[str, Prediction] = {}

    def add(self, predictions: Iterable[Prediction], labels: Iterable[Label]) -> None:
        """Count new rows of the log; those of other bundles, from before, or not drawn by chance are left out."""
        for row in predictions:
            if row.unit and row.bundle in self._arms and row.at >= self._rollout.started:
                self._answered(row)
        for label in labels:
            self._labeled(label)

    def evidence(self, now: float) -> Evidence:
        """What is known at `now` from the windows that have ended by then."""
        self._closed = max(self._closed, self._number(now - GRACE_S))
        for meter in self._meters.values():
            meter.close(self._closed)
        guards = tuple(meter.evidence() for meter in self._meters.values())
        return Evidence(guards, log_mean_exp([guard.log_harm for guard in guards]) if guards else 0.0)

    def _answered(self, row: Prediction) -> None:
        errors = self._meters.get("error_rate")
        if errors:
            errors.add((self._still_open(row.at),), row, is_event=row.status != 200)
        if "wrong_rate" in self._meters and row.output is not None:
            self._answers[row.request] = row
            if len(self._answers) > MOST_WAITING:
                del self._answers[next(iter(self._answers))]

    def _labeled(self, label: Label) -> None:
        row = self._answers.pop(label.request, None)
        if row is None or row.output is None:
            return
        stratum = (self._number(row.at), self._still_open(label.at))
        is_wrong = not agree(row.output, label.truth)
        self._meters["wrong_rate"].add(stratum, row, is_event=is_wrong)

    def _number(self, at: float) -> int:
        """The window, counted from the start of the rollout."""
        return int((at - self._rollout.started) // self._window)

    def _still_open(self, at: float) -> int:
        """The window of a row; for one that comes late, the first that is still open."""
        return max(self._number(at), self._closed)
