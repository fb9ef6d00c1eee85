"""Random pipelines, random edits: tidegate and the real DVC see the same changes and come to the same end."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.errors import TidegateError
from tidegate.pipeline.job import Request
from tidegate.pipeline.reproduce import reproduce, states

pytestmark = pytest.mark.slow

Ask = Callable[..., Any]
Stage = dict[str, Any]
Pipeline = dict[str, Stage]
Edit = tuple[str, int]

ALL = Request(scope="all")
SOURCES = {"a.txt": "a", "b ü.txt": "b", "folder/x": "x", "folder/deep/y": "y"}
DEPS = ("a.txt", "b ü.txt", "folder", "folder/x", "folder/deep")
PARAMS = ("p", "q.r", "q", {"more.json": ["k"]}, {"more.json": None})


@st.composite
def stage_of(draw: st.DrawFn, number: int, outs: list[str]) -> Stage:
    """A stage that writes its number and what it reads into a file, a directory, or one file for each of a group."""
    deps = draw(st.lists(st.sampled_from([*DEPS, *outs]), unique=True, max_size=3))
    out = f"o{number}"
    kind = draw(st.sampled_from(["file", "file", "folder", "uncached", "metric", "group"]))
    names = [f"{out}.{item}" for item in "xy"] if kind == "group" else [out]
    written = f"{out}.${{item}}" if kind == "group" else out
    quoted = " ".join(f'"{dep}"' for dep in deps)
    read = f"find {quoted} -type f -print0 | LC_ALL=C sort -z | xargs -0 cat"
    body = f"(echo {number}{f'; {read}' * bool(deps)}) > {written}{'/f' * (kind == 'folder')}"
    before = f"mkdir {written}; " * (kind == "folder")
    stage: Stage = {"cmd": f"echo $DVC_STAGE >> $DVC_ROOT.ran; {before}{body}"}
    section = "metrics" if kind == "metric" else "outs"
    stage[section] = [{written: {"cache": False}}] if kind in ("uncached", "metric") else [written]
    if deps:
        stage["deps"] = deps
    if keys := draw(st.lists(st.sampled_from(PARAMS), unique_by=str, max_size=2)):
        stage["params"] = keys
    outs += names
    return {"foreach": ["x", "y"], "do": stage} if kind == "group" else stage


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """One to six stages that read sources and outs of earlier ones."""
    outs: list[str] = []
    return {f"s{i}": draw(stage_of(i, outs)) for i in range(draw(st.integers(1, 6)))}


def write_pipeline(root: Path, pipeline: Pipeline) -> None:
    # JSON is YAML
    (root / "dvc.yaml").write_text(json.dumps({"stages": pipeline}))


def start(root: Path, pipeline: Pipeline) -> Path:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    files = {
        **SOURCES,
        ".dvc/config": "",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "params.yaml": "p: 1\nq: {r: [1, 2.5], s: x}\n",
        "more.json": '{"k": 1, "j": "1"}',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    write_pipeline(root, pipeline)
    return root


def change_source(root: Path, which: int) -> None:
    (root / list(SOURCES)[which % len(SOURCES)]).write_text(f"v{which}")


def add_source(root: Path, which: int) -> None:
    (root / "folder" / f"new{which}").write_text("new")


def delete_source(root: Path, which: int) -> None:
    (root / list(SOURCES)[which % len(SOURCES)]).unlink(missing_ok=True)


def touch_source(root: Path, which: int) -> None:
    os.utime(root / "params.yaml", (1, 1 + which))


def change_param(root: Path, which: int) -> None:
    (root / "params.yaml").write_text(f"p: {which}\nq: {{r: [1, {which}], s: x}}\n")


def rename_param(root: Path, which: int) -> None:
    (root / "more.json").write_text(json.dumps({"k": which % 2, "l": "1"}))


def change_command(root: Path, which: int) -> None:
    def change(stage: Stage) -> None:
        stage["cmd"] += f" # {which}"

    change_stage(root, which, change)


def freeze(root: Path, which: int) -> None:
    change_stage(root, which, lambda stage: stage.update(frozen=True))


def change_stage(root: Path, which: int, change: Callable[[Stage], None]) -> None:
    pipeline = json.loads((root / "dvc.yaml").read_text())["stages"]
    stage = pipeline[f"s{which % len(pipeline)}"]
    change(stage.get("do", stage))
    write_pipeline(root, pipeline)


def delete_out(root: Path, which: int) -> None:
    out = nth_out(root, which)
    if out:
        shutil.rmtree(out) if out.is_dir() else out.unlink()


def change_out(root: Path, which: int) -> None:
    out = nth_out(root, which)
    if out:
        target = out / "more" if out.is_dir() else out
        target.unlink(missing_ok=True)
        target.write_text("by hand")


def nth_out(root: Path, which: int) -> Path | None:
    outs = sorted(root.glob("o*"))
    return outs[which % len(outs)] if outs else None


def forget(root: Path, which: int) -> None:
    if not (root / "dvc.lock").exists():
        return
    head, *entries = re.split(r"(?m)^(?=  \S)", (root / "dvc.lock").read_text())
    del entries[which % len(entries)]
    (root / "dvc.lock").write_text("".join([head, *entries]))
    if not entries:
        (root / "dvc.lock").unlink()


def delete_objects(root: Path, which: int) -> None:
    for path in sorted((root / ".dvc" / "cache" / "files" / "md5").rglob("*"))[which::7]:
        if path.is_file():
            path.unlink()


EDITS: dict[str, Callable[[Path, int], None]] = {
    function.__name__: function
    for function in (
        change_source, add_source, delete_source, touch_source, change_param, rename_param, change_command,
        freeze, delete_out, change_out, forget, delete_objects,
    )
}  # fmt: skip
SOME_EDITS = st.lists(st.tuples(st.sampled_from(list(EDITS)), st.integers(0, 6)), min_size=1, max_size=3)


@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pipeline=pipelines(), edits=SOME_EDITS, more=SOME_EDITS)
def test_both_see_the_same_changes_and_come_to_the_same_end(
    ask_dvc: Ask, pipeline: Pipeline, edits: list[Edit], more: list[Edit]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (start(Path(folder) / name, pipeline) for name in ("ours", "theirs"))
        reproduce(ours, ALL)
        assert ask_dvc(theirs, "repro", "-P").code == 0
        assert contents(ours) == contents(theirs)
        assert asked(ask_dvc, ours) == states(theirs) == {}
        for changes in (edits, more):
            for name, which in changes:
                for root in (ours, theirs):
                    EDITS[name](root, which)
            assert states(ours) == asked(ask_dvc, theirs)
            assert states(theirs) == asked(ask_dvc, ours)
            if not both_reproduce(ask_dvc, ours, theirs):
                return
            known = {name for name, _ in (*edits, *more)}
            assert contents(ours, ran="delete_objects" not in known) == contents(
                theirs, ran="delete_objects" not in known
            )
            assert asked(ask_dvc, ours) == states(theirs) == {}


def asked(ask_dvc: Ask, root: Path) -> Any:
    """The state of the repository in the eyes of DVC."""
    done = ask_dvc(root, "status", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def both_reproduce(ask_dvc: Ask, ours: Path, theirs: Path) -> bool:
    """Whether both come to an end; DVC alone may fail, as it does not bring back missing outs of frozen stages."""
    failed = ask_dvc(theirs, "repro", "-P").code != 0
    try:
        reproduce(ours, ALL)
    except TidegateError:
        assert failed
    return not failed


def contents(root: Path, *, ran: bool = True) -> dict[str, bytes]:
    """All files but what each tool has for itself, and in which order stages ran.

    Stages whose outs are in place but not in the cache are run again by DVC, not by us.
    """
    found = {"ran": root.with_name(f"{root.name}.ran").read_bytes()} if ran else {}
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if name not in (".git", ".tidegate", "tmp", "tidegate")]
        for name in files:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = path.read_bytes()
    return found
