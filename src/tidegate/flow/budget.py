"""The budget of test sets as verbs: what is spent, and how machines that judge share one ledger of verdicts."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.domain import Decision, Event
from tidegate.errors import ConflictError, CorruptError, NotFoundError
from tidegate.store.exchange import (
    DECIDED,
    Merged,
    decided,
    head_of,
    merge,
    read_events,
    unite,
    write_events,
)
from tidegate.store.files import write_atomic
from tidegate.store.layout import Layout
from tidegate.store.ledger import Entry, Ledger, open_ledger
from tidegate.store.shared_ref import Place, Seen, read_shared, replace_shared, shown

REF = "refs/tidegate/budget"
FILE = "budget.jsonl"
ATTEMPTS = 50
LONGEST_WAIT_S = 0.5

Judged = Callable[[Sequence[Decision]], Decision]


class Exported(NamedTuple):
    """How many verdicts a file holds, and the digest that covers them."""

    events: int
    head: str


class Pushed(NamedTuple):
    """What the remote holds after a push, how many of these it did not know, and what it brought us."""

    events: int
    sent: int
    merged: Merged


def export(root: Path, path: Path) -> Exported:
    """Write every verdict known here to a file that proves itself."""
    with open_ledger(Layout(root).ledger) as ledger:
        events = unite(decided(ledger))
    write_atomic(path, write_events(events))
    return Exported(len(events), head_of(events))


def merge_files(root: Path, paths: Sequence[Path]) -> Merged:
    """Take in what files know and the ledger does not: of all files, or of none when one is not sound."""
    incoming = unite(*(read_file(path) for path in paths))
    with open_ledger(Layout(root).ledger) as ledger:
        return merge(ledger, incoming, ", ".join(path.name for path in paths))


def read_file(path: Path) -> tuple[Event, ...]:
    """The verdicts of an exported file; CorruptError where it was changed."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(str(path), "no such file", hint="tidegate budget export FILE") from None
    except UnicodeDecodeError as error:
        raise CorruptError(path.name, f"byte {error.start} is not UTF-8") from None
    return read_events(text, where=path.name)


def pull(root: Path, remote: str) -> Merged:
    """Take in what the remote knows and the ledger does not."""
    with open_ledger(Layout(root).ledger) as ledger:
        return _pull(ledger, place_at(root, remote))[1]


def push(root: Path, remote: str) -> Pushed:
    """Pull, then give the remote what it does not know; nothing that it knows is ever lost."""
    place = place_at(root, remote)
    with open_ledger(Layout(root).ledger) as ledger:
        for attempt in range(ATTEMPTS):
            seen, merged = _pull(ledger, place)
            events = unite(decided(ledger))
            if _replaced(place, seen, events):
                before = len(read_events(seen.text, where=place.ref))
                return Pushed(len(events), len(events) - before, merged)
            _wait(attempt)
    raise _overrun(place)


def in_line(ledger: Ledger, place: Place, judged: Judged) -> Decision:
    """A decision made in one line with everybody who shares the remote, and its place in the ledger.

    `judged` decides from the verdicts so far, and returns one of them where it answers the question. Its answer
    is told only after the remote has counted it, so two jobs at once are tested one after the other, the second
    at the error that the first has left. Raises ConflictError when other jobs are faster all the time.
    """
    for attempt in range(ATTEMPTS):
        seen, _ = _pull(ledger, place)
        known = decided(ledger)
        decision, event = _next(ledger, known, judged)
        if _replaced(place, seen, unite(known, [event])):
            _keep(ledger, event, place)
            return decision
        _wait(attempt)
    raise _overrun(place)


def place_at(root: Path, remote: str) -> Place:
    """Where the verdicts are kept in a remote."""
    return Place(root, remote, REF, FILE)


def _next(ledger: Ledger, known: Sequence[Event], judged: Judged) -> tuple[Decision, Event]:
    """The decision and its event: a known one, or the one that the ledger would write next."""
    history = [msgspec.convert(event.body, Decision) for event in known]
    decision = judged(history)
    if decision in history:
        return decision, known[history.index(decision)]
    entry = Entry(DECIDED, decision.candidate, msgspec.to_builtins(decision))
    return decision, ledger.foresee(entry, at=decision.at)


def _keep(ledger: Ledger, event: Event, place: Place) -> None:
    """Write down what the remote has counted: as our own event if its place is still free, else as a merged one."""
    if event in decided(ledger):
        return
    try:
        ledger.append(event.kind, event.subject, event.body, at=event.at, expect=event.seq - 1)
    except ConflictError:
        merge(ledger, [event], shown(place))


def _pull(ledger: Ledger, place: Place) -> tuple[Seen, Merged]:
    seen = read_shared(place)
    incoming = read_events(seen.text, where=f"{shown(place)} {place.ref}")
    return seen, merge(ledger, incoming, shown(place))


def _replaced(place: Place, seen: Seen, events: Sequence[Event]) -> bool:
    """Whether the remote holds exactly these events now."""
    text = write_events(events)
    return text == seen.text or replace_shared(place, seen, text)


def _wait(attempt: int) -> None:
    """Jobs that collided do not come back at the same time."""
    time.sleep(random.uniform(0, min(LONGEST_WAIT_S, 0.02 * 2**attempt)))  # noqa: S311 - no secret


def _overrun(place: Place) -> ConflictError:
    found = f"other jobs were faster {ATTEMPTS} times in a row"
    return ConflictError(f"{shown(place)} {place.ref}", found, hint="try again")
