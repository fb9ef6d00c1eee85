"""A full disk, played by a limit on the size of files: a clear error or a counted gap, nothing broken."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.store.ledger import open_ledger
from tidegate.store.predictions import read_predictions

pytestmark = pytest.mark.slow

LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
"""
FILL_LEDGER = (
    LIMITED
    + """
from tidegate.store.ledger import open_ledger
with open_ledger(Path(sys.argv[2])) as ledger:
    while True:
        print(ledger.append("test.filled", "a", {"text": "x" * 1000}).seq, flush=True)
"""
)
FILL_LOG = (
    LIMITED
    + """
from tidegate.domain import Prediction
from tidegate.store.predictions import PredictionLog, entry_of
log, done = PredictionLog(Path(sys.argv[2]), "w"), 0
while not log.dropped:
    row = Prediction(f"r{done}", 1.0, "u", "e", "b", "stable", (0.5,) * 64, 3, (), 0.1, 200)
    log.write([entry_of(row)])
    done += not log.dropped
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write([entry_of(Prediction("after", 2.0, "u", "e", "b", "stable", (), 3, (), 0.1, 200))])
print(done)
"""
)
LIMITED_COMMAND = (
    LIMITED
    + """
from tidegate.cli.main import main
main(sys.argv[2:])
"""
)


def _run(program: str, limit: int, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(limit), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_full_disk_stops_the_ledger_at_a_whole_event(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    done = _run(FILL_LEDGER, 100_000, str(path), folder=tmp_path)
    assert done.returncode == 1
    with open_ledger(path) as ledger:
        assert ledger.verify().events == int(done.stdout.splitlines()[-1])
        ledger.append("test.after", "a", {})
        ledger.verify()


def test_a_full_disk_leaves_a_readable_log_and_serving_goes_on(tmp_path: Path) -> None:
    done = _run(FILL_LOG, 20_000, str(tmp_path / "log"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows, _ = read_predictions(tmp_path / "log")
    assert [row.request for row in rows] == [*(f"r{n}" for n in range(int(done.stdout))), "after"]


def test_repro_on_a_full_disk_fails_with_one_line_and_finishes_when_there_is_room(
    project: Path, tidegate
) -> None:
    done = _run(LIMITED_COMMAND, 100, "repro", folder=project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    tidegate(project, "repro")
    tidegate(project, "status")


def test_plan_on_a_full_disk_fails_and_leaves_no_half_bundle(project: Path, tidegate) -> None:
    for words in (("repro",), ("gate",)):
        tidegate(project, *words)
    done = _run(LIMITED_COMMAND, 2_000, "plan", folder=project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    bundles = project / ".tidegate/bundles"
    assert [path.name for path in bundles.glob("*") if path.name[0] != "."] == []
    tidegate(project, "plan")
