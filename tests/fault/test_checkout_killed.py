"""kill -9 at any moment of a save or a checkout: whole files or none, and the next try finishes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tidegate.data.cache import add_path, ensure_dvc, object_path, open_cache, read_tree
from tidegate.data.checkout import checkout, discard
from tidegate.data.hash import Files, Hashed, hash_path, md5_file
from tidegate.data.objects import ObjectCache
from tidegate.data.statcache import StatCache

pytestmark = pytest.mark.slow

DVC = Path(__file__).parents[2] / ".tools" / "dvc" / "bin" / "dvc"
COUNT = 300
KILLS = 15

# a fork of a process that has imported everything spends its whole life in the work that is killed
SERVER = """
import os, sys
import sqlite3, hashlib, fcntl, shutil
from pathlib import Path
import tidegate.data.config, tidegate.data.aside, tidegate.data.sound
from tidegate.data.cache import add_path, open_cache
from tidegate.data.checkout import checkout
from tidegate.data.hash import Files, Hashed
from tidegate.data.statcache import StatCache
for line in sys.stdin:
    root, verb, md5 = line.split()
    child = os.fork()
    if child == 0:
        os.setsid()
        cache = open_cache(Files(Path(root), StatCache(Path(root) / ".tidegate/cache/stat.json")))
        add_path(cache, "d") if verb == "add" else checkout(cache, "d", Hashed(md5, 0, 0))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate(timeout=10)


def run(server, root: Path, words: str, *, kill_after: float | None = None) -> int:
    server.stdin.write(f"{root} {words}\n")
    server.stdin.flush()
    child = int(server.stdout.readline())
    if kill_after is not None:
        threading.Event().wait(kill_after)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return int(server.stdout.readline())


def opened(root: Path, kind: str) -> ObjectCache:
    ensure_dvc(root)
    (root / ".dvc" / "config").write_text(f"[core]\n    no_scm = True\n[cache]\n    type = {kind}\n")
    return open_cache(Files(root, StatCache(root / ".tidegate" / "cache" / "stat.json")))


def fill(top: Path, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(COUNT):
        path = top / f"{number % 7}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randrange(20_000)))


def contents(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def half_made(cache: ObjectCache) -> list[str]:
    """Objects that do not hold what their names say."""
    below = cache.folder / "files" / "md5"
    paths = [path for path in below.rglob("*") if path.is_file()]
    return [str(path) for path in paths if md5_file(path) + path.suffix != f"{path.parent.name}{path.name}"]


def left_over(cache: ObjectCache) -> list[Path]:
    folders = (cache.folder / "tidegate" / "staging", cache.files.root / ".tidegate" / "staging")
    return [path for folder in folders if folder.exists() for path in folder.iterdir()]


class Moments:
    """Random moments within the time that the work takes, which is learned from the runs that were not killed."""

    def __init__(self, seed: str, seconds: float) -> None:
        self._draw = random.Random(seed)
        self._seconds = seconds
        self.killed = 0

    def kill(self, server, root: Path, words: str) -> None:
        if run(server, root, words, kill_after=self._draw.uniform(0, self._seconds)):
            self.killed += 1
        else:
            self._seconds *= 0.8


def timed(server, root: Path, words: str) -> float:
    started = os.times().elapsed
    assert run(server, root, words) == 0
    return os.times().elapsed - started


def dvc_status(root: Path, hashed: Hashed) -> str:
    out = {"md5": hashed.md5, "size": hashed.size, "nfiles": hashed.nfiles, "hash": "md5", "path": "d"}
    (root / "d.dvc").write_text(yaml.safe_dump({"outs": [out]}))
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(root / "site")}
    done = subprocess.run(
        [str(DVC), "status", "--json"], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() + done.stderr.strip()


@pytest.mark.parametrize("kind", ["copy", "hardlink", "symlink"])
def test_a_killed_save_leaves_whole_objects_and_the_files_as_they_were(server, tmp_path: Path, kind) -> None:
    sample = tmp_path / "sample"
    fill(sample / "d", 1)
    opened(sample, kind)
    wanted = contents(sample / "d")
    took = timed(server, sample, "add -")
    moments = Moments(f"add {kind}", took)
    for number in range(KILLS):
        root = tmp_path / str(number)
        fill(root / "d", 1)
        cache = opened(root, kind)
        moments.kill(server, root, "add -")
        assert contents(root / "d") == wanted
        assert half_made(cache) == []
        hashed = add_path(cache, "d")
        assert contents(root / "d") == wanted
        assert half_made(cache) == left_over(cache) == []
        if number < KILLS - 1:
            shutil.rmtree(root)
    assert moments.killed >= KILLS // 3
    assert dvc_status(root, hashed) == "{}"


@pytest.mark.parametrize("kind", ["copy", "hardlink", "symlink"])
def test_a_killed_checkout_leaves_each_file_old_new_or_absent(server, tmp_path: Path, kind) -> None:
    cache = opened(tmp_path, kind)
    fill(tmp_path / "d", 1)
    old = add_path(cache, "d")
    before = contents(tmp_path / "d")
    discard(cache, "d")
    fill(tmp_path / "d", 2)
    new = add_path(cache, "d")
    after = contents(tmp_path / "d")
    checkout(cache, "d", old)
    took = timed(server, tmp_path, f"checkout {new.md5}")
    moments = Moments(f"checkout {kind}", took)
    for _ in range(KILLS):
        checkout(cache, "d", old)
        (tmp_path / "d" / "mine").write_text("mine")
        moments.kill(server, tmp_path, f"checkout {new.md5}")
        now = contents(tmp_path / "d")
        assert [
            n for n, content in now.items() if content not in (before.get(n), after.get(n), b"mine")
        ] == []
        aside = sorted((tmp_path / ".tidegate" / "aside").rglob("mine"))
        assert "mine" in now or aside
        checkout(cache, "d", new)
        add_path(cache, "d")
        assert contents(tmp_path / "d") == after
        assert half_made(cache) == []
        shutil.rmtree(tmp_path / ".tidegate" / "aside")
    assert moments.killed >= KILLS // 3
    assert hash_path(cache.files, "d") == new
    assert len(read_tree(cache, new) or ()) == COUNT
    assert object_path(cache, new.md5).exists()
    assert dvc_status(tmp_path, new) == "{}"


@pytest.mark.parametrize("kind", ["copy", "hardlink"])
def test_a_killed_checkout_of_a_new_directory_leaves_all_of_it_or_nothing(
    server, tmp_path: Path, kind
) -> None:
    cache = opened(tmp_path, kind)
    fill(tmp_path / "d", 1)
    hashed = add_path(cache, "d")
    wanted = contents(tmp_path / "d")
    discard(cache, "d")
    took = timed(server, tmp_path, f"checkout {hashed.md5}")
    moments = Moments(f"new {kind}", took)
    for _ in range(KILLS):
        discard(cache, "d")
        moments.kill(server, tmp_path, f"checkout {hashed.md5}")
        assert not (tmp_path / "d").exists() or contents(tmp_path / "d") == wanted
    checkout(cache, "d", hashed)
    add_path(cache, "d")
    assert left_over(cache) == []
    assert moments.killed >= KILLS // 3
    assert dvc_status(tmp_path, hashed) == "{}"
