"""The ledger: a chain anyone can recompute, kept by every writer and broken by every other hand."""

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.domain import Event
from tidegate.errors import ConflictError, CorruptError, NotFoundError
from tidegate.store import ledger as ledger_module
from tidegate.store.ledger import GENESIS, Entry, Ledger, Verified, open_ledger
from tidegate.store.state import State

RELEASE: dict[str, object] = {"number": 1, "bundle": "b1", "endpoint": "e", "cause": "first", "at": 1.5}

APPEND_WHEN_TOLD = """
import sys
from pathlib import Path
from tidegate.store.ledger import open_ledger
print("ready", flush=True)
sys.stdin.readline()
with open_ledger(Path(sys.argv[1])) as ledger:
    for number in range(100):
        ledger.append("test.raced", sys.argv[2], {"number": number})
"""
APPEND_FOREVER = """
import sys
from pathlib import Path
from tidegate.store.ledger import Entry, open_ledger
with open_ledger(Path(sys.argv[1])) as ledger:
    while True:
        entry = Entry("test.looped", "s", {"text": "x" * 200})
        print(ledger.append_all([entry, entry])[-1].seq, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with open_ledger(path) as opened:
        yield opened


@pytest.fixture
def tamper(path: Path, ledger: Ledger) -> Callable[..., None]:
    """`tamper("update ...")` on five events, past the triggers, as one with a shell could."""
    for number in range(5):
        ledger.append("test.happened", "s", {"number": number}, at=float(number))

    def run(*statements: str) -> None:
        raw = sqlite3.connect(path)
        raw.executescript("drop trigger event_is_final; drop trigger event_stays;")
        raw.executescript(";".join(statements))
        raw.close()

    return run


def canonical(value: Any) -> bytes:
    """The documented form: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def recomputed(event: Event) -> str:
    fields = [event.seq, event.at, event.kind, event.subject, event.body, event.previous]
    return hashlib.sha256(canonical(fields)).hexdigest()


def test_anyone_can_recompute_the_chain_from_the_events(ledger: Ledger) -> None:
    ledger.append("test.happened", "größe", {"z": 1, "a": {"y": None, "b": [1.5, "ü"]}}, at=1700000000.25)
    ledger.append_all([Entry("test.happened", "", {}), Entry("test.other", "x", {"ok": True})])
    events = ledger.events()
    assert [event.hash for event in events] == [recomputed(event) for event in events]
    assert [event.previous for event in events] == [GENESIS, events[0].hash, events[1].hash]
    assert ledger.verify() == Verified(3, events[-1].hash)


def test_what_is_appended_is_what_is_read_back(ledger: Ledger, path: Path) -> None:
    event = ledger.append("test.happened", "s", {"list": [1, 2.5, None, "t"], "in": {"b": False}}, at=5.0)
    assert (event.seq, event.at, event.kind, event.subject) == (1, 5.0, "test.happened", "s")
    with open_ledger(path, create=False) as again:
        assert again.events() == [event]


def test_an_event_without_a_time_happened_now(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module.time, "time", lambda: 1234.5)
    first, second = ledger.append_all([Entry("test.happened", "s", {})] * 2)
    assert (first.at, second.at) == (1234.5, 1234.5)


def test_an_empty_ledger_verifies(ledger: Ledger) -> None:
    assert ledger.append_all([]) == []
    assert (ledger.head(), ledger.events(), ledger.state()) == (0, [], State())
    assert ledger.verify() == Verified(0, GENESIS)


def test_the_head_is_the_number_of_events(ledger: Ledger) -> None:
    for number in range(1, 6):
        ledger.append("test.happened", "s", {})
        assert ledger.head() == len(ledger.events()) == number


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_stamp_changes_with_what_somebody_else_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    # a file system without shared memory leaves SQLite no write-ahead log
    connect = sqlite3.connect
    refuses = {"factory": _NoLog} if mode == "delete" else {}
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **options: connect(*words, **options, **refuses))
    with open_ledger(path) as mine, open_ledger(path) as other:
        for i in range(5):
            before = mine.stamp()
            assert mine.stamp() == before
            # more than a page, so that the size tells where the clock of the files is coarse
            other.append("test.happened", "s", {"i": i, "text": "x" * 5000})
            assert mine.stamp() != before


class _NoLog(sqlite3.Connection):
    """A connection that stays in the mode it has."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace(" = wal", ""), *values)


@pytest.mark.parametrize("wrong", [{"n": float("nan")}, {"n": float("inf")}, {"n": object()}])
def test_one_wrong_body_writes_none_of_the_events(ledger: Ledger, wrong: dict[str, object]) -> None:
    before = ledger.append("test.happened", "s", {})
    with pytest.raises((TypeError, ValueError)):
        ledger.append_all([Entry("test.happened", "s", {}), Entry("test.happened", "s", wrong)])
    assert ledger.events() == [before]
    assert ledger.append("test.happened", "s", {}).seq == 2
    assert ledger.verify().events == 2


def test_a_row_the_file_refuses_writes_none_of_the_events(ledger: Ledger, path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.executescript(
        "create trigger odd before insert on event when new.subject = 'odd' begin "
        "select raise(abort, 'refused'); end;"
    )
    raw.close()
    with pytest.raises(sqlite3.IntegrityError, match="refused"):
        ledger.append_all([Entry("test.happened", "even", {}), Entry("test.happened", "odd", {})])
    assert ledger.head() == 0


def test_expect_lets_only_the_one_who_saw_the_newest_event_write(ledger: Ledger, path: Path) -> None:
    assert ledger.append("test.happened", "s", {}, expect=0).seq == 1
    with open_ledger(path) as other:
        other.append("test.happened", "other", {}, expect=1)
    with pytest.raises(ConflictError) as caught:
        ledger.append_all([Entry("test.happened", "s", {})] * 2, expect=1)
    assert str(caught.value) == "ledger: event 2 came in between, expected 1"
    assert ledger.head() == 2
    assert ledger.append("test.happened", "s", {}, expect=2).seq == 3


def test_a_writer_that_holds_the_ledger_too_long_is_a_conflict(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "BUSY_S", 0.0)
    with open_ledger(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(ConflictError, match="ledger: another process is writing"):
            ledger.append("test.happened", "s", {})
        other.execute("rollback")
        other.close()
        assert ledger.append("test.happened", "s", {}).seq == 1


@pytest.mark.parametrize(
    ("after", "kinds", "expected"),
    [
        (0, (), [1, 2, 3, 4]),
        (2, (), [3, 4]),
        (4, (), []),
        (0, ("test.odd",), [1, 3]),
        (1, ("test.odd",), [3]),
        (0, ("test.odd", "test.even"), [1, 2, 3, 4]),
        (0, ("test.unheard",), []),
        (0, ("test.odd' or '1' = '1",), []),
    ],
)
def test_events_are_chosen_by_number_and_kind(
    ledger: Ledger, after: int, kinds: tuple[str, ...], expected: list[int]
) -> None:
    ledger.append_all([Entry("test.odd", "a", {}), Entry("test.even", "b", {})] * 2)
    assert [event.seq for event in ledger.events(after=after, kinds=kinds)] == expected


def test_following_a_state_equals_folding_the_whole_ledger(ledger: Ledger) -> None:
    ledger.append("release.applied", "e", RELEASE)
    early = ledger.state()
    ledger.append("release.applied", "e", {**RELEASE, "number": 2, "cause": "promoted"})
    assert early.live and early.live.number == 1
    assert ledger.follow(early) == ledger.state()
    assert ledger.follow(ledger.state()) == ledger.state()


@pytest.mark.parametrize(
    "statement",
    [
        "update event set body = '{}' where seq = 1",
        "update event set at = at",
        "delete from event where seq = 2",
        "delete from event",
    ],
)
def test_the_file_itself_refuses_to_change_an_event(ledger: Ledger, path: Path, statement: str) -> None:
    ledger.append_all([Entry("test.happened", "s", {})] * 2)
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="events are final"):
        raw.execute(statement)
    raw.close()
    assert ledger.verify().events == 2


@pytest.mark.parametrize("seq", [1, 3, 5])
@pytest.mark.parametrize(
    "change",
    [
        "body = '{\"number\":9}'",
        "body = json_set(body, '$.more', 1)",
        "at = at + 0.001",
        "kind = 'test.forged'",
        "subject = 'else'",
        "previous = hex(randomblob(32))",
        "hash = lower(hex(randomblob(32)))",
        "seq = seq + 100",
    ],
)
def test_a_changed_field_is_found_at_its_event(
    ledger: Ledger, tamper: Callable[..., None], seq: int, change: str
) -> None:
    tamper(f"update event set {change} where seq = {seq}")
    number = seq + 100 if change.startswith("seq") and seq == 5 else seq
    found = f"event {seq + 1}" if change.startswith("seq") and seq < 5 else f"event {number}"
    with pytest.raises(CorruptError, match=f"^ledger: {found} differs") as caught:
        ledger.verify()
    assert (caught.value.exit_code, caught.value.hint) == (6, "restore the file from a backup")


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["delete from event where seq = 1"], "event 2 differs from its hash or does not follow event 0"),
        (["delete from event where seq = 3"], "event 4 differs from its hash or does not follow event 2"),
        (["delete from event where seq in (2, 3)"], "event 4 differs"),
        (["delete from event where seq = 5"], "5 events were written, 4 are here"),
        (["delete from event where seq > 2"], "5 events were written, 2 are here"),
        (["delete from event"], "5 events were written, 0 are here"),
        (
            [
                "update event set seq = 99 where seq = 2",
                "update event set seq = 2 where seq = 3",
                "update event set seq = 3 where seq = 99",
            ],
            "event 2 differs",
        ),
        (
            ["insert into event select 6, at, kind, subject, body, hash, hex(hash) from event where seq = 5"],
            "event 6 differs",
        ),
    ],
)
def test_a_removed_moved_or_forged_event_is_found(
    ledger: Ledger, tamper: Callable[..., None], statements: list[str], found: str
) -> None:
    tamper(*statements)
    with pytest.raises(CorruptError, match=f"^ledger: {found}"):
        ledger.verify()


def test_a_past_that_is_rewritten_with_all_its_hashes_changes_the_head(
    ledger: Ledger, path: Path, tmp_path: Path
) -> None:
    bodies: list[dict[str, object]] = [{"n": n} for n in range(3)]
    for body in bodies:
        ledger.append("test.happened", "s", body, at=1.0)
    with open_ledger(tmp_path / "forged.db") as forged:
        for body in [{"n": 9}, *bodies[1:]]:
            forged.append("test.happened", "s", body, at=1.0)
        assert forged.verify().events == ledger.verify().events
        assert forged.verify().head != ledger.verify().head


def test_an_event_rewritten_with_its_own_hash_does_not_fit_the_next(
    ledger: Ledger, tamper: Callable[..., None]
) -> None:
    forged = msgspec.structs.replace(ledger.events()[1], body={"number": 9})
    tamper(f"update event set body = '{{\"number\":9}}', hash = '{recomputed(forged)}' where seq = 2")
    with pytest.raises(
        CorruptError, match=r"^ledger: event 3 differs from its hash or does not follow event 2$"
    ):
        ledger.verify()


def test_the_loss_of_the_tail_with_its_counter_shows_only_in_the_head(
    ledger: Ledger, tamper: Callable[..., None]
) -> None:
    noted = ledger.verify()
    tamper("delete from event where seq = 5", "update sqlite_sequence set seq = 4")
    assert ledger.verify() == Verified(4, ledger.events()[-1].hash) != noted


@pytest.mark.parametrize("change", ["body = 'no json'", "body = 'NaN'", "at = 9e999"])
def test_a_field_that_cannot_be_hashed_is_found_at_its_event(
    ledger: Ledger, tamper: Callable[..., None], change: str
) -> None:
    tamper(f"update event set {change} where seq = 3")
    with pytest.raises(CorruptError, match=r"^ledger: event 3 differs"):
        ledger.verify()


def test_overwritten_pages_are_corruption(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.append_all([Entry("test.happened", "s", {"text": "x" * 300})] * 100)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(CorruptError), open_ledger(path) as ledger:
        ledger.verify()


def test_a_whole_second_is_a_time_too(ledger: Ledger) -> None:
    ledger.append("test.happened", "s", {}, at=1)
    assert ledger.verify().events == 1


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_corrupt(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"^ledger\.db: not a ledger, "):
        open_ledger(path)
    assert path.read_bytes() == content


def test_a_database_of_someone_else_is_no_ledger(path: Path) -> None:
    path.parent.mkdir()
    raw = sqlite3.connect(path)
    raw.execute("create table event (something)")
    raw.close()
    with pytest.raises(CorruptError, match=r"^ledger\.db: not a ledger, no such column"):
        open_ledger(path)


def test_a_folder_in_the_place_of_the_ledger_is_corrupt(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(CorruptError, match=r"^ledger\.db: not a ledger, unable to open"):
        open_ledger(path)


def test_a_missing_ledger_is_made_at_first_use_and_only_then(path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        open_ledger(path, create=False)
    assert str(caught.value) == "ledger.db: no ledger here, nothing has happened yet"
    assert not path.parent.exists()
    open_ledger(path).close()
    open_ledger(path, create=False).close()


def test_a_new_ledger_that_another_process_writes_to_is_busy_and_not_corrupt(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "BUSY_S", 0.0)
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(ConflictError):
            open_ledger(path)


def test_four_processes_at_once_lose_no_event(
    ledger: Ledger, start: Callable[..., subprocess.Popen[str]], path: Path
) -> None:
    children = [start(APPEND_WHEN_TOLD, path, worker) for worker in "abcd"]
    for child in children:
        assert child.stdout and child.stdin
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0, 0, 0, 0]
    events = ledger.events()
    assert ledger.verify().events == ledger.head() == 400
    for worker in "abcd":
        assert [e.body["number"] for e in events if e.subject == worker] == list(range(100))


def test_kill_9_in_a_loop_of_appends_leaves_a_ledger_that_verifies(
    said_until_killed: Callable[..., list[str]], path: Path
) -> None:
    for lines in (1, 7, 20):
        acknowledged = int(said_until_killed(APPEND_FOREVER, path, lines=lines)[-1])
        with open_ledger(path, create=False) as ledger:
            assert ledger.verify().events == ledger.head() >= acknowledged
            assert ledger.head() % 2 == 0
