"""kill -9 in the middle of an append: what was acknowledged is there, and the next writer goes on."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tidegate.domain import Prediction
from tidegate.store.ledger import open_ledger
from tidegate.store.predictions import PredictionLog, entry_of, read_predictions

pytestmark = pytest.mark.slow

# each prints the number of what it has appended so far, after the append
APPEND_EVENTS = """
import sys
from pathlib import Path
from tidegate.store.ledger import Entry, open_ledger
with open_ledger(Path(sys.argv[1])) as ledger:
    while True:
        first, second = Entry("test.first", "a", {"text": "x" * 500}), Entry("test.second", "b", {})
        pair = ledger.append_all([first, second])
        sys.stdout.write(f"{pair[-1].seq}\\n")
        sys.stdout.flush()
"""
APPEND_ROWS = """
import sys
from pathlib import Path
from tidegate.domain import Prediction
from tidegate.store.predictions import PredictionLog, entry_of
log, done = PredictionLog(Path(sys.argv[1]), sys.argv[2]), 0
while True:
    ids = [f"{sys.argv[2]}.{done + i}" for i in range(7)]
    rows = [Prediction(id, 1.0, "u", "e", "b", "stable", (0.5,) * 64, 3, (), 0.1, 200) for id in ids]
    log.write(list(map(entry_of, rows)))
    done += 7
    sys.stdout.write(f"{done}\\n")
    sys.stdout.flush()
"""


def _kill_during(program: str, *words: str, after: float) -> int:
    """Kill the program `after` seconds after its first word; the last number that it acknowledged."""
    child = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    first = child.stdout.readline()
    threading.Event().wait(after)
    os.kill(child.pid, signal.SIGKILL)
    said = (first + child.communicate(timeout=30)[0]).splitlines(keepends=True)
    return int([line for line in said if line.endswith("\n")][-1])


def test_the_ledger_keeps_every_acknowledged_event_and_no_half_transaction(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    draw = random.Random(1)
    for _ in range(10):
        acknowledged = _kill_during(APPEND_EVENTS, str(path), after=draw.uniform(0, 0.05))
        with open_ledger(path) as ledger:
            assert ledger.verify().events >= acknowledged
            assert ledger.head() % 2 == 0
            ledger.append("test.first", "a", {})
            ledger.append("test.second", "b", {})


def test_the_prediction_log_keeps_every_acknowledged_row(tmp_path: Path) -> None:
    draw = random.Random(2)
    acknowledged = {
        f"w{n}": _kill_during(APPEND_ROWS, str(tmp_path), f"w{n}", after=draw.uniform(0, 0.05))
        for n in range(10)
    }
    log = PredictionLog(tmp_path, "w0")
    log.write([entry_of(Prediction("again.0", 2.0, "u", "e", "b", "stable", (), 1, (), 0.1, 200))])
    log.close()

    rows, _ = read_predictions(tmp_path)
    counts = {worker: sum(row.request.startswith(f"{worker}.") for row in rows) for worker in acknowledged}
    assert [worker for worker, count in acknowledged.items() if counts[worker] < count] == []
    assert rows[-1].request == "again.0"
