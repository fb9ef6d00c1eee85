"""Commands of a check end in time, and nothing of them is left behind."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from tidegate.errors import NotFoundError
from tidegate.flow.ci.command import Bench, Command, run_command, shell
from tidegate.project import Seconds

LEAVES_A_CHILD = "sleep 60 & echo $! > child; "


def is_alive(pid):
    """A zombie, which nobody may have reaped, is not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def is_soon_gone(path):
    pid, end = int(path.read_text()), time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < end, "a child of the command lives on"
        threading.Event().wait(0.02)
    return True


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, tmp_path / "logs" / "x.log", Seconds(30))


def test_output_is_kept_and_logged_under_the_command(bench):
    ran = run_command(bench, shell("echo out; echo err >&2; exit 3"))
    assert (ran.code, ran.output) == (3, "out\nerr\n")
    assert bench.log.read_text() == "> echo out; echo err >&2; exit 3\nout\nerr\n"
    assert ran.fault == "`echo out; echo err >&2; exit 3` ended with exit code 3: err"


def test_commands_of_one_step_share_a_log(bench):
    run_command(bench, shell("echo one"))
    assert run_command(bench, shell("echo two")).output == "two\n"
    assert bench.log.read_text().splitlines() == ["> echo one", "one", "> echo two", "two"]


def test_what_takes_too_long_is_ended_with_everything_it_started(bench):
    ran = run_command(bench._replace(limit=Seconds(0.3)), shell(f"{LEAVES_A_CHILD}wait"))
    assert ran.code is None
    assert ran.fault.endswith("took longer than 300ms, see ci.timeout")
    assert is_soon_gone(bench.root / "child")


def test_what_ignores_a_polite_end_is_killed(bench, monkeypatch):
    monkeypatch.setattr("tidegate.flow.ci.command.GRACE_S", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    ran = run_command(bench._replace(limit=Seconds(0.5)), Command((sys.executable, "-c", code), "stubborn"))
    assert ran.code is None


def test_what_a_command_leaves_running_is_ended_too(bench):
    assert run_command(bench, shell(LEAVES_A_CHILD)).code == 0
    assert is_soon_gone(bench.root / "child")


def test_a_signal_that_ended_the_command_is_named(bench):
    assert run_command(bench, shell("kill -9 $$")).fault == "`kill -9 $$` ended with signal SIGKILL"


def test_a_program_that_is_not_there_is_named(bench):
    with pytest.raises(NotFoundError, match="no-such-program: no such program"):
        run_command(bench, Command(("no-such-program",), "x"))


def test_it_hears_nothing_and_gets_what_it_is_given(bench):
    ran = run_command(bench, shell("cat; echo $WORD"), {"WORD": "given"})
    assert ran.output == "given\n"
