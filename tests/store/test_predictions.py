"""The prediction log: what was acknowledged is read, once; what is torn is dropped, never guessed."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain import Label, Prediction
from tidegate.errors import CorruptError
from tidegate.store.predictions import (
    Cursor,
    Entry,
    PredictionLog,
    compact,
    damaged_segments,
    entry_of,
    known_requests,
    read_labels,
    read_predictions,
    recent_predictions,
    writer,
)
from tidegate.store.predictions.frames import make_frame

LENGTH_BYTES = 4

WRITE_FOREVER = """
import itertools, sys
from pathlib import Path
from tidegate.domain import Prediction
from tidegate.store.predictions import PredictionLog, entry_of
log = PredictionLog(Path(sys.argv[1]), sys.argv[2])
for number in itertools.count():
    id = f"{sys.argv[2]}.{number}"
    row = Prediction(id, float(number), "u", "e", "b", "stable", (0.5,) * 64, 3, (), 0.1, 200)
    log.write([entry_of(row)])
    print(id, flush=True)
"""


def row(request: str, at: float = 1.0) -> Prediction:
    return Prediction(request, at, "u", "e", "b1", "stable", (0.5, 1.0), "three", (0.1, 0.9), 0.7, 200)


def entry(request: str, at: float = 1.0) -> Entry:
    return entry_of(row(request, at))


def label(request: str, at: float = 1.0) -> Label:
    return Label(request, at, 3)


def requests(rows: Sequence[Prediction] | Sequence[Label]) -> list[str]:
    return [item.request for item in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "log"


@pytest.fixture
def log(folder: Path) -> Iterator[PredictionLog]:
    opened = PredictionLog(folder, "w")
    yield opened
    opened.close()


@pytest.fixture
def framed(folder: Path, log: PredictionLog) -> Path:
    """A closed segment of five frames of the same length, one row each."""
    for number in range(5):
        log.write([entry(f"r{number}", float(number))])
    log.close()
    return next(folder.glob("*.seg"))


law = settings(max_examples=60, deadline=None, derandomize=True)
finite = st.floats(allow_nan=False)
answers = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), finite)
vectors = st.lists(finite, max_size=5).map(tuple)
logged = st.builds(
    Prediction,
    st.text(),
    finite,
    st.text(),
    st.text(),
    st.text(),
    st.sampled_from(["stable", "canary"]),
    vectors,
    st.none() | answers,
    vectors,
    finite,
    st.integers(100, 599),
)
labeled = st.builds(Label, st.text(), finite, answers)
batches = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@law
@given(st.lists(logged, max_size=6), st.lists(labeled, max_size=6))
def test_what_is_written_is_read_by_time(rows: list[Prediction], labels: list[Label]) -> None:
    with tempfile.TemporaryDirectory() as name:
        log = PredictionLog(Path(name), "w")
        log.write(list(map(entry_of, rows)))
        log.write_labels(labels)
        log.close()
        assert read_predictions(Path(name))[0] == sorted(rows, key=lambda item: item.at)
        assert read_labels(Path(name))[0] == sorted(labels, key=lambda item: item.at)


def test_an_answer_keeps_its_type(log: PredictionLog, folder: Path) -> None:
    log.write_labels([Label("i", 1.0, 3), Label("f", 2.0, 3.0), Label("s", 3.0, "3")])
    assert [type(item.truth) for item in read_labels(folder)[0]] == [int, float, str]


def test_predictions_and_labels_do_not_mix(log: PredictionLog, folder: Path) -> None:
    log.write([entry("p")])
    log.write_labels([label("l")])
    assert requests(read_predictions(folder)[0]) == ["p"]
    assert requests(read_labels(folder)[0]) == ["l"]


def test_no_rows_leave_no_segment(log: PredictionLog, folder: Path) -> None:
    log.write([])
    log.write_labels([])
    assert list(folder.iterdir()) == []
    assert read_predictions(folder) == ([], {})
    assert read_labels(folder / "missing") == ([], {})


def test_rows_are_there_before_the_log_is_closed(log: PredictionLog, folder: Path) -> None:
    log.write([entry("r0")])
    assert requests(read_predictions(folder)[0]) == ["r0"]


def test_a_cursor_reads_every_row_once_across_writers_and_segments(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEGMENT_BYTES", 300)
    logs = [PredictionLog(folder, worker) for worker in ("w-1", "w-2", "w-1")]
    cursor: Cursor = {}
    seen: list[str] = []
    for turn in range(12):
        for number, log in enumerate(logs):
            log.write([entry(f"{number}.{turn}.{i}", float(turn)) for i in range(1 + (turn + number) % 3)])
        if turn % 3 == 2:
            rows, cursor = read_predictions(folder, cursor)
            seen += requests(rows)
    for log in logs:
        log.close()
    whole, end = read_predictions(folder)
    assert sorted(seen) == sorted(requests(whole)) == sorted(set(seen))
    assert (read_predictions(folder, cursor), end) == (([], cursor), cursor)
    assert len(cursor) == len(list(folder.glob("*.seg"))) > 6


def test_the_given_cursor_is_not_changed(log: PredictionLog, folder: Path) -> None:
    log.write_labels([label("a")])
    rows, cursor = read_labels(folder)
    log.write_labels([label("b")])
    later, moved = read_labels(folder, cursor)
    assert (requests(rows), requests(later)) == (["a"], ["b"])
    assert requests(read_labels(folder, cursor)[0]) == ["b"]
    assert sum(moved.values()) == 2 * sum(cursor.values())


def test_a_full_segment_is_closed_and_the_next_row_opens_another(
    log: PredictionLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEGMENT_BYTES", 1)
    for number in range(3):
        log.write([entry(f"r{number}", float(number))])
    assert len(list(folder.glob("predictions-w-*.seg"))) == 3
    assert requests(read_predictions(folder)[0]) == ["r0", "r1", "r2"]


def test_a_worker_that_starts_again_overwrites_nothing(folder: Path) -> None:
    for number in range(3):
        log = PredictionLog(folder, "w")
        log.write([entry(f"r{number}", float(number))])
        log.close()
    assert requests(read_predictions(folder)[0]) == ["r0", "r1", "r2"]


def test_a_removed_segment_leaves_a_name_that_is_not_taken_from_another(folder: Path) -> None:
    for number in range(3):
        log = PredictionLog(folder, "w")
        log.write([entry(f"r{number}", float(number))])
        log.close()
    min(folder.iterdir()).unlink()
    log = PredictionLog(folder, "w")
    log.write([entry("r3", 3.0)])
    log.close()
    assert requests(read_predictions(folder)[0]) == ["r1", "r2", "r3"]


def test_a_closed_log_opens_a_new_segment_when_it_is_written_to(log: PredictionLog, folder: Path) -> None:
    log.write([entry("r0", 0.0)])
    log.close()
    log.write([entry("r1", 1.0)])
    assert requests(read_predictions(folder)[0]) == ["r0", "r1"]
    assert len(list(folder.iterdir())) == 2


@law
@given(batches, st.data())
def test_a_segment_cut_at_any_byte_yields_a_prefix_of_its_frames(
    sizes: list[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        log = PredictionLog(Path(name), "w")
        frames = [[row(f"{frame}.{i}", float(frame)) for i in range(n)] for frame, n in enumerate(sizes)]
        ends = [0]
        for frame in frames:
            log.write(list(map(entry_of, frame)))
            ends.append(next(Path(name).iterdir()).stat().st_size)
        log.close()
        segment = next(Path(name).iterdir())
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(segment, cut)
        whole = sum(end <= cut for end in ends[1:])
        rows, cursor = read_predictions(Path(name))
        assert rows == [item for frame in frames[:whole] for item in frame]
        assert cursor.get(segment.name, 0) == ends[whole]
        assert recent_predictions(Path(name), 100) == sorted(rows, key=lambda item: item.at)[::-1]
        assert damaged_segments(Path(name)) == []


def test_a_torn_frame_is_read_once_it_is_whole(framed: Path, folder: Path) -> None:
    whole = framed.read_bytes()
    framed.write_bytes(whole[:-1])
    first, cursor = read_predictions(folder)
    framed.write_bytes(whole)
    assert requests(first) == ["r0", "r1", "r2", "r3"]
    assert requests(read_predictions(folder, cursor)[0]) == ["r4"]


@pytest.mark.parametrize("frame", range(5))
def test_a_flipped_byte_drops_its_frame_and_what_follows_and_is_named(
    framed: Path, folder: Path, frame: int
) -> None:
    whole = framed.read_bytes()
    size = len(whole) // 5
    for at in range(frame * size, (frame + 1) * size):
        framed.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert requests(read_predictions(folder)[0]) == [f"r{number}" for number in range(frame)]
        if at >= frame * size + LENGTH_BYTES:
            assert damaged_segments(folder) == [framed.name]


def test_a_flipped_length_is_named_too(framed: Path, folder: Path) -> None:
    whole = framed.read_bytes()
    framed.write_bytes(whole[:1] + bytes([whole[1] ^ 0xFF]) + whole[2:])
    assert damaged_segments(folder) == [framed.name]


@pytest.mark.parametrize("zeros", [8, 4096])
def test_a_tail_of_zeros_as_a_power_cut_leaves_it_is_dropped(framed: Path, folder: Path, zeros: int) -> None:
    framed.write_bytes(framed.read_bytes() + bytes(zeros))
    assert len(read_predictions(folder)[0]) == 5


@pytest.mark.parametrize(
    "read",
    [
        read_predictions,
        lambda folder: recent_predictions(folder, 1),
        lambda folder: known_requests(folder, ["r"]),
        lambda folder: compact(folder, grace_s=0),
    ],
    ids=["read", "recent", "known", "compact"],
)
def test_rows_as_an_earlier_version_wrote_them_are_refused_in_a_line(
    folder: Path, read: Callable[[Path], object]
) -> None:
    folder.mkdir(parents=True)
    (folder / "predictions-w-0000000000000001.seg").write_bytes(
        make_frame(msgspec.msgpack.encode([row("r")]))
    )
    with pytest.raises(CorruptError, match=r"^prediction log: a segment was written by another version, .+$"):
        read(folder)


def test_damage_is_named_in_either_stream_and_hides_no_other_segment(folder: Path) -> None:
    for worker in ("a", "b"):
        log = PredictionLog(folder, worker)
        log.write([entry(worker)])
        log.write_labels([label(worker)])
        log.close()
    assert damaged_segments(folder) == []
    broken = [next(folder.glob(f"{name}*")).name for name in ("predictions-b", "labels-a")]
    for name in broken:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert damaged_segments(folder) == broken
    assert requests(read_predictions(folder)[0]) == ["a"]
    assert requests(read_labels(folder)[0]) == ["b"]


def test_a_cursor_passes_damage_and_reads_what_is_written_later(log: PredictionLog, folder: Path) -> None:
    log.write([entry("before")])
    log.write([entry("lost")])
    segment = next(folder.iterdir())
    content = segment.read_bytes()
    segment.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    rows, cursor = read_predictions(folder)
    log.write([entry("after")])
    assert requests(rows) == ["before"]
    assert requests(read_predictions(folder, cursor)[0]) == ["after"]


def test_kill_9_loses_no_acknowledged_row(said_until_killed: Callable[..., list[str]], folder: Path) -> None:
    acknowledged: list[str] = []
    for worker in ("w1", "w2", "w1"):
        acknowledged = said_until_killed(WRITE_FOREVER, folder, worker, lines=40)
        found = requests(read_predictions(folder)[0])
        assert set(acknowledged) <= set(found)
    assert damaged_segments(folder) == []
    assert len(requests(read_predictions(folder)[0])) >= 120


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """`full_disk(9)` takes nine bytes of a write, `full_disk(0)` refuses it, `full_disk(None)` is mended."""
    write, room = os.write, [None]

    def limited(handle: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[: room[0]])

    monkeypatch.setattr(os, "write", limited)
    return lambda bytes_left: room.__setitem__(0, bytes_left)


@pytest.mark.parametrize("bytes_left", [0, 1, 9, 60])
def test_a_full_disk_drops_rows_keeps_the_file_whole_and_is_survived(
    log: PredictionLog, folder: Path, full_disk: Callable[[int | None], None], bytes_left: int
) -> None:
    log.write([entry("r0", 0.0)])
    segment = next(folder.iterdir())
    before = segment.read_bytes()
    full_disk(bytes_left)
    log.write([entry("lost1"), entry("lost2")])
    log.write([entry("lost3")])
    assert segment.read_bytes() == before
    assert log.dropped == 3
    full_disk(None)
    log.write([entry("r1", 1.0)])
    assert requests(read_predictions(folder)[0]) == ["r0", "r1"]
    assert (log.dropped, damaged_segments(folder)) == (3, [])


def test_a_full_disk_is_said_once(
    log: PredictionLog, full_disk: Callable[[int | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    full_disk(0)
    log.write([entry("lost1")])
    log.write_labels([label("lost2")])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("rows are dropped until this is mended\n") == 1
    assert said.err.startswith("prediction log: ")
    assert log.dropped == 2


def test_a_segment_that_cannot_be_opened_drops_rows_too(
    log: PredictionLog, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rmdir()
    log.write([entry("lost")])
    assert log.dropped == 1
    assert "No such file" in capsys.readouterr().err
    folder.mkdir()
    log.write([entry("r0")])
    assert requests(read_predictions(folder)[0]) == ["r0"]


@pytest.mark.parametrize(
    ("n", "expected"), [(0, []), (1, ["5"]), (3, ["5", "4", "3"]), (9, ["5", "4", "3", "2", "1", "0"])]
)
def test_recent_predictions_are_the_newest_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, n: int, expected: list[str]
) -> None:
    monkeypatch.setattr(writer, "SEGMENT_BYTES", 150)
    logs = [PredictionLog(folder, worker) for worker in ("b", "a")]
    for number in range(6):
        logs[number % 2].write([entry(str(number), float(number))])
    for log in logs:
        log.close()
    assert requests(recent_predictions(folder, n)) == expected


def test_nothing_is_recent_before_the_first_row(folder: Path) -> None:
    assert recent_predictions(folder, 5) == []
    assert damaged_segments(folder) == []


def test_of_rows_at_the_same_time_the_last_written_is_the_newest(log: PredictionLog, folder: Path) -> None:
    log.write([entry("r0"), entry("r1"), entry("r2")])
    assert requests(recent_predictions(folder, 2)) == ["r2", "r1"]
