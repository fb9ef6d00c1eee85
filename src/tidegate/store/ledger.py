"""The ledger: one SQLite file of events, each chained to the last by its hash; nothing is ever changed.

Safe under concurrent processes: a writer holds SQLite's write lock from reading the head to the commit.
What the chain cannot show is the loss of its newest events together with the counter beside them:
keep the hash that `audit verify` prints to detect that.
"""

import json
import sqlite3
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tidegate.domain import Event
from tidegate.errors import ConflictError, CorruptError, NotFoundError
from tidegate.store.files import sha256_bytes
from tidegate.store.lock import hold
from tidegate.store.stamp import Stamp, stamp_of
from tidegate.store.state import State, fold

GENESIS = "0" * 64
BUSY_S = 30.0
RESTORE = "restore the file from a backup"

SCHEMA = """
create table if not exists event (
  seq integer primary key autoincrement, at real not null, kind text not null, subject text not null,
  body text not null, previous text not null, hash text not null unique
) strict;
create index if not exists event_kind on event (kind, seq);
create trigger if not exists event_is_final before update on event begin
  select raise(abort, 'events are final'); end;
create trigger if not exists event_stays before delete on event begin
  select raise(abort, 'events are final'); end;
"""
SELECT = "select seq, at, kind, subject, body, previous, hash from event"
INSERT = "insert into event (seq, at, kind, subject, body, previous, hash) values (?, ?, ?, ?, ?, ?, ?)"


class Entry(NamedTuple):
    """An event before it has a place in the chain."""

    kind: str
    subject: str
    body: dict[str, object]


class Verified(NamedTuple):
    """An unbroken chain: how many events, and the hash that covers them all."""

    events: int
    head: str


class Ledger:
    """An open ledger file; use it as a context manager, in one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        # not every file system has what SQLite's write-ahead log takes
        mode = connection.execute("pragma journal_mode").fetchone()[0]
        self._written = f"{path}-wal" if mode == "wal" else str(path)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def append(
        self,
        kind: str,
        subject: str,
        body: dict[str, object],
        *,
        at: float | None = None,
        expect: int | None = None,
    ) -> Event:
        """Write one event; see append_all."""
        return self.append_all([Entry(kind, subject, body)], at=at, expect=expect)[0]

    def append_all(
        self, entries: Sequence[Entry], *, at: float | None = None, expect: int | None = None
    ) -> list[Event]:
        """Write events in one transaction: all of them or none.

        Raises ConflictError when the newest event is not number `expect` any more, or when another
        process holds the ledger for longer than 30 s.
        """
        try:
            self._connection.execute("begin immediate")
        except sqlite3.OperationalError as error:
            raise ConflictError("ledger", f"another process is writing, {error}", hint="try again") from None
        with self._connection:
            seq, previous = self._head()
            if expect is not None and seq != expect:
                raise ConflictError(
                    "ledger", f"event {seq} came in between, expected {expect}", hint="try again"
                )
            events = _chain(entries, seq, previous, at=time.time() if at is None else float(at))
            self._connection.executemany(INSERT, [_row(event) for event in events])
        return events

    def foresee(self, entry: Entry, *, at: float) -> Event:
        """The event that appending `entry` would write if nothing came in between."""
        return _chain([entry], *self._head(), at=at)[0]

    def events(self, after: int = 0, kinds: Collection[str] = ()) -> list[Event]:
        """Events newer than number `after`, oldest first; of these kinds only, when given."""
        marks = ", ".join("?" for _ in kinds)
        among = f" and kind in ({marks})" if kinds else ""
        rows = self._connection.execute(f"{SELECT} where seq > ?{among} order by seq", (after, *kinds))
        return [_event(row) for row in rows]

    def head(self) -> int:
        """The number of the newest event, 0 before the first; cheap enough to ask 20 times a second."""
        return self._head()[0]

    def stamp(self) -> Stamp:
        """What changes when somebody writes; SQLite shows the events some time after that, when they are durable."""
        return stamp_of(self._written)

    def state(self) -> State:
        """What all events together say about now."""
        return fold(self.events())

    def follow(self, state: State) -> State:
        """`state` moved on by the events that are newer than it."""
        return fold(self.events(after=state.seq), state)

    def verify(self) -> Verified:
        """Recompute the whole chain; raises CorruptError with the number of the first event that differs."""
        previous, count = GENESIS, 0
        try:
            for row in self._connection.execute(f"{SELECT} order by seq"):
                count += 1
                if row[0] != count or row[5] != previous or row[6] != _recomputed(row[:6]):
                    found = f"event {row[0]} differs from its hash or does not follow event {count - 1}"
                    raise CorruptError("ledger", found, hint=RESTORE)
                previous = row[6]
            self._check_count(count)
        except sqlite3.DatabaseError as error:
            raise CorruptError("ledger", f"unreadable after event {count}, {error}", hint=RESTORE) from None
        return Verified(count, previous)

    def _head(self) -> tuple[int, str]:
        row = self._connection.execute("select seq, hash from event order by seq desc limit 1").fetchone()
        return row or (0, GENESIS)

    def _check_count(self, count: int) -> None:
        """SQLite keeps the highest number ever given, so a cut tail shows."""
        given = self._connection.execute("select seq from sqlite_sequence where name = 'event'").fetchone()
        if given and given[0] != count:
            found = f"{given[0]} events were written, {count} are here"
            raise CorruptError("ledger", found, hint=RESTORE)


def open_ledger(path: Path, *, create: bool = True) -> Ledger:
    """Open the ledger at `path`, creating it at first use.

    Raises NotFoundError when it is missing and `create` is false, CorruptError when it is no ledger.
    """
    if not create and not path.exists():
        raise NotFoundError(path.name, "no ledger here, nothing has happened yet", hint="tidegate repro")
    # SQLite does not wait for its turn to change the journal mode, so one process at a time sets up
    with hold(path.with_name(f"{path.name}.lock"), what="ledger", wait_s=BUSY_S):
        return Ledger(_connect(path), path)


def event_hash(event: Event) -> str:
    """What the hash of an event must be, wherever it came from; "" for what no event can hold."""
    return _recomputed(
        (event.seq, event.at, event.kind, event.subject, canonical(event.body), event.previous)
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.executescript(SCHEMA)
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ConflictError("ledger", f"another process is at it, {error}", hint="try again") from None
        raise CorruptError(path.name, f"not a ledger, {error}", hint=RESTORE) from None
    return connection


def _chain(entries: Sequence[Entry], seq: int, previous: str, *, at: float) -> list[Event]:
    events: list[Event] = []
    for number, entry in enumerate(entries, start=seq + 1):
        body = json.loads(canonical(entry.body))
        digest = _hash((number, at, entry.kind, entry.subject, canonical(body), previous))
        events.append(Event(number, at, entry.kind, entry.subject, body, previous, digest))
        previous = digest
    return events


def _recomputed(fields: Sequence[object]) -> str:
    """The hash of stored fields; "" for what no event can hold."""
    try:
        return _hash(fields)
    except ValueError:
        return ""


def _hash(fields: Sequence[object]) -> str:
    """sha256 of the canonical JSON of [seq, at, kind, subject, body, previous]; `body` comes as text."""
    seq, at, kind, subject, body, previous = fields
    return sha256_bytes(canonical([seq, at, kind, subject, json.loads(str(body)), previous]).encode())


def canonical(value: object) -> str:
    """JSON of which there is one for a value: what hashes are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _row(event: Event) -> tuple[object, ...]:
    return (
        event.seq,
        event.at,
        event.kind,
        event.subject,
        canonical(event.body),
        event.previous,
        event.hash,
    )


def _event(row: tuple[int, float, str, str, str, str, str]) -> Event:
    seq, at, kind, subject, body, previous, digest = row
    return Event(seq, at, kind, subject, json.loads(body), previous, digest)
