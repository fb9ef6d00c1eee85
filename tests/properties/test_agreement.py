"""Random pipelines, random edits: tidegate and the real DVC see the same changes and come to the same lock."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.errors import TidegateError
from tidegate.pipeline.job import Request
from tidegate.pipeline.reproduce import reproduce, states

pytestmark = pytest.mark.slow

PYTHON = Path(__file__).parents[2] / ".tools" / "dvc" / "bin" / "python"
ALL = Request(scope="all")
Ask = Callable[[Path, str], Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """DVC in one process for all examples."""
    site = tmp_path_factory.mktemp("site")
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(site)}
    words = [str(PYTHON), str(Path(__file__).with_name("dvc_server.py"))]
    with subprocess.Popen(
        words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:

        def run(root: Path, verb: str) -> Any:
            assert server.stdin
            assert server.stdout
            server.stdin.write(json.dumps({"root": str(root), "verb": verb}) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield run
        server.terminate()


Pipeline = dict[str, dict[str, Any]]


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """One to five stages that read sources, directories and outs of earlier ones, and write files or directories."""
    made: Pipeline = {}
    outs: list[str] = []
    for i in range(draw(st.integers(1, 5))):
        deps = draw(
            st.lists(
                st.sampled_from(["a.txt", "b.txt", "folder", "folder/x", *outs]), unique=True, max_size=3
            )
        )
        if {"folder", "folder/x"} <= set(deps):
            deps.remove("folder/x")
        is_dir = draw(st.booleans())
        out = f"o{i}"
        make = (
            f"mkdir {out} && echo {i} > {out}/f && echo $PWD > /dev/null" if is_dir else f"echo {i} > {out}"
        )
        reads = [f"cat {dep}/* >> {out}{'/f' * is_dir}" if dep == "folder" else "true" for dep in deps[:1]]
        stage: dict[str, Any] = {"cmd": " && ".join([make, *reads]), "outs": [out]}
        if deps:
            stage["deps"] = deps
        if keys := draw(st.lists(st.sampled_from(["p", "q.r", "q"]), unique=True, max_size=2)):
            stage["params"] = keys
        made[f"s{i}"] = stage
        outs.append(out)
    return made


EDITS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "dep",
                "inside",
                "add",
                "touch",
                "param",
                "drop param",
                "cmd",
                "rm out",
                "edit out",
                "freeze",
                "object",
            ]
        ),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=3,
)


def write_pipeline(root: Path, pipeline: Pipeline) -> None:
    # JSON is YAML
    (root / "dvc.yaml").write_text(json.dumps({"stages": pipeline}))


def start(folder: Path, pipeline: Pipeline) -> Path:
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for name, text in {"a.txt": "a", "b.txt": "b", "folder/x": "x", "folder/y": "y"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("")
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / "params.yaml").write_text("p: 1\nq: {r: [1, 2.5], s: x}\n")
    write_pipeline(folder, pipeline)
    return folder


def edit(root: Path, pipeline: Pipeline, what: str, which: int) -> None:
    name = f"s{which % len(pipeline)}"
    out = root / f"o{which % len(pipeline)}"
    if what in ("dep", "inside", "add"):
        (root / {"dep": "a.txt", "inside": "folder/x", "add": f"folder/new{which}"}[what]).write_text(
            f"v{which}"
        )
    elif what == "touch":
        os.utime(root / "b.txt", (1, 1 + which))
    elif what == "param":
        (root / "params.yaml").write_text(f"p: {which}\nq: {{r: [1, {which}], s: x}}\n")
    elif what == "drop param":
        (root / "params.yaml").write_text("p: 1\n")
    elif what == "cmd":
        pipeline[name]["cmd"] += f" && : {which}"
        write_pipeline(root, pipeline)
    elif what == "freeze":
        pipeline[name]["frozen"] = True
        write_pipeline(root, pipeline)
    elif what == "object":
        for path in sorted((root / ".dvc" / "cache" / "files" / "md5").rglob("*"))[which::7]:
            if path.is_file():
                path.unlink()
    elif what == "rm out":
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    elif out.exists():
        target = out / "more" if out.is_dir() else out
        target.unlink(missing_ok=True)
        target.write_text("by hand")


@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pipeline=pipelines(), edits=EDITS, more=EDITS)
def test_both_see_the_same_changes_and_come_to_the_same_lock(
    ask: Ask, pipeline: Pipeline, edits: Any, more: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        roots = [start(Path(folder) / name, pipeline) for name in ("ours", "theirs")]
        ours, theirs = roots
        reproduce(ours, ALL)
        ask(theirs, "repro")
        assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
        assert ask(ours, "status") == states(ours) == states(theirs) == {}
        for changes in (edits, more):
            plans = [json.loads((root / "dvc.yaml").read_text())["stages"] for root in roots]
            for what, which in changes:
                for root, plan in zip(roots, plans, strict=True):
                    edit(root, plan, what, which)
            assert states(ours) == ask(theirs, "status")
            assert states(theirs) == ask(ours, "status")
        failed = ask(theirs, "repro") is not None
        assert fails(ours) == failed
        if failed:
            return
        assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
        assert states(ours) == states(theirs) == ask(ours, "status") == {}


def fails(root: Path) -> bool:
    """Whether a run cannot come to its end, such as when a param is not there."""
    try:
        reproduce(root, ALL)
    except TidegateError:
        return True
    return False
