"""kill -9 while data move: nothing half-written under a real name, and the same command finishes the work."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FILES = 300
KILLS = 8


def tidegate(root: Path, *words: str, kill_after: float | None = None) -> int:
    """Run a command, or kill it; the exit code."""
    program = [sys.executable, "-c", "from tidegate.cli.start import main; main()", *words]
    child = subprocess.Popen(
        program, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return child.wait(kill_after if kill_after is not None else 120)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.wait(10)


def make(root: Path) -> Path:
    """A repository with a directory of many small files and one larger, and a remote beside it."""
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    for i in range(FILES):
        path = root / "data" / str(i % 7) / f"{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content {i}\n".encode() * (40 if i else 40_000))
    (root / ".dvc").mkdir()
    config = f"[core]\n    remote = r\n['remote \"r\"']\n    url = {root.parent / 'remote'}\n"
    (root / ".dvc" / "config").write_text(config)
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    return root


def added(root: Path) -> Path:
    assert tidegate(make(root), "add", "data") == 0
    return root


def pushed(root: Path) -> Path:
    assert tidegate(added(root), "push") == 0
    shutil.rmtree(root / "data")
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(root / ".tidegate")
    return root


def emptied(root: Path) -> Path:
    shutil.rmtree(added(root) / "data")
    return root


def broken_objects(store: Path) -> list[Path]:
    """Objects whose bytes are not what their name says; no reader takes a name with a dot for one."""
    found = (store / "files" / "md5").rglob("*")
    paths = [path for path in found if path.is_file() and not path.name.startswith(".")]
    named = [(path, path.parent.name + path.name.removesuffix(".dir")) for path in paths]
    return [path for path, md5 in named if hashlib.md5(path.read_bytes()).hexdigest() != md5]


def listing(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [(make, ("add", "data")), (added, ("push",)), (pushed, ("pull",)), (emptied, ("checkout",))],
    ids=["add", "push", "pull", "checkout"],
)
def test_a_killed_command_is_finished_by_the_next(
    tmp_path: Path, prepare: Callable[[Path], Path], words: tuple[str, ...]
) -> None:
    sample = prepare(tmp_path / "sample" / "repository")
    began = time.monotonic()
    assert tidegate(sample, *words) == 0
    took = time.monotonic() - began
    whole = listing(sample / "data")
    draw = random.Random(words[0])
    killed = 0
    for number in range(KILLS):
        root = prepare(tmp_path / str(number) / "repository")
        killed += tidegate(root, *words, kill_after=draw.uniform(0.1, 0.7) * took) != 0
        for store in (root / ".dvc" / "cache", root.parent / "remote"):
            assert broken_objects(store) == []
        there = listing(root / "data") if (root / "data").exists() else {}
        assert {name: whole[name] for name in there} == there
        assert tidegate(root, *words) == 0
        assert listing(root / "data") == whole
        assert tidegate(root, "status", "--quiet") == 0
    assert killed >= 2


def test_gc_killed_keeps_all_that_is_used(tmp_path: Path) -> None:
    root = added(tmp_path / "repository")
    (root / "data" / "0" / "0.bin").write_bytes(b"second version")
    assert tidegate(root, "add", "data") == 0
    for delay in (0.1, 0.2, 0.3, 0.4):
        tidegate(root, "gc", "--workspace", "--force", "--grace", "0", kill_after=delay)
        shutil.rmtree(root / "data")
        assert tidegate(root, "checkout") == 0
        assert (root / "data" / "0" / "0.bin").read_bytes() == b"second version"
