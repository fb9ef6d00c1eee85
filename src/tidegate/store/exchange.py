"""Verdicts on the road: a file that proves itself, and its union with what a ledger knows.

An event keeps the number, the predecessor and the hash that it has in the ledger it was born in, so it is the same
event wherever it arrives. What is known is a set: merging adds, in any order and any number of times.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tidegate.domain import Decision, Event
from tidegate.errors import CorruptError, UsageError
from tidegate.store.files import sha256_bytes
from tidegate.store.ledger import Ledger, canonical, event_hash

DECIDED = "gate.decided"
MERGED = "budget.merged"
FORMAT = "tidegate budget"
TAMPERED = "take the file from where it was exported again"

Question = tuple[object, ...]


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a file: how many events follow, and the digest of all their hashes."""

    format: str
    version: int
    events: int
    head: str


class Conflict(NamedTuple):
    """One question that was given different verdicts; the first, from the strictest test, stands."""

    candidate: str
    test_set: str
    verdicts: tuple[str, ...]


class Merged(NamedTuple):
    """What a merge brought: events that were new here, those known before, and verdicts that disagree."""

    new: int
    known: int
    conflicts: tuple[Conflict, ...]


def decided(ledger: Ledger) -> tuple[Event, ...]:
    """Every verdict known here, the ledger's own and the merged ones, in the order in which they count."""
    events = ledger.events(kinds=(DECIDED, MERGED))
    return in_line(one for event in events for one in _embedded(event))


def merge(ledger: Ledger, incoming: Sequence[Event], source: str) -> Merged:
    """Take in the events that are not known yet, as one event of our own that holds them whole."""
    known = decided(ledger)
    new = without(incoming, known)
    if new:
        ledger.append(MERGED, source, {"events": [msgspec.to_builtins(event) for event in new]})
    asked = {question_of(event) for event in incoming}
    found = conflicts(one for one in (*known, *new) if question_of(one) in asked)
    return Merged(len(new), len(unite(incoming)) - len(new), found)


def unite(*sets: Iterable[Event]) -> tuple[Event, ...]:
    """Every event once, by time: whatever the order and the grouping of the sets."""
    every = {event.hash: event for events in sets for event in events}
    return tuple(sorted(every.values(), key=_moment))


def without(events: Iterable[Event], known: Iterable[Event]) -> tuple[Event, ...]:
    """The events that are not among the known ones."""
    hashes = {event.hash for event in known}
    return tuple(event for event in unite(events) if event.hash not in hashes)


def in_line(events: Iterable[Event]) -> tuple[Event, ...]:
    """Every event once, oldest question first; of the answers to one question the strictest test's comes first.

    Two machines that did not know of each other may have tested the same rows at different errors.
    """
    every = unite(events)
    since = {question_of(event): _moment(event) for event in reversed(every)}
    return tuple(sorted(every, key=lambda event: (since[question_of(event)], _error(event), _moment(event))))


def conflicts(events: Iterable[Event]) -> tuple[Conflict, ...]:
    """The questions that were given different verdicts."""
    answers: dict[Question, list[Event]] = {}
    for event in in_line(events):
        answers.setdefault(question_of(event), []).append(event)
    return tuple(
        Conflict(str(question[0]), str(question[2]), verdicts)
        for question, given in answers.items()
        if len(verdicts := tuple(dict.fromkeys(str(event.body["verdict"]) for event in given))) > 1
    )


def question_of(event: Event) -> Question:
    """What was asked: candidate, baseline, test set and rules, as digests."""
    return tuple(event.body[name] for name in ("candidate", "baseline", "test_set", "rules"))


def write_events(events: Iterable[Event]) -> str:
    """Events as JSON lines below a head that covers them all: the same text for the same set."""
    every = unite(events)
    head = Head(FORMAT, 1, len(every), head_of(every))
    return "".join(f"{canonical(msgspec.to_builtins(line))}\n" for line in (head, *every))


def read_events(text: str, *, where: str) -> tuple[Event, ...]:
    """The events of such a text; the empty text holds none.

    Raises CorruptError, naming the line, when anything was changed, removed, added or moved since it was written,
    and UsageError for what is no such text or was written by a version that knew more.
    """
    # a line ends only where JSON cannot hold the end of a line
    first, *lines = (text or write_events(())).removesuffix("\n").split("\n")
    head = _read_head(first, where=where)
    events = tuple(_read_event(line, where=f"{where}:{number}") for number, line in enumerate(lines, start=2))
    if len(events) != head.events:
        found = f"{len(events)} events, the first line counts {head.events}"
        raise CorruptError(where, found, hint=TAMPERED)
    if head_of(events) != head.head or events != unite(events):
        raise CorruptError(where, "events were exchanged or moved, the first line differs", hint=TAMPERED)
    return events


def head_of(events: Iterable[Event]) -> str:
    """One digest for a set of events in its order."""
    return sha256_bytes("".join(event.hash for event in events).encode())


def _read_head(line: str, *, where: str) -> Head:
    try:
        head = msgspec.json.decode(line, type=Head)
    except (msgspec.MsgspecError, UnicodeError):
        head = Head("", 0, 0, "")
    if (head.format, head.version) != (FORMAT, 1):
        hint = "write it with `tidegate budget export`"
        raise UsageError(f"{where}:1", f"no file of verdicts, expected the format `{FORMAT}` 1", hint=hint)
    return head


def _read_event(line: str, *, where: str) -> Event:
    try:
        event = msgspec.json.decode(line, type=Event)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise CorruptError(where, f"no event, {error}", hint=TAMPERED) from None
    if event.kind != DECIDED or event_hash(event) != event.hash:
        raise CorruptError(where, "the event differs from its hash", hint=TAMPERED)
    try:
        msgspec.convert(event.body, Decision)
    except msgspec.ValidationError as error:
        hint = "update tidegate to the version that wrote it"
        raise UsageError(where, f"no verdict that is known here, {error}", hint=hint) from None
    return event


def _embedded(event: Event) -> list[Event]:
    return [event] if event.kind == DECIDED else msgspec.convert(event.body["events"], list[Event])


def _moment(event: Event) -> tuple[float, int, str]:
    return event.at, event.seq, event.hash


def _error(event: Event) -> float:
    return float(str(event.body["error"]))
