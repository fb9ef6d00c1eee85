"""diff and list print what real DVC prints."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Dvc = Callable[..., str]
PROGRAM = str(Path(sys.executable).parent / "tidegate")
PIPELINE = """\
stages:
  make:
    cmd: mkdir -p deep/made && cp f.csv deep/made/ && echo 1 > m.json && echo 2 > kept
    deps: [f.csv]
    outs: [deep/made]
    metrics:
    - m.json: {cache: false}
    plots:
    - kept
"""


def ours(root: Path, *words: str) -> str:
    done = subprocess.run([PROGRAM, *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three commits of data and files, and a workspace that differs from the last."""
    top = tmp_path_factory.mktemp("history")
    root = top / "repo"
    (root / "data" / "sub").mkdir(parents=True)
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(top / "site")}
    dvc = str(Path(__file__).parents[2] / ".tools" / "dvc" / "bin" / "dvc")

    def run(*words: str) -> None:
        subprocess.run([dvc, *words], cwd=root, env=env, check=True, capture_output=True)

    git(root, "init", "-q")
    run("init", "-q")
    for name in ("data/x", "data/sub/y", "f.csv", "big file.bin"):
        (root / name).write_text(name)
    run("add", "-q", "data", "f.csv", "big file.bin")
    (root / "lib" / "deep").mkdir(parents=True)
    (root / "lib" / "deep" / "l.py").write_text("code\n" * 400)
    (root / "tool.sh").write_text("#!/bin/sh\n")
    (root / "tool.sh").chmod(0o755)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "data" / "x").write_text("x2")
    (root / "data" / "sub" / "z ü").write_text("z")
    run("add", "-q", "data")
    run("repro", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "two")
    git(root, "mv", "f.csv.dvc", "g.csv.dvc")
    git(root, "tag", "two")
    run("remove", "-q", "big file.bin.dvc")
    (root / "dvc.yaml").unlink()
    (root / "dvc.lock").unlink()
    (root / "g.csv.dvc").unlink()
    (root / "f.csv").rename(root / "g.csv")
    run("add", "-q", "g.csv")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "three")
    (root / "data" / "x").write_text("local")
    (root / "data" / "new").write_text("new")
    (root / "untracked.txt").write_text("u")
    return root


@pytest.mark.parametrize(
    "sides", [[], ["two"], ["two~1"], ["two~1", "two"], ["two", "HEAD"], ["HEAD", "HEAD"]]
)
def test_diff_of_commits_and_workspace(sides: list[str], history: Path, dvc: Dvc) -> None:
    for options in (["--json", "--show-hash"], ["--json", "--hide-missing"], [], ["--md", "--show-hash"]):
        words = ["diff", *sides, *options]
        assert ours(history, *words).split() == dvc(history, *words).split(), words
    assert ours(history, "diff", *sides, "--json") == dvc(history, "diff", *sides, "--json")


@pytest.mark.parametrize(
    "targets", [["data"], ["data/x"], ["data/sub"], ["data/new", "g.csv"], ["g.csv.dvc"], ["data/"]]
)
def test_diff_of_targets(targets: list[str], history: Path, dvc: Dvc) -> None:
    words = ["diff", "two~1", "--json", "--show-hash", "--targets", *targets]
    assert json.loads(ours(history, *words)) == json.loads(dvc(history, *words))


def test_diff_when_cache_and_data_are_gone(history: Path, tmp_path: Path, dvc: Dvc) -> None:
    root = tmp_path / "copy"
    shutil.copytree(history, root, symlinks=True)
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(root / "data")
    for words in (
        ["diff", "--json"],
        ["diff", "two~1", "two", "--json"],
        ["diff", "--json", "--hide-missing"],
    ):
        assert json.loads(ours(root, *words)) == json.loads(dvc(root, *words)), words


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-R"],
        ["-R", "-L", "2"],
        ["-R", "-L", "0"],
        ["--dvc-only"],
        ["-R", "--dvc-only"],
        ["data"],
        ["data", "-R"],
        ["data/x"],
        ["data/sub/"],
        ["lib", "-R"],
        ["lib", "--dvc-only"],
        ["tool.sh"],
    ],
)
def test_list_of_workspace_and_commit(words: list[str], history: Path, dvc: Dvc) -> None:
    for rev in ([], ["--rev", "two"]):
        asked = ["list", ".", *words, *rev, "--json"]
        theirs = [one for one in json.loads(dvc(history, *asked)) if not one["path"].startswith(".tidegate")]
        mine = json.loads(ours(history, *asked))
        assert _settled(mine) == _settled(theirs), asked


def _settled(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    """The size of a directory on disk changes with what tools put into it."""
    return [{**one, "size": None} if one["path"] == "." else one for one in entries]


@pytest.mark.parametrize(
    "words", [[], ["-L", "1"], ["-L", "2", "--size"], ["--show-hash", "--size"], ["data"]]
)
def test_trees_and_columns(words: list[str], history: Path, dvc: Dvc) -> None:
    for kind in (["-T"], ["-R"]):
        asked = ["list", str(history), *words, *kind, "--rev", "two"]
        mine, other = ours(history.parent, *asked), dvc(history.parent, *asked)
        assert [line.rstrip() for line in mine.splitlines()] == [line.rstrip() for line in other.splitlines()]


def test_list_of_a_clone(history: Path, tmp_path: Path, dvc: Dvc) -> None:
    url = f"file://{history}"
    for words in (["lib", "-R"], [], ["--dvc-only"]):
        asked = ["list", url, *words, "--rev", "two", "--json"]
        assert json.loads(ours(tmp_path, *asked)) == json.loads(dvc(tmp_path, *asked)), asked
