"""Verdicts on the road: a set that only grows, and a file in which every changed byte shows."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain import Decision, Event
from tidegate.errors import CorruptError, UsageError
from tidegate.store.exchange import (
    DECIDED,
    Merged,
    conflicts,
    decided,
    in_line,
    merge,
    question_of,
    read_events,
    unite,
    without,
    write_events,
)
from tidegate.store.ledger import GENESIS, Entry, canonical, event_hash, open_ledger


def decision(candidate: str = "c1", verdict: Any = "pass", error: float = 0.01, at: float = 1.0) -> Decision:
    return Decision(candidate, None, "t1", "r1", "", (), verdict, error, 1, at)


def event(made: Decision, seq: int = 1) -> Event:
    body = json.loads(canonical(msgspec.to_builtins(made)))
    bare = Event(seq, made.at, DECIDED, made.candidate, body, GENESIS, "")
    return msgspec.structs.replace(bare, hash=event_hash(bare))


VERDICTS = st.builds(
    lambda candidate, verdict, error, at, seq: event(decision(candidate, verdict, error, at), seq),
    st.sampled_from(["c1", "c2", "größe\u2028"]),
    st.sampled_from(["pass", "block", "underpowered"]),
    st.sampled_from([0.0, 1e-5, 0.01]),
    st.sampled_from([1.0, 2.5, 3.0]),
    st.integers(1, 3),
)
SETS = st.lists(VERDICTS, max_size=6)


@given(SETS, SETS, SETS)
def test_the_union_is_idempotent_commutative_and_associative(
    one: list[Event], two: list[Event], three: list[Event]
) -> None:
    assert unite(one, one) == unite(one) == unite(unite(one))
    assert unite(one, two) == unite(two, one)
    assert unite(unite(one, two), three) == unite(one, unite(two, three))
    assert write_events([*one, *two]) == write_events([*reversed(two), *one])


@given(SETS, SETS)
def test_a_union_loses_nothing(one: list[Event], two: list[Event]) -> None:
    hashes = {some.hash for some in unite(one, two)}
    assert hashes == {some.hash for some in (*one, *two)}
    assert unite(one, without(two, one)) == unite(one, two)
    assert {some.hash for some in in_line([*one, *two])} == hashes


@given(SETS)
def test_the_line_depends_on_the_set_alone_and_puts_the_strictest_answer_first(some: list[Event]) -> None:
    line = in_line(some)
    assert line == in_line(reversed(some)) == in_line(line)
    answers: dict[Any, list[float]] = {}
    for one in line:
        answers.setdefault(question_of(one), []).append(one.body["error"])  # type: ignore[arg-type]
    assert all(errors == sorted(errors) for errors in answers.values())
    disagreeing = {q for q in answers if len({o.body["verdict"] for o in some if question_of(o) == q}) > 1}
    assert len(conflicts(some)) == len(disagreeing)


@given(SETS)
def test_a_file_is_read_back_as_the_set_that_was_written(some: list[Event]) -> None:
    assert read_events(write_events(some), where="f") == unite(some)


def test_nothing_written_is_no_verdict() -> None:
    assert read_events("", where="f") == read_events(write_events([]), where="f") == ()


LINES = write_events(event(decision(f"c{n}", at=float(n)), n) for n in range(1, 5)).splitlines(keepends=True)


def _edited(number: int, change: Callable[[dict[str, Any]], Any]) -> str:
    line = json.loads(LINES[number])
    change(line)
    return "".join([*LINES[:number], canonical(line) + "\n", *LINES[number + 1 :]])


def _forged(number: int, **changes: Any) -> str:
    """An event rewritten together with its own hash."""
    old = msgspec.json.decode(LINES[number], type=Event)
    new = msgspec.structs.replace(old, body={**old.body, **changes})
    new = msgspec.structs.replace(new, hash=event_hash(new))
    return "".join([*LINES[:number], canonical(msgspec.to_builtins(new)) + "\n", *LINES[number + 1 :]])


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        (_edited(2, lambda line: line["body"].update(verdict="block")), "f:3", "differs from its hash"),
        (_edited(1, lambda line: line.update(at=0.5)), "f:2", "differs from its hash"),
        (_edited(3, lambda line: line.update(previous="1" * 64)), "f:4", "differs from its hash"),
        (_edited(4, lambda line: line.update(kind="release.applied")), "f:5", "differs from its hash"),
        (_edited(4, lambda line: line.pop("seq")), "f:5", "no event"),
        (_edited(0, lambda line: line.update(events=3)), "f", "4 events, the first line counts 3"),
        (_edited(0, lambda line: line.update(head="0" * 64)), "f", "exchanged or moved"),
        ("".join(LINES[:-1]), "f", "3 events, the first line counts 4"),
        ("".join([LINES[0], *LINES[2:]]), "f", "3 events"),
        ("".join([*LINES, LINES[2]]), "f", "5 events"),
        ("".join([LINES[0], LINES[2], LINES[1], *LINES[3:]]), "f", "exchanged or moved"),
        ("".join([LINES[0], LINES[1], LINES[1], *LINES[3:]]), "f", "exchanged or moved"),
        (_forged(2, verdict="block"), "f", "exchanged or moved"),
        ("".join(LINES) + "\n", "f:6", "no event"),
        ("".join(LINES)[:-20], "f:5", "no event"),
    ],
)
def test_whatever_is_changed_in_a_file_shows(text: str, where: str, found: str) -> None:
    with pytest.raises(CorruptError, match=found) as caught:
        read_events(text, where="f")
    assert caught.value.where == where


@given(st.data())
def test_no_changed_character_goes_unseen(data: st.DataObject) -> None:
    text = "".join(LINES)
    place = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.sampled_from([c for c in '0a}"x9' if c != text[place]]))
    with pytest.raises((CorruptError, UsageError)):
        read_events(text[:place] + other + text[place + 1 :], where="f")


@pytest.mark.parametrize(
    "text", ["request,truth\n", "{}\n", "[1]\n", LINES[0].replace('"version":1', '"version":2')]
)
def test_another_file_is_refused_by_its_first_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^f:1: no file of verdicts"):
        read_events(text, where="f")


def test_a_verdict_with_a_field_of_the_future_asks_for_an_update() -> None:
    newer = event(decision())
    newer = msgspec.structs.replace(newer, body={**newer.body, "mood": "good"})
    newer = msgspec.structs.replace(newer, hash=event_hash(newer))
    with pytest.raises(UsageError, match=r"^f:2: no verdict that is known here, .*`mood`"):
        read_events(write_events([newer]), where="f")


def test_what_is_merged_counts_once_and_only_what_is_new_is_written(tmp_path: Path) -> None:
    foreign = [event(decision("c1")), event(decision("c2", at=2.0))]
    with open_ledger(tmp_path / "ledger.db") as ledger:
        own = ledger.append(DECIDED, "c3", msgspec.to_builtins(decision("c3", at=3.0)), at=3.0)
        assert merge(ledger, foreign[:1], "a") == Merged(1, 0, ())
        assert merge(ledger, [*foreign, *foreign, own], "b") == Merged(1, 2, ())
        assert merge(ledger, decided(ledger), "c") == Merged(0, 3, ())
        assert decided(ledger) == (*foreign, own)
        assert [one.kind for one in ledger.events()] == [DECIDED, "budget.merged", "budget.merged"]
        assert ledger.verify().events == 3


def test_verdicts_travel_through_a_third_ledger_unchanged(tmp_path: Path) -> None:
    texts = []
    with open_ledger(tmp_path / "0.db") as first:
        for n in range(3):
            first.append(DECIDED, "c", msgspec.to_builtins(decision(f"c{n}", at=float(n))), at=float(n))
        texts.append(write_events(decided(first)))
    for n in (1, 2):
        with open_ledger(tmp_path / f"{n}.db") as ledger:
            ledger.append_all([Entry("test.happened", "s", {})])
            merge(ledger, read_events(texts[-1], where="f"), "before")
            texts.append(write_events(decided(ledger)))
    assert len(set(texts)) == 1


def test_conflicting_answers_are_named_and_the_strictest_stands(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger.db") as ledger:
        loose = decision("c1", "pass", 0.01, at=1.0)
        ledger.append(DECIDED, "c1", msgspec.to_builtins(loose), at=1.0)
        strict = event(decision("c1", "block", 0.001, at=2.0), 7)
        (found,) = merge(ledger, [strict], "ci").conflicts
        assert (found.candidate, found.test_set, found.verdicts) == ("c1", "t1", ("block", "pass"))
        assert decided(ledger)[0] == strict
        assert merge(ledger, [event(decision("c9"))], "ci").conflicts == ()


def test_a_merged_event_that_is_tampered_with_breaks_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        merge(ledger, [event(decision("c1", "block"))], "ci")
        ledger.append("test.happened", "s", {})
        raw = sqlite3.connect(path)
        raw.executescript(
            "drop trigger event_is_final; update event set body = replace(body, 'block', 'pass') where seq = 1"
        )
        raw.close()
        with pytest.raises(CorruptError, match=r"^ledger: event 1 differs from its hash"):
            ledger.verify()


def test_what_is_foreseen_is_what_is_appended(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger.db") as ledger:
        for n in range(2):
            entry = Entry(DECIDED, "c", {"n": n})
            seen = ledger.foresee(entry, at=float(n))
            assert ledger.append(DECIDED, "c", {"n": n}, at=float(n), expect=seen.seq - 1) == seen
            assert event_hash(seen) == seen.hash
