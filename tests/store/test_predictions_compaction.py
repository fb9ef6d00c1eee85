"""Compaction: the same rows before and after, to every reader, whatever moment the power goes."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain import Label, Prediction
from tidegate.errors import ConflictError
from tidegate.store.lock import hold
from tidegate.store.predictions import (
    Cursor,
    Entry,
    Limits,
    PredictionLog,
    Search,
    Trimmed,
    compact,
    cursor_at,
    damaged_segments,
    entry_of,
    find_predictions,
    known_requests,
    log_size,
    read_labels,
    read_predictions,
    recent_predictions,
    trim,
)
from tidegate.store.predictions.compaction import DAY_US
from tidegate.store.predictions.files import list_files

WORKERS = ("gateway-0", "gateway-1", "cli")

# kills itself at call number N of those that change the folder
COMPACT_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from tidegate.store.predictions import compact
left = int(sys.argv[2])
def deadly(call):
    def run(*args, **more):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*args, **more)
    return run
for name in ("utime", "fsync", "replace", "unlink", "rename"):
    setattr(os, name, deadly(getattr(os, name)))
compact(Path(sys.argv[1]), grace_s=0)
print("done")
"""

law = settings(max_examples=25, deadline=None, derandomize=True)
numbers = st.floats(allow_nan=False)
answers = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), numbers)
vectors = st.lists(numbers, max_size=3).map(tuple)
inputs = st.lists(st.one_of(st.none(), st.text(), numbers, st.just(math.nan)), max_size=3).map(tuple)
logged = st.builds(
    Prediction,
    st.text(),
    numbers,
    st.text(),
    st.text(),
    st.text(),
    st.sampled_from(["stable", "canary"]),
    inputs,
    st.none() | answers,
    vectors,
    numbers,
    st.integers(100, 599),
    st.lists(st.from_regex(r"[a-z_]+ [a-z]+", fullmatch=True), max_size=3).map(tuple),
)
labeled = st.builds(Label, st.text(), numbers, answers)


def row(request: str, at: float = 1.0, inputs: tuple[float, ...] = (0.5, 1.0)) -> Prediction:
    return Prediction(request, at, "u", "e", "b1", "stable", inputs, "three", (0.1, 0.9), 0.7, 200)


def entry(request: str, at: float = 1.0) -> Entry:
    return entry_of(row(request, at))


def requests(rows: Sequence[Prediction] | Sequence[Label]) -> list[str]:
    return [item.request for item in rows]


def fill(folder: Path, worker: str, rows: Sequence[Prediction]) -> None:
    """One closed segment."""
    log = PredictionLog(folder, worker)
    log.write(list(map(entry_of, rows)))
    log.close()


def names(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir() if path.suffix in (".seg", ".parquet")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@law
@given(st.lists(st.lists(logged, max_size=4), max_size=4), st.lists(labeled, max_size=4))
def test_every_value_comes_back_as_it_was(frames: list[list[Prediction]], labels: list[Label]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = PredictionLog(folder, "w")
        for frame in frames:
            log.write(list(map(entry_of, frame)))
        log.write_labels(labels)
        log.close()
        before = sorted(map(exactly, [*read_predictions(folder)[0], *read_labels(folder)[0]]))
        compact(folder, grace_s=0)
        assert not list(folder.glob("*.seg"))
        assert sorted(map(exactly, [*read_predictions(folder)[0], *read_labels(folder)[0]])) == before


def exactly(row: Prediction | Label) -> str:
    """Every value with its type; only a negative zero is written without its sign."""
    return repr(row).replace("-0.0", "0.0")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(WORKERS), st.integers(1, 3)),
        st.tuples(st.just("close"), st.sampled_from(WORKERS), st.just(0)),
        st.tuples(st.just("kill"), st.sampled_from(WORKERS), st.integers(1, 40)),
        st.tuples(st.just("read"), st.sampled_from(["early", "late"]), st.just(0)),
        st.tuples(st.just("compact"), st.just(""), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(steps)
def test_a_cursor_passes_every_row_once_whatever_is_compacted_meanwhile(
    steps: list[tuple[str, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logs = {worker: PredictionLog(folder, worker) for worker in WORKERS}
        cursors: dict[str, Cursor] = {"early": {}, "late": {}}
        seen: dict[str, list[str]] = {"early": [], "late": []}
        written: list[str] = []
        for what, who, size in [*steps, ("read", "early", 0), ("read", "late", 0)]:
            if what == "write":
                fresh = [f"{who}.{len(written) + i}" for i in range(size)]
                logs[who].write([entry(request) for request in fresh])
                written += fresh
            elif what == "close":
                logs[who].close()
            elif what == "kill":
                _tear(folder, logs[who], who, size)
            elif what == "compact":
                compact(folder, grace_s=0)
            elif what == "read":
                rows, cursors[who] = read_predictions(folder, cursors[who])
                seen[who] += requests(rows)
        for log in logs.values():
            log.close()
        assert sorted(seen["early"]) == sorted(seen["late"]) == sorted(written)
        compact(folder, grace_s=0)
        for cursor in cursors.values():
            rows, moved = read_predictions(folder, cursor)
            assert rows == []
            assert moved.keys() <= {path.name for path in folder.iterdir()}


def _tear(folder: Path, log: PredictionLog, worker: str, size: int) -> None:
    """What kill -9 in the middle of a write leaves: a last frame of which only some bytes arrived."""
    log.close()
    segments = [
        file for file in list_files(folder, "predictions") if file.worker == worker and file.is_segment
    ]
    if segments:
        frame = segments[-1].path.read_bytes()[:size]
        with segments[-1].path.open("ab") as file:
            file.write(frame[: len(frame) - 1])


def test_the_readers_find_the_same_before_and_after(folder: Path) -> None:
    for number in range(6):
        fill(folder, WORKERS[number % 2], [row(f"r{number}.{i}", float(number)) for i in range(3)])

    def look() -> tuple[object, ...]:
        return (
            requests(recent_predictions(folder, 4)),
            requests(find_predictions(folder, Search(9, request="r3.1"))),
            requests(find_predictions(folder, Search(5, since=4.0))),
            known_requests(folder, ["r1.1", "r9.9", "r5.0"]),
            requests(read_predictions(folder)[0]),
        )

    before = look()
    done = compact(folder, grace_s=0)
    assert (done.segments, done.rows) == (6, 18)
    assert names(folder) == {".parquet"}
    assert look() == before
    assert before[0] == ["r5.2", "r5.1", "r5.0", "r4.2"]
    assert before[3] == {"r1.1", "r5.0"}


def test_the_next_compaction_goes_on_in_the_same_file(folder: Path) -> None:
    for number in range(3):
        fill(folder, "w", [row(f"r{number}")])
        compact(folder, grace_s=0)
    assert len(list(folder.glob("*.parquet"))) == 1
    assert requests(read_predictions(folder)[0]) == ["r0", "r1", "r2"]


def test_a_file_holds_no_more_than_a_day(folder: Path) -> None:
    for number in range(4):
        fill(folder, "w", [row(f"r{number}")])
    for number, file in enumerate(list_files(folder, "predictions")):
        start = DAY_US * 20_000 + DAY_US // 2 * number
        file.path.rename(folder / f"predictions-w-{start:016d}.seg")
    compact(folder, grace_s=0)
    assert len(list(folder.glob("*.parquet"))) == 2
    assert requests(read_predictions(folder)[0]) == ["r0", "r1", "r2", "r3"]


def test_what_is_open_fresh_or_damaged_is_left_alone(folder: Path) -> None:
    log = PredictionLog(folder, "open")
    log.write([entry("open")])
    fill(folder, "done", [row("done")])
    for request in ("fine", "damaged", "after"):
        fill(folder, "w", [row(request)])
    damaged = [file for file in list_files(folder, "predictions") if file.worker == "w"][1].path
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert compact(folder, grace_s=60).segments == 0
    assert compact(folder, grace_s=0).segments == 3
    left = list_files(folder, "predictions")
    assert sorted(file.worker for file in left if file.is_segment) == ["open", "w"]
    assert damaged_segments(folder) == [damaged.name]
    assert sorted(requests(read_predictions(folder)[0])) == ["after", "done", "fine", "open"]
    log.close()


def test_a_writer_that_was_killed_has_closed_its_segment(folder: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from tidegate.domain import Prediction
from tidegate.store.predictions import PredictionLog, entry_of
log = PredictionLog(Path({str(folder)!r}), "w")
log.write([entry_of(Prediction("r0", 1.0, "u", "e", "b", "stable", (), 1, (), 0.1, 200))])
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert compact(folder, grace_s=0).rows == 1


@pytest.mark.slow
def test_kill_9_at_any_step_neither_loses_nor_doubles_a_row(folder: Path) -> None:
    fill(folder, "w", [row("w.old")])
    compact(folder, grace_s=0)
    rows, cursor = read_predictions(folder)
    seen, kills = requests(rows), 0
    for step in range(60):
        for worker in ("w", "v"):
            fill(folder, worker, [row(f"{worker}.{step}.{i}") for i in range(2)])
        done = subprocess.run(
            [sys.executable, "-c", COMPACT_UNTIL_KILLED, str(folder), str(step)],
            capture_output=True,
            text=True,
            check=False,
        )
        whole = sorted(requests(read_predictions(folder)[0]))
        rows, cursor = read_predictions(folder, cursor)
        seen += requests(rows)
        assert sorted(seen) == whole == sorted(set(whole))
        assert len(whole) == 1 + 4 * (step + 1)
        if done.stdout == "done\n":
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert kills >= 8
    assert len(list(folder.glob("*.seg"))) == 0
    assert len(list(folder.glob(".*"))) == 0


def test_two_compactions_do_not_meet(folder: Path) -> None:
    fill(folder, "w", [row("r0")])
    with hold(folder / "compact.lock", what="log compact"), pytest.raises(ConflictError, match="log compact"):
        compact(folder)


def test_a_name_is_not_taken_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000)
    for number in range(3):
        fill(folder, "w", [row(f"r{number}")])
        compact(folder, grace_s=0)
    assert requests(read_predictions(folder)[0]) == ["r0", "r1", "r2"]


def test_a_cursor_begins_behind_what_was_done_before(folder: Path) -> None:
    fill(folder, "w", [row("old")])
    compact(folder, grace_s=0)
    fill(folder, "v", [row("older")])
    for file in list_files(folder, "predictions"):
        os.utime(file.path, (100, 100))
    fill(folder, "w", [row("new")])
    assert requests(read_predictions(folder, cursor_at(folder, 200.0))[0]) == ["new"]
    assert len(read_predictions(folder, cursor_at(folder, 50.0))[0]) == 3


def test_rows_that_are_too_old_go_and_the_oldest_when_there_are_too_many(folder: Path) -> None:
    for number in range(4):
        fill(folder, f"w{number}", [row(f"r{number}")])
    compact(folder, grace_s=0)
    for number, file in enumerate(list_files(folder, "predictions")):
        os.utime(file.path, (1000 * number, 1000 * number))
    log = PredictionLog(folder, "open")
    log.write([entry("open")])
    os.utime(list_files(folder, "predictions")[-1].path, (1, 1))
    gone = trim(folder, Limits(retain_s=2500), now=3000.0)
    assert [(one.newest, one.reason) for one in gone] == [(0.0, "age")]
    size = sum(file.path.stat().st_size for file in list_files(folder, "predictions"))
    assert [one.newest for one in trim(folder, Limits(max_bytes=size - 1), now=3000.0)] == [1000.0]
    assert isinstance(gone[0], Trimmed)
    assert trim(folder, Limits(), now=1e12) == []
    assert sorted(requests(read_predictions(folder)[0])) == ["open", "r2", "r3"]
    log.close()


def test_the_size_counts_both_kinds_of_files_and_the_open_ones(folder: Path) -> None:
    fill(folder, "w", [row("r0")])
    compact(folder, grace_s=0)
    log = PredictionLog(folder, "w")
    log.write([entry("r1")])
    predictions, labels = log_size(folder)
    assert (predictions.segments, predictions.open_segments, predictions.parquet) == (1, 1, 1)
    assert predictions.segment_bytes > 0 < predictions.parquet_bytes
    assert (labels.segments, labels.parquet, labels.oldest) == (0, 0, None)
    log.close()
