"""What is written with care: synced before the reply, without what is marked, units as hashes."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from tidegate.domain import Label, Prediction
from tidegate.store.predictions import (
    Entry,
    Keeping,
    PredictionLog,
    compact,
    entry_of,
    hidden_positions,
    log_size,
    read_labels,
    read_predictions,
    writer,
)

SYNCED = Keeping(is_synced=True)


def row(request: str, bundle: str = "b1", unit: str = "ann") -> Prediction:
    return Prediction(request, 1.0, unit, "e", bundle, "stable", (1.0, 2.0, 3.0), 1, (), 0.1, 200)


def entry(request: str, bundle: str = "b1", unit: str = "ann") -> Entry:
    return entry_of(row(request, bundle, unit))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The handles that were synced, in their order."""
    found: list[int] = []
    sync = os.fdatasync

    def note(handle: int) -> None:
        sync(handle)
        found.append(handle)

    monkeypatch.setattr(os, "fdatasync", note)
    return found


def test_what_is_awaited_was_synced_and_one_sync_serves_many(tmp_path: Path, synced: list[int]) -> None:
    async def work() -> None:
        log = PredictionLog(tmp_path, "w", SYNCED)
        pending = [log.write([entry(f"r{number}")]) for number in range(100)]
        assert all(future is not None and not future.done() for future in pending)
        await asyncio.gather(*(future for future in pending if future))
        assert 1 <= len(synced) <= 3
        log.close()

    asyncio.run(work())
    assert len(read_predictions(tmp_path)[0]) == 100


def test_nothing_is_waited_for_without_sync(tmp_path: Path, synced: list[int]) -> None:
    log = PredictionLog(tmp_path, "w")
    assert log.write([entry("r0")]) is None
    assert log.write_labels([Label("r0", 1.0, 1)]) is None
    log.close()
    assert synced == []


def test_without_an_event_loop_the_sync_is_done_on_return(tmp_path: Path, synced: list[int]) -> None:
    log = PredictionLog(tmp_path, "w", SYNCED)
    assert log.write([entry("r0")]) is None
    assert len(synced) == 1
    log.close()


def test_segments_that_are_left_are_synced_and_closed(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEGMENT_BYTES", 1)

    async def work() -> None:
        log = PredictionLog(tmp_path, "w", SYNCED)
        for number in range(20):
            pending = log.write([entry(f"r{number}")])
            if pending and number % 3 == 0:
                await pending
        labels = log.write_labels([Label("r0", 1.0, 1)])
        assert labels
        await labels
        log.close()

    asyncio.run(work())
    assert len(synced) == 21
    assert [size.open_segments for size in log_size(tmp_path)] == [0, 0]
    assert (len(read_predictions(tmp_path)[0]), len(read_labels(tmp_path)[0])) == (20, 1)


def test_what_cannot_be_synced_is_counted_and_nobody_waits_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", refuse)

    async def work() -> None:
        log = PredictionLog(tmp_path, "w", SYNCED)
        pending = log.write([entry("r0"), entry("r1")])
        assert pending
        await pending
        assert log.dropped == 2
        log.close()

    asyncio.run(work())
    assert "rows are dropped" in capsys.readouterr().err


def test_a_reply_that_nobody_waits_for_harms_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        log = PredictionLog(tmp_path, "w", SYNCED)
        gone, here = log.write([entry("r0")]), log.write([entry("r1")])
        assert gone and here
        gone.cancel()
        await here
        log.close()

    asyncio.run(work())
    assert len(read_predictions(tmp_path)[0]) == 2


def test_marked_inputs_never_reach_the_disk(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w")
    log.hide("b1", hidden_positions(("age", "name", "pixels[0]"), ["name", "nothing"]))
    log.write([entry("a"), entry("b", bundle="b2")])
    log.hide("b2", [0, 2])
    log.write([entry("c", bundle="b2")])
    log.close()
    expected = [(1.0, None, 3.0), (1.0, 2.0, 3.0), (None, 2.0, None)]
    assert [item.inputs for item in read_predictions(tmp_path)[0]] == expected
    compact(tmp_path, grace_s=0)
    assert [item.inputs for item in read_predictions(tmp_path)[0]] == expected


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [([], set()), (["age"], {0}), (["pixels"], {1, 2}), (["pixels[0][1]"], {2}), (["pix"], set())],
)
def test_an_array_is_hidden_as_a_whole_or_by_item(hidden: list[str], expected: set[int]) -> None:
    assert hidden_positions(("age", "pixels[0][0]", "pixels[0][1]"), hidden) == expected


def test_hashed_units_are_the_same_for_the_same_unit_and_key(tmp_path: Path) -> None:
    for number, key in enumerate((b"k" * 32, b"k" * 32, b"other")):
        log = PredictionLog(tmp_path, f"w{number}", Keeping(unit_key=key))
        log.write([entry("a"), entry("b", unit="bob"), entry("c", unit="")])
        log.close()
    units = [item.unit for item in read_predictions(tmp_path)[0]]
    assert units[:3] == units[3:6]
    assert len(set(units)) == 5
    assert units.count("") == 3
    assert not {"ann", "bob"} & set(units)


def test_an_old_segment_is_left_although_nobody_writes(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w", Keeping(rotate_s=100))
    log.write([entry("a")])
    born = next(tmp_path.glob("*.seg")).stat().st_mtime
    log.rotate(born + 50)
    assert log_size(tmp_path)[0].open_segments == 1
    log.rotate(born + 150)
    assert log_size(tmp_path)[0].open_segments == 0
    log.close()
