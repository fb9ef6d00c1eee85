"""The fold: the same events say the same about now, in one go or in parts."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain import TERMINAL_PHASES, Alert, Event, ModelVersion, Release, Rollout
from tidegate.store.state import State, fold

IDS = ("r1", "r2", "r3")
BUNDLES = ("b1", "b2", "b3")
MOVES = {
    "rollout.stepped": "running",
    "rollout.paused": "paused",
    "rollout.resumed": "running",
    "rollout.held": "held",
    "rollout.promoted": "promoted",
    "rollout.rolled_back": "rolled_back",
}
ENDS = ("rollout.promoted", "rollout.rolled_back")

Loose = tuple[str, str, dict[str, Any]]


def release(number: int, bundle: str = "b1") -> Release:
    return Release(number, bundle, "e", "promoted", float(number))


def rollout(id: str, phase: str = "running", weight: float = 0.1) -> Rollout:
    return msgspec.convert(
        {
            "id": id,
            "endpoint": "e",
            "stable": "b1",
            "candidate": "b2",
            "steps": (0.1, 0.5),
            "step": 0,
            "weight": weight,
            "phase": phase,
            "started": 1.0,
            "stepped": 2.0,
        },
        Rollout,
    )


def version(number: int, bundle: str) -> ModelVersion:
    return ModelVersion("m", number, bundle, "c" * 40, "d" * 64)


def alert(kind: str, subject: str, because: str = "it moved") -> Alert:
    found = {"kind": kind, "subject": subject, "severity": "ticket", "because": because, "since": 1.0}
    return msgspec.convert(found, Alert)


def body(record: msgspec.Struct) -> dict[str, Any]:
    """What the ledger gives back: plain JSON, no tuples."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


def numbered(loose: Iterable[Loose], after: int = 0) -> list[Event]:
    return [
        Event(seq, float(seq), kind, subject, content, "", "")
        for seq, (kind, subject, content) in enumerate(loose, start=after + 1)
    ]


def registered(item: ModelVersion) -> Loose:
    return "bundle.registered", item.digest, body(item)


def released(item: Release, kind: str = "release.applied") -> Loose:
    return kind, item.endpoint, body(item)


def started(item: Rollout) -> Loose:
    return "rollout.started", item.id, body(item)


def moved(kind: str, id: str, weight: float = 0.5) -> Loose:
    return kind, id, {"rollout": body(rollout(id, MOVES[kind], weight))}


def raised(item: Alert) -> Loose:
    return "alert.raised", item.subject, body(item)


def cleared(kind: str, subject: str) -> Loose:
    return "alert.cleared", subject, {"kind": kind}


ids = st.sampled_from(IDS)
numbers = st.integers(1, 9)
kinds = st.sampled_from(["drift", "performance", "log"])
weights = st.floats(0, 1)
unheard: st.SearchStrategy[Loose] = st.tuples(
    st.sampled_from(["run.recorded", "gate.decided", "rollout", ""]), ids, st.just({"any": [1, None]})
)
moves = st.builds(moved, st.sampled_from(sorted(MOVES)), ids, weights)
others = st.one_of(
    st.builds(registered, st.builds(version, numbers, st.sampled_from(BUNDLES))),
    st.builds(
        released,
        st.builds(release, numbers, st.sampled_from(BUNDLES)),
        st.sampled_from(["release.applied", "release.rolled_back"]),
    ),
    st.builds(raised, st.builds(alert, kinds, ids, st.text(max_size=5))),
    st.builds(cleared, kinds, ids),
    unheard,
)
histories = st.lists(st.one_of(others, moves, st.builds(started, st.builds(rollout, ids))), max_size=25)
law = settings(max_examples=150, deadline=None, derandomize=True)


@law
@given(histories, st.data())
def test_folding_in_parts_equals_folding_at_once(history: Sequence[Loose], data: st.DataObject) -> None:
    events = numbered(history)
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


@law
@given(histories)
def test_a_state_survives_being_written_down(history: Sequence[Loose]) -> None:
    state = fold(numbered(history))
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state


@law
@given(histories, unheard)
def test_an_unknown_kind_only_moves_the_number(history: Sequence[Loose], strange: Loose) -> None:
    before = fold(numbered(history))
    after = fold(numbered([strange], after=before.seq), before)
    assert after == msgspec.structs.replace(before, seq=len(history) + 1)


@law
@given(histories, ids, st.sampled_from(ENDS), st.lists(st.one_of(moves, others), max_size=15))
def test_a_terminal_rollout_absorbs_every_later_event(
    history: Sequence[Loose], id: str, end: str, later: Sequence[Loose]
) -> None:
    ended = fold(numbered([*history, started(rollout(id)), moved(end, id, 0.0)]))
    assert ended.rollouts[-1].phase in TERMINAL_PHASES
    after = fold(numbered(later, after=ended.seq), ended)
    assert after.rollouts == ended.rollouts
    assert after.rollout is None


@law
@given(histories)
def test_the_rollout_in_progress_is_the_last_one_unless_it_ended(history: Sequence[Loose]) -> None:
    state = fold(numbered(history))
    last = state.rollouts[-1] if state.rollouts else None
    assert state.rollout == (last if last and last.phase not in TERMINAL_PHASES else None)


@law
@given(histories, numbers, st.sampled_from(BUNDLES))
def test_live_is_the_last_release(history: Sequence[Loose], number: int, bundle: str) -> None:
    before = fold(numbered(history))
    newest = release(number, bundle)
    after = fold(numbered([released(newest), *(h for h in history if "release" not in h[0])]), before)
    assert after.live == newest
    assert after.releases[:-1] == before.releases


@law
@given(histories)
def test_an_alert_stands_once_for_its_kind_and_subject(history: Sequence[Loose]) -> None:
    standing: dict[tuple[str, str], Alert] = {}
    for kind, subject, content in history:
        if kind == "alert.cleared":
            standing.pop((content["kind"], subject), None)
        if kind == "alert.raised":
            standing[content["kind"], subject] = msgspec.convert(content, Alert)
    found = {(a.kind, a.subject): a for a in fold(numbered(history)).alerts}
    assert found == standing
    assert len(fold(numbered(history)).alerts) == len(standing)


def test_nothing_happened_yet() -> None:
    state = fold([])
    assert state == State()
    assert (state.seq, state.live, state.rollout, state.version_of("b1")) == (0, None, None, None)


def test_a_version_is_found_by_its_bundle() -> None:
    first, second = version(1, "b1"), version(2, "b2")
    state = fold(numbered([registered(first), registered(second)]))
    assert (state.version_of("b1"), state.version_of("b2"), state.version_of("b3")) == (first, second, None)


def test_a_rollback_is_a_release_of_its_own() -> None:
    history = [released(release(1)), released(release(2, "b2")), released(release(3), "release.rolled_back")]
    state = fold(numbered(history))
    assert [r.number for r in state.releases] == [1, 2, 3]
    assert state.live == release(3)


@pytest.mark.parametrize(("kind", "phase"), MOVES.items())
def test_every_move_of_a_rollout_replaces_it_by_what_the_event_says(kind: str, phase: str) -> None:
    earlier = [started(rollout("r1")), moved("rollout.promoted", "r1", 1.0)]
    state = fold(numbered([*earlier, started(rollout("r2")), moved(kind, "r2", 0.25)]))
    assert state.rollouts == (rollout("r1", "promoted", 1.0), rollout("r2", phase, 0.25))


@pytest.mark.parametrize("kind", MOVES)
def test_a_move_of_another_rollout_changes_nothing(kind: str) -> None:
    state = fold(numbered([started(rollout("r1")), moved(kind, "r2")]))
    assert state == State(seq=2, rollouts=(rollout("r1"),))
    assert state.rollout == rollout("r1")


@pytest.mark.parametrize("kind", MOVES)
def test_a_move_of_a_rollout_that_never_started_changes_nothing(kind: str) -> None:
    assert fold(numbered([moved(kind, "r1")])) == State(seq=1)


def test_an_alert_raised_again_says_the_newest_reason_and_is_cleared_once() -> None:
    both = [raised(alert("drift", "x")), raised(alert("log", "x")), raised(alert("drift", "x", "more"))]
    state = fold(numbered(both))
    assert state.alerts == (alert("log", "x"), alert("drift", "x", "more"))
    assert fold(numbered([*both, cleared("drift", "x")])).alerts == (alert("log", "x"),)
    assert fold(numbered([*both, cleared("drift", "y"), cleared("performance", "x")])).alerts == state.alerts


@pytest.mark.parametrize("kind", ["release.applied", "bundle.registered", "rollout.started", "alert.raised"])
def test_a_body_that_is_not_its_record_is_an_error(kind: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        fold(numbered([(kind, "s", {"surprise": 1})]))
