"""The same command twice at the same moment: the work is done once, and both say something true."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TIDEGATE = str(Path(sys.executable).with_name("tidegate"))


def _race(root: Path, *words: str, count: int = 4) -> list[int]:
    """Start the command several times at once; their exit codes."""
    running = [
        subprocess.Popen(
            [TIDEGATE, *words], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [error for error in errors if "Traceback" in error] == []
    return [process.returncode for process in running]


def _count(root: Path, kind: str) -> int:
    with sqlite3.connect(root / ".tidegate/ledger.db") as ledger:
        return int(ledger.execute("select count(*) from event where kind = ?", (kind,)).fetchone()[0])


def test_repro_several_times_at_once_runs_every_stage_once(project: Path, tidegate) -> None:
    codes = _race(project, "repro")
    assert 0 in codes
    assert set(codes) <= {0, 1}
    tidegate(project, "repro")
    assert _count(project, "run.finished") == 1
    tidegate(project, "audit", "verify")


def test_gate_several_times_at_once_spends_one_submission(project: Path, tidegate) -> None:
    tidegate(project, "repro")
    codes = _race(project, "gate")
    assert 0 in codes
    assert set(codes) <= {0, 1}
    tidegate(project, "gate")
    assert _count(project, "gate.decided") == 1


def test_apply_several_times_at_once_releases_once(project: Path, tidegate) -> None:
    for words in (("repro",), ("gate",), ("plan",)):
        tidegate(project, *words)
    codes = _race(project, "apply")
    assert codes == [0] * 4
    assert _count(project, "release.applied") == 1
    tidegate(project, "audit", "verify")
