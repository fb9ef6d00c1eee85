"""The fold: ledger events in, what is live, rolling out and alarming out."""

from collections.abc import Iterable

import msgspec

from tidegate.domain import Alert, Event, ModelVersion, Record, Release, Rollout


class State(Record, frozen=True):
    """Everything the ledger says about now; `seq` is the last event folded in."""

    seq: int = 0
    versions: tuple[ModelVersion, ...] = ()
    releases: tuple[Release, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    alerts: tuple[Alert, ...] = ()

    @property
    def live(self) -> Release | None:
        """The release that answers; None before the first one."""
        return self.releases[-1] if self.releases else None

    @property
    def rollout(self) -> Rollout | None:
        """The rollout in progress, if any."""
        last = self.rollouts[-1] if self.rollouts else None
        return None if last is None or last.phase in ("promoted", "rolled_back") else last

    def version_of(self, bundle: str) -> ModelVersion | None:
        """The registered version of a bundle."""
        return next((v for v in self.versions if v.digest == bundle), None)


def fold(events: Iterable[Event], state: State | None = None) -> State:
    """The state after `events`, starting from `state`; unknown kinds only move `seq`."""
    state = state or State()
    for event in events:
        change = _CHANGES.get(event.kind)
        moved = change(state, event) if change else {}
        state = msgspec.structs.replace(state, seq=event.seq, **moved)
    return state


def _registered(state: State, event: Event) -> dict[str, object]:
    return {"versions": (*state.versions, msgspec.convert(event.body, ModelVersion))}


def _released(state: State, event: Event) -> dict[str, object]:
    return {"releases": (*state.releases, msgspec.convert(event.body, Release))}


def _rollout_started(state: State, event: Event) -> dict[str, object]:
    return {"rollouts": (*state.rollouts, msgspec.convert(event.body, Rollout))}


def _rollout_changed(state: State, event: Event) -> dict[str, object]:
    """A terminal rollout absorbs every later event, so nothing revives it."""
    current = state.rollout
    if current is None or current.id != event.subject:
        return {}
    moved = msgspec.convert(event.body["rollout"], Rollout)
    return {"rollouts": (*state.rollouts[:-1], moved)}


def _alert_raised(state: State, event: Event) -> dict[str, object]:
    alert = msgspec.convert(event.body, Alert)
    return {"alerts": (*_others(state, alert.kind, alert.subject), alert)}


def _alert_cleared(state: State, event: Event) -> dict[str, object]:
    return {"alerts": _others(state, str(event.body["kind"]), event.subject)}


def _others(state: State, kind: str, subject: str) -> tuple[Alert, ...]:
    return tuple(a for a in state.alerts if (a.kind, a.subject) != (kind, subject))


_CHANGES = {
    "bundle.registered": _registered,
    "release.applied": _released,
    "release.rolled_back": _released,
    "rollout.started": _rollout_started,
    "rollout.stepped": _rollout_changed,
    "rollout.paused": _rollout_changed,
    "rollout.resumed": _rollout_changed,
    "rollout.held": _rollout_changed,
    "rollout.promoted": _rollout_changed,
    "rollout.rolled_back": _rollout_changed,
    "alert.raised": _alert_raised,
    "alert.cleared": _alert_cleared,
}
