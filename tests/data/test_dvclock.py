"""DVC's locks from our side; tests/interop lets the real dvc hold and meet them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data import dvclock
from tidegate.data.dvclock import Claim, DvcLocks, repo_lock, rwlock
from tidegate.errors import ConflictError

Start = Callable[..., subprocess.Popen[str]]

HOLD_REPO = """
import sys
from pathlib import Path
from tidegate.data.dvclock import DvcLocks, repo_lock
with repo_lock(DvcLocks(Path(sys.argv[1]), hardlink=sys.argv[2] == "hardlink")):
    print("held", flush=True)
    sys.stdin.readline()
"""
HOLD_PATHS = """
import sys
from pathlib import Path
from tidegate.data.dvclock import Claim, DvcLocks, rwlock
claim = Claim("/venv/bin/dvc repro train", tuple(sys.argv[2].split()), tuple(sys.argv[3].split()))
with rwlock(DvcLocks(Path(sys.argv[1])), claim):
    print("held", flush=True)
    sys.stdin.readline()
"""
COUNT_UP = """
import sys
from pathlib import Path
from tidegate.data.dvclock import Claim, DvcLocks, rwlock
root = Path(sys.argv[1])
for i in range(15):
    with rwlock(DvcLocks(root, wait_s=60), Claim(f"count {i}", ("shared",), ("number",))):
        number = int((root / "number").read_text())
        (root / "number").write_text(str(number + 1))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(program, *words)` runs Python source in a process of its own; none outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def run(program: str, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *map(str, words)]
        children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return children[-1]

    yield run
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def held(start: Start, root: Path) -> Callable[..., subprocess.Popen[str]]:
    """Another process that holds what it is told until it reads a line."""

    def run(program: str, *words: object) -> subprocess.Popen[str]:
        child = start(program, root, *words)
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        return child

    return run


@pytest.fixture
def dead_pid(start: Start) -> int:
    child = start("")
    child.communicate()
    return child.pid


def now(root: Path) -> object:
    return json.loads((root / ".dvc" / "tmp" / "rwlock").read_text())


def test_the_repository_lock_says_its_holder_as_dvc_does(root: Path):
    with repo_lock(DvcLocks(root)):
        assert (root / ".dvc" / "tmp" / "lock").read_text() == f" {os.getpid()}\n"
    with repo_lock(DvcLocks(root, wait_s=0)):
        pass


@pytest.mark.parametrize("way", ["flock", "hardlink"])
def test_a_held_repository_is_a_conflict_that_names_its_holder(root: Path, held, way: str):
    child = held(HOLD_REPO, way)
    said: list[str] = []
    locks = DvcLocks(root, 0.1, said.append, hardlink=way == "hardlink")
    with pytest.raises(ConflictError) as caught, repo_lock(locks):
        pytest.fail("two hold the repository")
    assert str(caught.value) == f".dvc: process {child.pid} is at work, it holds the repository"
    assert said == [f"waiting for process {child.pid}, it holds the repository"]
    assert caught.value.hint.startswith("wait for it")
    child.communicate("\n")
    with repo_lock(locks):
        assert locks.folder.joinpath("lock").stat().st_nlink == (2 if locks.hardlink else 1)
    assert len(list(locks.folder.iterdir())) == (0 if locks.hardlink else 1)


def test_the_repository_lock_dies_with_its_holder(root: Path, held):
    child = held(HOLD_REPO, "flock")
    child.kill()
    child.communicate()
    with repo_lock(DvcLocks(root, wait_s=0)):
        pass


def test_a_hardlink_lock_of_dvc_is_kept_out_of_for_a_year(root: Path):
    locks = DvcLocks(root, 0, hardlink=True)
    with repo_lock(locks):
        ahead_s = (locks.folder / "lock").stat().st_mtime - (root / ".dvc").stat().st_mtime
    assert ahead_s > 300 * 24 * 3600
    (locks.folder / "lock").write_text(str(locks.folder / "0123abcd.lock"))
    with pytest.raises(ConflictError, match="process unknown is at work") as caught, repo_lock(locks):
        pytest.fail("two hold the repository")
    assert f"rm {locks.folder / 'lock'}" in caught.value.hint


def test_a_claim_stands_in_the_file_as_dvc_writes_it_and_goes(root: Path):
    info = {"pid": os.getpid(), "cmd": "tidegate repro"}
    claim = Claim(info["cmd"], ("data/x", "/abs/../y", "s3://b/k", "data/x"), ("out/",))
    with rwlock(DvcLocks(root), claim):
        assert now(root) == {
            "write": {f"{root}/out": info},
            "read": {f"{root}/data/x": [info], "/y": [info], "s3://b/k": [info]},
        }
    assert now(root) == {}
    assert {path.name for path in (root / ".dvc" / "tmp").iterdir()} == {"rwlock", "rwlock.lock"}


def test_a_block_that_raises_takes_its_claim_back(root: Path):
    with pytest.raises(RuntimeError), rwlock(DvcLocks(root), Claim("a", ("x",), ("y",))):
        raise RuntimeError
    assert now(root) == {}


@pytest.mark.parametrize(
    ("theirs", "ours", "blocked"),
    [
        (("data", ""), ("data", ""), ""),
        (("data", ""), ("", "data"), "reads data"),
        (("", "data"), ("data", ""), "writes data"),
        (("", "data"), ("", "data"), "writes data"),
        (("", "data"), ("data/x/y", ""), "writes data"),
        (("", "data/x"), ("data", ""), "writes data/x"),
        (("", "data"), ("", "database"), ""),
        (("a b", "c"), ("a", "d"), ""),
        (("", "/far/x"), ("/far", ""), "writes /far/x"),
        (("", "s3://b/k"), ("s3://b", ""), "writes s3://b/k"),
    ],
)
def test_paths_collide_when_one_is_or_holds_the_other_and_one_is_written(root, held, theirs, ours, blocked):
    child = held(HOLD_PATHS, *theirs)
    claim = Claim("ours", *(tuple(words.split()) for words in ours))
    if not blocked:
        with rwlock(DvcLocks(root, 0), claim):
            return
    with pytest.raises(ConflictError) as caught, rwlock(DvcLocks(root, 0), claim):
        pytest.fail("two at one path")
    assert str(caught.value) == f".dvc: process {child.pid} (dvc repro train) is at work, it {blocked}"
    assert caught.value.hint == "wait for it; if no such process runs, remove .dvc/tmp/rwlock"


def test_a_waiting_claim_says_once_for_whom_and_goes_on_when_that_is_done(root, held, monkeypatch):
    child = held(HOLD_PATHS, "data", "model")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            child.communicate("\n")

    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep, time=lambda: 0.0)
    monkeypatch.setattr(dvclock, "time", clock)
    said: list[str] = []
    with rwlock(DvcLocks(root, tell=said.append), Claim("ours", read=("model",))):
        pass
    assert said == [f"waiting for process {child.pid} (dvc repro train), it writes model"]
    assert waits == [dvclock.POLL_S] * 3


def test_claims_of_one_process_never_collide_and_end_one_by_one(root: Path):
    locks = DvcLocks(root, 0)
    with rwlock(locks, Claim("a", ("shared",), ("x",))):
        with rwlock(locks, Claim("a", ("shared", "x"), ("y",))):
            assert len(now(root)["read"][f"{root}/shared"]) == 2
        assert list(now(root)) == ["write", "read"]
        assert len(now(root)["read"][f"{root}/shared"]) == 1
    assert now(root) == {}


def test_entries_of_the_dead_are_dropped_where_they_are_in_the_way(root: Path, dead_pid: int):
    dead, path = {"pid": dead_pid, "cmd": "dvc repro"}, root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir()
    plain = {
        "write": {f"{root}/x": dead, f"{root}/far": dead},
        "read": {f"{root}/x": [dead], f"{root}/y": [dead]},
    }
    path.write_text(json.dumps(plain))
    with rwlock(DvcLocks(root, 0), Claim("ours", write=("x",))):
        pass
    assert now(root) == {"write": {f"{root}/far": dead}, "read": {f"{root}/y": [dead]}}


def test_a_killed_holder_stops_nobody(root: Path, held):
    child = held(HOLD_PATHS, "", "x")
    child.kill()
    child.communicate()
    with rwlock(DvcLocks(root, 0), Claim("ours", write=("x",))):
        assert now(root)["write"][f"{root}/x"]["pid"] == os.getpid()


def test_a_process_of_another_user_counts_as_alive(root: Path, monkeypatch: pytest.MonkeyPatch):
    path = root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir()
    path.write_text(json.dumps({"write": {f"{root}/x": {"pid": 2**22 + 1, "cmd": "dvc repro"}}, "read": {}}))

    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    with pytest.raises(ConflictError), rwlock(DvcLocks(root, 0), Claim("ours", read=("x",))):
        pytest.fail("two at one path")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"write": {"a": 1}}', '{"read": {"a": [{"pid": "x"}]}}'])
def test_a_torn_file_is_a_conflict_that_says_what_to_do(root: Path, text: str):
    path = root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConflictError) as caught, rwlock(DvcLocks(root, 0), Claim("ours")):
        pytest.fail("nobody knows who works here")
    assert str(caught.value) == ".dvc/tmp/rwlock: torn by a killed dvc, expected its list"
    assert caught.value.hint.endswith(f"rm {path}")
    assert path.read_text() == text


def test_processes_that_take_turns_lose_no_update_and_no_entry(root: Path, start: Start):
    (root / "number").write_text("0")
    for child in [start(COUNT_UP, root) for _ in range(3)]:
        child.communicate()
        assert child.returncode == 0
    assert (root / "number").read_text() == "45"
    assert now(root) == {}


ENTRIES = st.lists(
    st.builds(
        dvclock._Entry,
        pid=st.integers(1, 9),
        cmd=st.text(max_size=3),
        mode=st.sampled_from(["read", "write"]),
        path=st.sampled_from(["/a", "/a/b", "s3://c"]),
    ),
    max_size=6,
)


@given(ENTRIES)
def test_every_list_of_entries_reads_back(entries):
    plain = dvclock._as_plain(entries)
    again = list(dvclock._parsed(json.loads(json.dumps(plain))))
    assert dvclock._as_plain(again) == plain
    assert set(again) <= set(entries)
    assert sorted(one for one in again if one.mode == "read") == sorted(
        e for e in entries if e.mode == "read"
    )
