"""`tidegate ci` as a person, or a CI machine, types it: on the digits, and on what goes wrong.

The tests on the digits build on each other in their order.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HANGS = """import pathlib, subprocess, time


def test_a():
    child = subprocess.Popen(["sleep", "60"])
    pathlib.Path("child").write_text(str(child.pid))
    time.sleep(60)
"""
# what differs between two runs of the same: how long they took, and when they were
TIMES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d|[\d.]+ (s|ms)\b")


@pytest.fixture(scope="module")
def fresh(run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as `init` leaves it: nothing has run."""
    root = tmp_path_factory.mktemp("ci") / "digits"
    run(root.parent, "init", str(root), "--example", "digits")
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with a policy and nothing else."""
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "small"\n')
    return tmp_path


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


def test_the_first_run_says_what_it_will_do_and_does_it(run, fresh: Path) -> None:
    plan = run(fresh, "ci", "--dry-run")
    assert "stages           3 of 3 stages affected\npreprocess       stale: never ran" in plan.out
    assert not (fresh / ".tidegate/ci").exists()
    done = run(fresh, "ci")
    lines = done.out.splitlines()
    assert "style            skipped: ruff is not configured" in lines
    assert "report           .tidegate/ci/report.md" in lines
    assert any(line.startswith("tests            passed in ") for line in lines)
    assert "3 of 3 stages ran: `preprocess`, `train`, `evaluate`" in done.out
    assert "✓ PASS  candidate" in done.out
    assert lines[-1].startswith("you may merge: a first release")
    git(fresh, "add", "--all")
    git(fresh, "commit", "--quiet", "-m", "run")


def test_a_change_of_docs_trains_nothing_and_repeats_the_verdict(run, fresh: Path) -> None:
    with (fresh / "README.md").open("a") as readme:
        readme.write("\nMore words.\n")
    done = run(fresh, "ci")
    assert "0 of 3 stages ran" in done.out
    assert "the recorded verdict is repeated, every rule is proven" in done.out
    kinds = [event["kind"] for event in run(fresh, "audit", "log", "--json").json]
    assert (kinds.count("run.finished"), kinds.count("gate.decided")) == (1, 1)


def test_a_clone_with_the_same_cache_and_ledger_says_the_same(run, fresh: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(fresh, "clone", "--quiet", str(fresh), str(clone))
    shutil.copy(fresh / "README.md", clone)
    shutil.copytree(fresh / ".dvc/cache", clone / ".dvc/cache")
    (clone / ".tidegate").mkdir()
    shutil.copy(fresh / ".tidegate/ledger.db", clone / ".tidegate")
    done = run(clone, "ci", "--json")
    stages = next(step for step in done.json["steps"] if step["name"] == "stages")
    assert stages["because"] == "0 of 3 stages ran, 3 from the cache"
    for root in (fresh, clone):
        assert run(root, "ci", "--quiet").out.startswith("✓ PASS")
    pages = [TIMES.sub("", (root / ".tidegate/ci/report.md").read_text()) for root in (fresh, clone)]
    assert pages[0] == pages[1]


def test_a_worse_model_blocks_and_the_first_line_says_so(run, fresh: Path) -> None:
    for words in (("plan",), ("apply",)):
        run(fresh, *words)
    params = fresh / "params.yaml"
    params.write_text(params.read_text().replace("trees: 10", "trees: 1"))
    done = run(fresh, "ci", expect=3)
    assert "2 of 3 stages ran: `train`, `evaluate`" in done.out
    assert "✗ BLOCK" in done.out
    assert done.out.splitlines()[-1].startswith("do not merge: ")
    assert (fresh / ".tidegate/ci/report.md").read_text().startswith("### ❌ digits: do not merge")


def test_json_is_the_report_and_nothing_else(run, small: Path) -> None:
    found = run(small, "ci", "--json", expect=4).json
    assert found["name"] == "small"
    assert found == json.loads((small / ".tidegate/ci/report.json").read_text()) | {"at": found["at"]}
    plan = run(small, "ci", "--dry-run", "--json").json
    assert [step["name"] for step in plan["steps"]] == ["style", "tests", "contract", "stages", "gate"]


def test_a_failing_test_is_named_with_its_place(run, small: Path) -> None:
    (small / "tests").mkdir()
    (small / "tests/test_a.py").write_text("def test_a():\n    assert 1 == 2\n")
    done = run(small, "ci", expect=3)
    assert "  tests/test_a.py::test_a  assert 1 == 2" in done.out
    assert "stages           skipped: `tests` did not pass, so nothing is trained" in done.out


def test_without_a_policy_the_error_says_what_to_do(run, tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    done = run(tmp_path, "ci", expect=1)
    assert "error: tidegate.toml: no such file" in done.err
    assert "hint:  tidegate init" in done.err


def test_a_comment_that_cannot_be_posted_changes_no_verdict(run, small: Path, monkeypatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITLAB_CI", raising=False)
    (small / "tidegate.toml").write_text('[project]\nname = "small"\n\n[ci]\nstyle = "true"\n')
    assert run(small, "ci", "--comment", "--quiet").out.endswith(
        "you may merge: style passed, and nothing that the gate judges changed\n"
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_the_tests_and_leaves_no_report(small: Path, until, number: int, code: int) -> None:
    (small / "tests").mkdir()
    (small / "tests/test_a.py").write_text(HANGS)
    words = [str(Path(sys.executable).with_name("tidegate")), "ci"]
    with subprocess.Popen(words, cwd=small, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        until(lambda: (small / "child").exists() and (small / "child").read_text())
        running.send_signal(number)
        out, _ = running.communicate(timeout=30)
    assert running.returncode == code, out
    assert b"Traceback" not in out
    child = int((small / "child").read_text())
    until(lambda: not is_alive(child))
    assert [path.name for path in (small / ".tidegate/ci").iterdir()] == ["tests.log"]
