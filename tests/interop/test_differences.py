"""Where tidegate differs from DVC on purpose, as docs/explanation/dvc.md lists it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tidegate.errors import TidegateError
from tidegate.pipeline.job import Options, Request
from tidegate.pipeline.reproduce import reproduce

pytestmark = pytest.mark.slow

LOG = "echo $DVC_STAGE >> $DVC_ROOT.ran"
PIPELINE = f"""\
stages:
  a: {{cmd: {LOG}; cp in a.out, deps: [in, other], params: [p, q], outs: [a.out]}}
  b: {{cmd: {LOG}; (cat a.out; echo b) > b.out, deps: [a.out], outs: [b.out]}}
"""
FROZEN = PIPELINE.replace("b: {", "b: {frozen: true, ")
EXTRA = PIPELINE.replace("(cat", "touch c.out; (cat").replace("[b.out]", "[b.out, c.out]")


class Case(NamedTuple):
    """An edit after a first run, and which stages run after it, in DVC and in tidegate; None when that fails."""

    edit: dict[str, str | None]
    dvc: list[str] | None
    ours: list[str] | None
    pipeline: str = PIPELINE
    force: bool = False


CASES = {
    "a dep leaves": Case({"dvc.yaml": PIPELINE.replace(", other", "")}, [], ["a"]),
    "a param leaves": Case({"dvc.yaml": PIPELINE.replace(", q", "")}, [], ["a"]),
    "an out leaves": Case({"dvc.yaml": EXTRA.replace(", c.out", "")}, [], ["b"], pipeline=EXTRA),
    "outs in place whose objects are gone": Case({".dvc/cache": None}, ["a", "b"], []),
    "a missing out of a frozen stage": Case({"b.out": None}, None, [], pipeline=FROZEN),
    "missing data": Case({"big": None}, None, []),
    "a frozen stage, forced": Case({"in": "2", "dvc.yaml": FROZEN}, ["a"], ["a"], force=True),
}


def make(root: Path, pipeline: str) -> Path:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    files = {"in": "1", "other": "o", "params.yaml": "p: 1\nq: 2\n", "big": "b", ".dvc/config": ""}
    for name, text in {**files, "dvc.yaml": pipeline}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def ran(root: Path) -> list[str]:
    log = root.with_name(f"{root.name}.ran")
    return log.read_text().split() if log.exists() else []


def change(root: Path, files: dict[str, str | None]) -> None:
    root.with_name(f"{root.name}.ran").unlink(missing_ok=True)
    for name, text in files.items():
        path = root / name
        if text is not None:
            path.write_text(text)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def reproduced(root: Path, *, force: bool) -> list[str] | None:
    """The stages that ran, or None when that failed."""
    try:
        reproduce(root, Request(scope="all", options=Options(force=force)))
    except TidegateError:
        return None
    return ran(root)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_makes_its_own_of_the_same_change(
    tmp_path: Path, ask_dvc: Callable[..., Any], case: Case
) -> None:
    ours, theirs = (
        make(tmp_path / name, case.pipeline.replace("frozen: true, ", "")) for name in ("ours", "theirs")
    )
    for root in (ours, theirs):
        assert ask_dvc(root, "add", "big").code == 0
        assert ask_dvc(root, "repro").code == 0
        change(root, {"dvc.yaml": case.pipeline, **case.edit})
    failed = ask_dvc(theirs, "repro", "-P", *["-f"] * case.force).code != 0
    assert (None if failed else ran(theirs)) == case.dvc
    assert reproduced(ours, force=case.force) == case.ours
    if not case.force:
        assert ask_dvc(ours, "status", "--json").out == "{}\n"


def test_a_forced_frozen_stage_keeps_its_record(tmp_path: Path, ask_dvc: Callable[..., Any]) -> None:
    """DVC records the present deps as if they had been read."""
    ours, theirs = (make(tmp_path / name, PIPELINE) for name in ("ours", "theirs"))
    for root in (ours, theirs):
        assert ask_dvc(root, "repro").code == 0
        change(root, {"dvc.yaml": FROZEN, "in": "2"})
    assert ask_dvc(theirs, "repro", "-f").code == 0
    assert reproduced(ours, force=True) == ["a"]
    for root in (ours, theirs):
        change(root, {"dvc.yaml": PIPELINE})
    assert ask_dvc(theirs, "status", "--json").out == "{}\n"
    assert "b" in ask_dvc(ours, "status", "--json").out


def test_what_a_failing_stage_made_before_stays(tmp_path: Path, ask_dvc: Callable[..., Any]) -> None:
    """DVC deletes outs before it looks for deps, and takes back what it told git of stages that finished."""
    ours, theirs = (make(tmp_path / name, PIPELINE) for name in ("ours", "theirs"))
    for root in (ours, theirs):
        assert ask_dvc(root, "repro").code == 0
        change(root, {"other": None, ".gitignore": ""})
    assert ask_dvc(theirs, "repro").code != 0
    assert reproduced(ours, force=False) is None
    assert (ours / "a.out").exists()
    assert not (theirs / "a.out").exists()
