"""kill -9 of writers, of the compaction and of readers under load: each acknowledged row is there, once."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tidegate.domain import Prediction
from tidegate.store.predictions import (
    Cursor,
    PredictionLog,
    Question,
    ask,
    compact,
    damaged_segments,
    entry_of,
    read_predictions,
)

pytestmark = pytest.mark.slow

KILLS = 8

# says after each write how many rows have been acknowledged; small segments, so that many are left and compacted
WRITE = """
import asyncio, sys
from pathlib import Path
from tidegate.domain import Prediction
from tidegate.store.predictions import Keeping, PredictionLog, entry_of, writer
writer.SEGMENT_BYTES = 100_000
folder, name, is_synced = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "group"

async def work():
    log, done = PredictionLog(folder, "gateway-0", Keeping(is_synced)), 0
    while True:
        ids = [f"{name}.{done + i}" for i in range(1 + done % 40)]
        rows = [Prediction(id, 1.0, "u", "e", "b", "stable", (0.5,) * 4, 3, (), 0.1, 200) for id in ids]
        waiting = log.write(list(map(entry_of, rows)))
        if waiting is not None:
            await waiting
        done += len(rows)
        sys.stdout.write(f"{done}\\n")
        sys.stdout.flush()

asyncio.run(work())
"""
COMPACT = """
import sys
from pathlib import Path
from tidegate.store.predictions import compact
while True:
    compact(Path(sys.argv[1]), grace_s=0)
    print("compacted", flush=True)
"""

COMPACT_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tidegate.errors import TidegateError
from tidegate.store.predictions import compact
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    compact(Path(sys.argv[1]), grace_s=0)
except TidegateError as error:
    print(error)
"""


def kill_during(program: str, *words: object, after: float) -> list[str]:
    """What a program said before it was killed, `after` seconds after its first line."""
    command = [sys.executable, "-c", program, *(str(word) for word in words)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    said = child.stdout.readline()
    threading.Event().wait(after)
    os.kill(child.pid, signal.SIGKILL)
    said += child.communicate(timeout=60)[0]
    return [line.rstrip("\n") for line in said.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("sync", ["none", "group"])
def test_eight_random_kills_under_load_lose_and_double_no_acknowledged_row(tmp_path: Path, sync: str) -> None:
    draw = random.Random(8)
    folder = tmp_path / "log"
    folder.mkdir()
    cursor: Cursor = {}
    followed: Counter[str] = Counter()
    acknowledged: dict[str, int] = {}
    for kill in range(KILLS):
        said = kill_during(WRITE, folder, f"w{kill}", sync, after=draw.uniform(0, 0.1))
        acknowledged[f"w{kill}"] = int(said[-1])
        if kill % 3 == 1:
            kill_during(COMPACT, folder, after=draw.uniform(0, 0.3))
        if kill % 2:
            rows, cursor = read_predictions(folder, cursor)
            followed.update(row.request for row in rows)
    wanted = {f"{name}.{number}" for name, count in acknowledged.items() for number in range(count)}

    for _ in range(2):
        found = Counter(row.request for row in read_predictions(folder)[0])
        assert wanted - found.keys() == set()
        assert [request for request, times in found.items() if times > 1] == []
        sql = "select count(*), count(distinct request) from predictions"
        assert ask(folder, Question(sql)).rows == [(len(found), len(found))]
        compact(folder, grace_s=0)

    rows, cursor = read_predictions(folder, cursor)
    followed.update(row.request for row in rows)
    assert followed == found
    assert damaged_segments(folder) == []
    assert list(folder.glob("*.seg")) == []
    assert len(acknowledged) == KILLS and min(acknowledged.values()) > 0


def test_a_full_disk_stops_the_compaction_and_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w")
    rows = [Prediction(f"r{n}", 1.0, "u", "e", "b", "stable", (n / 3,), n, (), 0.1, 200) for n in range(99)]
    log.write(list(map(entry_of, rows)))
    log.close()
    before = {path.name for path in tmp_path.iterdir()}
    words = [sys.executable, "-c", COMPACT_ON_A_FULL_DISK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "cannot be made Parquet" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {*before, "compact.lock"}
    assert compact(tmp_path, grace_s=0).rows == 99
