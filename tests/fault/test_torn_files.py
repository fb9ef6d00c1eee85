"""Files cut short or changed on disk: what is whole is read, what is not is said, nothing is guessed."""

import sqlite3
from pathlib import Path

import pytest

from tidegate.domain import Prediction
from tidegate.errors import CorruptError
from tidegate.store.ledger import Verified, open_ledger
from tidegate.store.predictions import PredictionLog, entry_of, read_predictions


def _log_of(folder: Path, frames: int) -> Path:
    log = PredictionLog(folder, "w")
    for number in range(frames):
        row = Prediction(f"r{number}", float(number), "u", "e", "b", "stable", (0.5,), 3, (), 0.1, 200)
        log.write([entry_of(row)])
    log.close()
    return next(folder.glob("*.seg"))


def test_a_segment_cut_at_any_byte_yields_the_whole_frames_before_the_cut(tmp_path: Path) -> None:
    segment = _log_of(tmp_path / "log", 5)
    whole = segment.read_bytes()
    size = len(whole) // 5
    for cut in range(len(whole) + 1):
        segment.write_bytes(whole[:cut])
        rows, _ = read_predictions(tmp_path / "log")
        assert [row.request for row in rows] == [f"r{number}" for number in range(cut // size)]


def test_a_reader_waits_at_a_torn_frame_and_reads_it_once_it_is_whole(tmp_path: Path) -> None:
    segment = _log_of(tmp_path / "log", 2)
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-3])
    first, cursor = read_predictions(tmp_path / "log")
    segment.write_bytes(whole)
    second, _ = read_predictions(tmp_path / "log", cursor)
    assert [row.request for row in (*first, *second)] == ["r0", "r1"]


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    """A closed ledger of five events."""
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        for number in range(5):
            ledger.append("test.happened", "a", {"number": number})
    return path


@pytest.mark.parametrize("column", ["at", "kind", "subject", "body", "previous", "hash"])
def test_a_changed_field_of_any_event_is_detected(ledger_file: Path, column: str) -> None:
    with sqlite3.connect(ledger_file) as raw:
        raw.execute("drop trigger event_is_final")
        value = 1.5 if column == "at" else '{"number":9}' if column == "body" else "0" * 63 + "9"
        raw.execute(f"update event set {column} = ? where seq = 3", (value,))
    raw.close()
    with open_ledger(ledger_file) as ledger, pytest.raises(CorruptError, match="event 3"):
        ledger.verify()


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_a_removed_event_is_detected(ledger_file: Path, seq: int) -> None:
    with sqlite3.connect(ledger_file) as raw:
        raw.execute("drop trigger event_stays")
        raw.execute("delete from event where seq = ?", (seq,))
    raw.close()
    with open_ledger(ledger_file) as ledger, pytest.raises(CorruptError):
        ledger.verify()


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.75, 0.9])
def test_a_ledger_file_cut_short_is_an_error_or_still_whole_and_never_a_shorter_history(
    ledger_file: Path, kept: float
) -> None:
    whole = _verified(ledger_file)
    with ledger_file.open("r+b") as file:
        file.truncate(int(ledger_file.stat().st_size * kept))
    assert _verified(ledger_file) in (whole, None)


def _verified(path: Path) -> Verified | None:
    """What verification finds; None when it refuses."""
    try:
        with open_ledger(path) as ledger:
            return ledger.verify()
    except CorruptError:
        return None
