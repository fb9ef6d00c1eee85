"""`stage add`, `stage list`, `freeze` and `dag` write and print what DVC's own verbs do."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate.cli.main import cli
from tidegate.errors import TidegateError

Dvc = Callable[..., str]

GRAPH = """\
vars: [{sizes: [1, 2]}]
stages:
  data:
    cmd: echo > raw
    outs: [raw]
  part:
    foreach: [a, b]
    do:
      cmd: echo ${item}
      deps: [raw]
      outs: ["o/${item}"]
  grid:
    matrix: {x: "${sizes}", y: [p, q]}
    cmd: echo ${item.x}
    deps: [o/a]
    metrics: ["m/${item.x}${item.y}"]
  join:
    desc: |
      puts it all together, in a sentence that is quite a bit longer than eighty letters, and then some
      more
    cmd: ls
    deps: [o, m, raw]
    params: [lr]
    outs: [fin al]
    plots: [p.csv, q.csv]
    metrics: [z.json]
  alone:
    cmd: ls
  reader:
    cmd: cat sub/ünï
    deps: [sub/ünï, fin al/in]
"""


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal repositories without stages."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for path, text in {
        "in put": "1\n",
        "params.yaml": "lr: 1\nnested: {deep: 2}\n",
        "other.yaml": "a: 1\n",
        "sub/.keep": "",
        ".dvc/config": "",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }.items():
        (ours / path).parent.mkdir(parents=True, exist_ok=True)
        (ours / path).write_text(text)
    subprocess.run(["git", "init", "-q", str(ours)], check=True)
    shutil.copytree(ours, theirs)
    return ours, theirs


def tidegate(root: Path, *words: str) -> str:
    before = Path.cwd()
    os.chdir(root)
    try:
        done = CliRunner().invoke(cli, words)
    finally:
        os.chdir(before)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def text_files(root: Path) -> dict[str, str]:
    names = ("dvc.yaml", "dvc.lock", ".gitignore")
    found = [
        path
        for path in root.rglob("*")
        if (path.name in names or path.suffix == ".dvc") and ".tidegate" not in path.parts
    ]
    return {path.relative_to(root).as_posix(): path.read_text() for path in found if path.is_file()}


def both(twins: tuple[Path, Path], dvc: Dvc, *words: str, inside: str = "") -> None:
    tidegate(twins[0] / inside, *words)
    dvc(twins[1] / inside, *words)
    assert text_files(twins[0]) == text_files(twins[1])


def test_adding_stages_with_every_option(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(
        twins, dvc, "stage", "add", "-n", "first", "-d", "in put", "-o", "zz", "-o", "o ut", "-O", "nc",
        "-m", "me.json", "-M", "m2.json", "--plots", "pl.csv", "--plots-no-cache", "p2.csv", "--outs-persist", "op",
        "--outs-persist-no-cache", "opn", "-p", "lr,nested.deep", "-p", "other.yaml:a", "-p", "third.yaml:",
        "--desc", "says: x", "--always-changed", "python", "-c", "print(1 + 2)", "", 'say "hi" you',
    )  # fmt: skip
    both(twins, dvc, "stage", "add", "-n", "ünï", "-w", "sub", "-d", "../zz", "-o", "./x", "cp ../zz x && ls")
    both(twins, dvc, "stage", "add", "-n", "c", "-d", "x", "-o", "deep/out", "cp x deep/out", inside="sub")
    both(twins, dvc, "stage", "add", "-f", "-n", "ünï", "-w", "sub", "-o", "y", "touch", "y")


def test_replacing_a_stage_keeps_comments_and_remarks(twins: tuple[Path, Path], dvc: Dvc) -> None:
    for root in twins:
        (root / "dvc.yaml").write_text(
            "# mine\nstages:\n  one: # first\n    desc: says\n    cmd: ls\n    outs:\n    - a:\n        desc: an out\n"
            "        push: false\n    meta: {x: 1}\n  two:\n    cmd: ls # why\n"
        )
    both(twins, dvc, "stage", "add", "-f", "-n", "one", "-o", "a", "-d", "in put", "touch a")


def test_adding_and_running_at_once(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(
        twins,
        dvc,
        "stage",
        "add",
        "-n",
        "one",
        "-d",
        "in put",
        "-p",
        "lr",
        "-o",
        "a",
        "--run",
        "cp 'in put' a",
    )
    assert dvc(twins[0], "status", "--json").strip() == "{}"


@pytest.mark.parametrize(
    "words",
    [
        ("-n", "b!d", "ls"),
        ("-n", "one", "ls"),
        ("-n", "two"),
        ("-n", "two", "-w", "nowhere", "ls"),
        ("-n", "two", "-w", "..", "ls"),
        ("-n", "two", "-o", "a", "ls"),
        ("-n", "two", "-o", "a/inside", "ls"),
        ("-n", "two", "-d", "a", "-o", "a", "ls"),
        ("-n", "two", "-d", "x", "-d", "./x", "ls"),
        ("-n", "two", "-o", "../x", "ls"),
        ("-n", "two", "-d", "z", "-o", "in put", "ls"),
        ("ls",),
    ],
)
def test_both_refuse_the_same_stages(twins: tuple[Path, Path], dvc: Dvc, words: tuple[str, ...]) -> None:
    for root in twins:
        (root / "dvc.yaml").write_text(
            "stages:\n  one:\n    cmd: ls\n    deps: ['in put']\n    outs: [a, z]\n"
        )
    before = text_files(twins[0])
    with pytest.raises(AssertionError):
        dvc(twins[1], "stage", "add", *words)
    with pytest.raises((TidegateError, AssertionError)):
        tidegate(twins[0], "stage", "add", *words)
    assert text_files(twins[0]) == before


def test_freezing_stages_and_data(twins: tuple[Path, Path], dvc: Dvc) -> None:
    for root in twins:
        (root / "sub/data").write_text("1")
    both(twins, dvc, "add", "sub/data")
    both(twins, dvc, "stage", "add", "-n", "one", "-o", "a", "touch a")
    both(twins, dvc, "stage", "add", "-n", "two", "-o", "b", "touch b", inside="sub")
    for verb in ("freeze", "freeze", "unfreeze"):
        both(twins, dvc, verb, "one", "sub/dvc.yaml:two", "sub/data.dvc")


@pytest.fixture
def graph(twins: tuple[Path, Path]) -> Path:
    """A repository with groups, data and a second dvc.yaml."""
    root = twins[0]
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "sub/dvc.yaml").write_text("stages:\n  far:\n    cmd: ls\n    deps: [../o/b]\n    outs: [far]\n")
    md5 = "d8e8fca2dc0f896fd7cb4cb0031ba249"
    (root / "sub/ünï.dvc").write_text(f"outs:\n- md5: {md5}\n  size: 5\n  hash: md5\n  path: ünï\n")
    return root


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--name-only",),
        ("part",),
        ("grid@1-p", "alone"),
        ("sub/dvc.yaml",),
        ("sub/ünï.dvc",),
        ("dvc.yaml:join",),
    ],
)
def test_lists_of_stages_are_printed_alike(graph: Path, dvc: Dvc, words: tuple[str, ...]) -> None:
    assert tidegate(graph, "stage", "list", *words) == dvc(graph, "stage", "list", *words)


@pytest.mark.parametrize(("words", "inside"), [(("--all",), ""), (("--all",), "sub"), (("-R", "sub"), "")])
def test_lists_of_all_stages_hold_the_same(
    graph: Path, dvc: Dvc, words: tuple[str, ...], inside: str
) -> None:
    """DVC's order is that of the directory on disk."""
    ours = tidegate(graph / inside, "stage", "list", *words).splitlines()
    assert sorted(ours) == sorted(dvc(graph / inside, "stage", "list", *words).splitlines())


def test_files_that_cannot_be_read_are_left_out_unless_asked(graph: Path, dvc: Dvc) -> None:
    (graph / "sub/dvc.yaml").write_text("stages: [")
    assert sorted(tidegate(graph, "stage", "list", "--all").splitlines()) == sorted(
        dvc(graph, "stage", "list", "--all").splitlines()
    )
    with pytest.raises(TidegateError, match=r"sub/dvc\.yaml"):
        tidegate(graph, "stage", "list", "--all", "--fail")
    with pytest.raises(TidegateError, match=r"sub/dvc\.yaml"):
        tidegate(graph, "stage", "list", "sub/dvc.yaml")


@pytest.mark.parametrize(
    "words",
    [
        ("--mermaid", "join"),
        ("--md", "join", "--full"),
        ("--mermaid", "part"),
        ("--mermaid", "o/b"),
        ("--mermaid", "grid@2-q"),
        ("--mermaid", "--outs", "join"),
        ("--mermaid", "--collapse-foreach-matrix", "join"),
        ("--mermaid", "reader"),
        ("--mermaid", "sub/dvc.yaml:far"),
    ],
)
def test_charts_are_drawn_alike(graph: Path, dvc: Dvc, words: tuple[str, ...]) -> None:
    assert tidegate(graph, "dag", *words) == dvc(graph, "dag", *words)


@pytest.mark.parametrize("words", [("--dot",), ("--dot", "--outs"), ("--dot", "part", "--full")])
def test_dot_has_the_same_lines(graph: Path, dvc: Dvc, words: tuple[str, ...]) -> None:
    """DVC's order changes from run to run."""
    ours = tidegate(graph / "sub", "dag", *[word.replace("part", "../dvc.yaml:part") for word in words])
    theirs = dvc(graph / "sub", "dag", *[word.replace("part", "../dvc.yaml:part") for word in words])
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())
