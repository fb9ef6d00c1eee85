"""The lock: one holder at a time, named to who must wait, gone with its holder."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tidegate.errors import ConflictError
from tidegate.store import lock
from tidegate.store.lock import describe, hold, shorten_command

Start = Callable[..., subprocess.Popen[str]]

HOLD_UNTIL_TOLD = """
import sys
from pathlib import Path
from tidegate.store.lock import hold
with hold(Path(sys.argv[1]), what="repro"):
    print("held", flush=True)
    sys.stdin.readline()
"""
COUNT_UP = """
import sys
from pathlib import Path
from tidegate.store.lock import hold
folder = Path(sys.argv[1])
for _ in range(20):
    with hold(folder / "repro.lock", what="repro"):
        number = int((folder / "number").read_text())
        (folder / "number").write_text(str(number + 1))
"""
WAIT_FOR_END = "import sys; print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "repro.lock"


@pytest.fixture
def holder(start: Start, path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until it reads a line."""
    child = start(HOLD_UNTIL_TOLD, path)
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    return child


def test_a_held_lock_is_a_conflict_that_names_its_holder(path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(ConflictError) as caught, hold(path, what="repro", wait_s=0):
        pytest.fail("two hold the lock")
    assert str(caught.value) == f"repro: process {holder.pid} is at it, one at a time"
    assert caught.value.hint == "wait for it"


def test_a_second_process_waits_until_the_first_is_done(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            holder.communicate("\n")

    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep))
    with hold(path, what="repro"):
        assert path.read_text() == str(os.getpid())
    assert waits == [lock.POLL_S] * 3
    assert holder.returncode == 0


def test_whoever_waits_is_told_once_for_whom(path: Path, holder: subprocess.Popen[str]) -> None:
    said: list[str] = []
    with pytest.raises(ConflictError), hold(path, what="repro", wait_s=0.2, tell=said.append):
        pytest.fail("two hold the lock")
    assert said == [f"waiting for process {holder.pid}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/usr/bin/python3.11", "/venv/bin/dvc", "repro", "train"], "dvc repro train"),
        (["/venv/bin/tidegate", "repro"], "tidegate repro"),
        (["python", "-c", "import x"], ""),
        (["python"], ""),
        ([], ""),
    ],
)
def test_a_command_is_shown_as_it_was_typed(words: list[str], said: str) -> None:
    assert shorten_command(words) == said
    assert describe(12, " ".join(words) or "python") == ("process 12" + (f" ({said})" if said else ""))


@pytest.mark.parametrize("wait_s", [0.0, 1.0, 10.0])
def test_patience_ends_after_the_given_seconds(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, wait_s: float
) -> None:
    clock = [100.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    with pytest.raises(ConflictError), hold(path, what="repro", wait_s=wait_s):
        pytest.fail("two hold the lock")
    assert clock[0] - 100 == pytest.approx(wait_s, abs=2 * lock.POLL_S)


def test_the_lock_dies_with_its_holder(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.communicate()
    with hold(path, what="repro", wait_s=0):
        assert path.read_text() == str(os.getpid())


def test_a_block_that_raises_frees_the_lock(path: Path) -> None:
    with pytest.raises(RuntimeError), hold(path, what="repro"):
        raise RuntimeError
    with hold(path, what="repro", wait_s=0):
        pass


def test_a_process_that_the_holder_started_does_not_keep_the_lock(path: Path, start: Start) -> None:
    with hold(path, what="repro"):
        child = start(WAIT_FOR_END)
        assert child.stdout
        assert child.stdout.readline() == "up\n"
    with hold(path, what="repro", wait_s=0):
        assert child.poll() is None


def test_the_holder_itself_cannot_hold_it_twice(path: Path) -> None:
    with hold(path, what="apply"):
        with pytest.raises(ConflictError, match=f"^apply: process {os.getpid()} is at it"):
            hold(path, what="apply", wait_s=0).__enter__()
        with hold(path.with_name("other.lock"), what="apply", wait_s=0):
            pass


def test_the_name_of_an_earlier_holder_is_gone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("9" * 40)
    with hold(path, what="repro"):
        assert path.read_text() == str(os.getpid())


def test_a_holder_that_has_not_said_its_name_is_unknown(path: Path, holder: subprocess.Popen[str]) -> None:
    os.truncate(path, 0)
    with pytest.raises(ConflictError, match="process unknown is at it"):
        hold(path, what="repro", wait_s=0).__enter__()
    assert holder.poll() is None


def test_processes_that_take_turns_lose_no_update(tmp_path: Path, start: Start) -> None:
    (tmp_path / "number").write_text("0")
    for child in [start(COUNT_UP, tmp_path) for _ in range(4)]:
        child.communicate()
        assert child.returncode == 0
    assert (tmp_path / "number").read_text() == "80"
