"""What versions of old, other machines and killed runs leave behind, and the exit codes that scripts depend on."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tidegate.cli.main import cli
from tidegate.errors import TidegateError

pytestmark = pytest.mark.slow

Dvc = Callable[..., str]
LOG = "echo $DVC_STAGE >> $DVC_ROOT/../ran"


def stages(text: str) -> str:
    return "stages:\n" + "".join(f"  {line}\n" for line in text.replace("LOG", LOG).strip("\n").splitlines())


def md5(text: str) -> str:
    return hashlib.md5(text.replace("\r\n", "\n").encode()).hexdigest()


def kept(text: str, suffix: str = "") -> dict[str, str]:
    """An object in the cache of DVC 2, under the md5 of its text with the line ends of Unix."""
    return {f".dvc/cache/{md5(text)[:2]}/{md5(text)[2:]}{suffix}": text}


def entry(path: str, text: str, *more: str) -> str:
    lines = [f"- path: {path}", f"  md5: {md5(text)}{'.dir' * bool(more)}", f"  size: {len(text)}", *more]
    return "".join(f"    {line}\n" for line in lines)


LISTING = json.dumps([{"md5": md5("1"), "relpath": "x"}, {"md5": md5("b\r\n"), "relpath": "y"}])
COPY = "a: {cmd: cp in out, deps: [in], outs: [out]}"
COPY_LOCK = "schema: '2.0'\nstages:\n  a:\n    cmd: cp in out\n    deps:\n{}    outs:\n{}"
OLD_FILE = {
    "dvc.yaml": stages(COPY),
    "dvc.lock": COPY_LOCK.format(entry("in", "1"), entry("out", "1")),
    "in": "1",
    "out": "1",
    **kept("1"),
}
OLD_TEXT = {
    "dvc.yaml": stages(COPY),
    "dvc.lock": COPY_LOCK.format(entry("in", "a\r\nb\r\n"), entry("out", "a\r\nb\r\n")),
    "in": "a\r\nb\r\n",
    "out": "a\r\nb\r\n",
    **kept("a\r\nb\r\n"),
}
OLD_TREE = {
    "dvc.yaml": stages("a: {cmd: cp -r data out, deps: [data], outs: [out]}"),
    "dvc.lock": COPY_LOCK.replace("cp in out", "cp -r data out").format(
        entry("data", LISTING, "  nfiles: 2"), entry("out", LISTING, "  nfiles: 2")
    ),
    **{f"{folder}/{name}": text for folder in ("data", "out") for name, text in (("x", "1"), ("y", "b\r\n"))},
    **kept("1"),
    **kept("b\r\n"),
    **kept(LISTING, ".dir"),
}
OLD_DATA = {
    "dvc.yaml": stages("a: {cmd: LOG; cp big out, deps: [big], outs: [out]}"),
    "big.dvc": f"outs:\n- md5: {md5('1')}\n  size: 1\n  path: big\n",
    "big": "1",
    ".gitignore": "/big\n",
    **kept("1"),
}
REMOTE = {".dvc/config": "[core]\n    remote = r\n['remote \"r\"']\n    url = ../../remote\n"}
CHAIN = {
    "dvc.yaml": stages(
        "a: {cmd: LOG; cp in a.out, deps: [in], outs: [a.out]}\n"
        "b: {cmd: LOG; mkdir b.out; cp a.out b.out/x, deps: [a.out], outs: [b.out]}\n"
        "c: {cmd: LOG; cp b.out/x c.json, deps: [b.out], metrics: [c.json: {cache: false}]}"
    ),
    "in": "1",
}
GONE = {".dvc/cache": None, "a.out": None, "b.out": None}

SCENARIOS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "a file of DVC 2": (OLD_FILE, ["repro", {"in": "2"}, "repro"]),
    "a file of DVC 2 that is gone": (OLD_FILE, [{"out": None}, "checkout", "repro"]),
    "a file of DVC 2 that changed": (OLD_FILE, [{"out": "by hand"}, "checkout --force", "repro"]),
    "a command of DVC 2 that changed": (
        OLD_FILE,
        [{"dvc.yaml": stages(COPY.replace("cp", "cp -f"))}, "repro"],
    ),
    "a text of DVC 2": (OLD_TEXT, ["repro", {"in": "a\nb\n"}, "repro", {"in": "c\r\n"}, "repro"]),
    "a directory of DVC 2": (OLD_TREE, ["repro", {"data/x": "2"}, "repro"]),
    "a directory of DVC 2 that is gone": (OLD_TREE, [{"out": None}, "checkout", "repro"]),
    "data of DVC 2": (OLD_DATA, ["repro", {"big": "2"}, "repro", "repro -P"]),
    "data of DVC 2 that is gone": (OLD_DATA, [{"big": None}, "checkout big.dvc", "repro", "add big"]),
    "pulled before it runs": ({**CHAIN, **REMOTE}, ["repro", "push", GONE, "pull", "repro"]),
    "pulled from the run cache": (
        {**CHAIN, **REMOTE},
        [
            "repro",
            "push --run-cache",
            {**GONE, "dvc.lock": None},
            "pull --run-cache --allow-missing",
            "repro",
        ],
    ),
    "data missing here but allowed to be": (
        {**CHAIN, **REMOTE, "dvc.yaml": CHAIN["dvc.yaml"], "big": "1"},
        ["add big", "repro", "push", {**GONE, "big": None}, "repro --allow-missing", "pull"],
    ),
}


@pytest.mark.parametrize(("files", "steps"), SCENARIOS.values(), ids=SCENARIOS)
def test_what_others_left_is_taken_up_alike(judge: Callable[..., None], files: Any, steps: Any) -> None:
    judge(files, steps)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of three stages, the second of which waits for a file `go` unless told to `stop`."""
    root = tmp_path / "repository"
    wait = "touch ../began; until test -e ../go; do test -e ../stop && touch ../stopped && exit 1; sleep 0.05; done"
    files = {
        **CHAIN,
        "dvc.yaml": str(CHAIN["dvc.yaml"]).replace("mkdir", f"{wait}; mkdir"),
        ".dvc/config": "",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def tidegate(root: Path, *words: str) -> tuple[int, str]:
    before = Path.cwd()
    os.chdir(root)
    try:
        done = CliRunner().invoke(cli, words)
    finally:
        os.chdir(before)
    if isinstance(done.exception, TidegateError):
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, done.output


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.02)


def kill_in_the_middle(root: Path, call: list[str], site: Path) -> None:
    """Start a run and kill it with no chance to tidy up, once its second stage is running."""
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(site)}
    child = subprocess.Popen(
        call, cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(root.parent / "began")
    child.send_signal(signal.SIGKILL)
    child.wait()
    (root.parent / "stop").touch()
    wait_for(root.parent / "stopped")
    (root.parent / "stop").unlink()
    (root.parent / "go").touch()


def ran(root: Path) -> list[str]:
    return (root.parent / "ran").read_text().split()


def test_tidegate_finishes_what_a_killed_dvc_began(root: Path, checkout: Path, dvc: Dvc) -> None:
    program = checkout / ".tools" / "dvc" / "bin" / "dvc"
    kill_in_the_middle(root, [str(program), "repro"], root.parent / "site")
    assert tidegate(root, "repro")[0] == 0
    assert ran(root) == ["a", "b", "b", "c"]
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_dvc_finishes_what_a_killed_tidegate_began(root: Path, dvc: Dvc) -> None:
    program = [sys.executable, "-c", "from tidegate.cli.start import main; main()"]
    kill_in_the_middle(root, [*program, "repro"], root.parent / "site")
    dvc(root, "repro")
    assert ran(root) == ["a", "b", "b", "c"]
    assert tidegate(root, "status", "--json") == (0, "{}\n")


def test_the_empty_lock_of_a_killed_dvc_is_written_anew(root: Path, dvc: Dvc) -> None:
    (root.parent / "go").touch()
    dvc(root, "repro")
    lock = (root / "dvc.lock").read_bytes()
    (root / "dvc.lock").write_bytes(b"")
    assert tidegate(root, "repro")[0] == 0
    assert ran(root) == ["a", "b", "c"]
    assert (root / "dvc.lock").read_bytes() == lock
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_each_restores_what_the_other_ran(root: Path, dvc: Dvc) -> None:
    (root.parent / "go").touch()
    tidegate(root, "repro")
    (root / "in").write_text("2")
    dvc(root, "repro")
    assert len(ran(root)) == 6
    (root / "in").write_text("1")
    dvc(root, "repro")
    (root / "in").write_text("2")
    assert tidegate(root, "repro")[0] == 0
    assert len(ran(root)) == 6
    assert (root / "c.json").read_text() == "2"
    assert json.loads(dvc(root, "status", "--json")) == {}


CLEAN = 0, 0
CODES = {
    "status": CLEAN,
    "status -q": (0, 1),
    "status a": CLEAN,
    "status -q a": (0, 1),
    "status -q c": (0, 0),
    "status -q --json": CLEAN,
    "status nothing": (1, 1),
    "status --nothing": (1, 1),
    "diff": CLEAN,
    "diff --json": CLEAN,
    "diff nothing": (1, 1),
    "repro --dry": CLEAN,
    "repro nothing": (1, 1),
    "repro -q": (0, 1),
    "repro -k": (0, 1),
    "repro --ignore-errors": CLEAN,
    "checkout": CLEAN,
    "checkout nothing": (1, 1),
    "commit -f": CLEAN,
    "add nothing": (1, 1),
    "push": (1, 1),
    "stage list": CLEAN,
    "dag": CLEAN,
    "freeze nothing": (1, 1),
    "remove nothing": (1, 1),
    "nothing": (1, 1),
}


@pytest.mark.parametrize("words", CODES)
def test_exit_codes_are_those_of_dvc(root: Path, ask_dvc: Callable[..., Any], words: str) -> None:
    """Of a repository in which nothing changed, and of one with a change that makes a stage fail: zero or not."""
    (root.parent / "go").touch()
    subprocess.run(["git", "-C", str(root), "commit", "-qm", "x", "--allow-empty"], check=True)
    assert tidegate(root, "repro")[0] == 0
    twin = root.with_name("twin")
    for is_dirty in (False, True):
        if is_dirty:
            (root / "in").write_text("2")
            pipeline = root / "dvc.yaml"
            pipeline.write_text(pipeline.read_text().replace("cp in a.out", "cp in a.out; false"))
        shutil.rmtree(twin, ignore_errors=True)
        shutil.copytree(root, twin)
        theirs, ours = ask_dvc(twin, *words.split()).code, tidegate(root, *words.split())
        assert (bool(theirs), bool(ours[0])) == (bool(CODES[words][is_dirty]),) * 2, ours[1]


@pytest.mark.parametrize("words", ["status", "repro", "diff", "add x", "push"])
def test_outside_of_a_repository_both_fail(tmp_path: Path, ask_dvc: Callable[..., Any], words: str) -> None:
    assert ask_dvc(tmp_path, *words.split()).code != 0
    assert tidegate(tmp_path, *words.split())[0] != 0
