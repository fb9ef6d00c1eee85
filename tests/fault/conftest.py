"""A project whose stages copy files, and a server that forks commands which tests kill at a chosen moment."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

SETTINGS = """[project]
name = "tiny"
task = "binary"

[data]
evaluation = "evaluation.csv"
heldout = "data/test.csv"

[model]
path = "model.onnx"
reference = "data/train.csv"

[[gate.rule]]
kind = "not_worse"
margin = 0.05
[[gate.rule]]
kind = "min"
value = 0.5
"""
STAGES = """stages:
  prepare:
    cmd: cp raw/train.csv raw/test.csv data/
    deps: [raw/train.csv, raw/test.csv]
    outs: [data/train.csv, data/test.csv]
  train:
    cmd: cp raw/model.onnx model.onnx
    deps: [raw/model.onnx, data/train.csv]
    outs: [model.onnx]
  evaluate:
    cmd: cp raw/evaluation.csv evaluation.csv
    deps: [raw/evaluation.csv, model.onnx, data/test.csv]
    outs: [evaluation.csv]
"""
MODEL = """<ir_version: 8, opset_import: ["": 17]>
tiny (float[N,2] x) => (int64[N] label, float[N,2] probabilities) <float[2,2] w = {0.0, -SLOPE, 0.0, SLOPE}> {
  logits = MatMul(x, w)
  probabilities = Softmax<axis = 1>(logits)
  label = ArgMax<axis = 1, keepdims = 0>(probabilities)
}"""
ROWS = 400

# forking a process that has imported everything lets the whole delay fall into the command's own work
FORK_SERVER = """
import json, os, sys
import tidegate.flow.bundle, tidegate.flow.judge, tidegate.flow.release, tidegate.store.predictions
from tidegate.cli.main import COMMANDS, cli, main
for name in ("repro", "gate", "plan", "apply", "rollback", "rollout", "audit", "bundle"):
    cli.get_command(None, name)
for line in sys.stdin:
    folder, words = json.loads(line)
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(folder)
        out = os.open(".said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = 1
        try:
            main(words)
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Done(NamedTuple):
    """How a command ended: its exit code (negative: the signal), its seconds, its words."""

    code: int
    seconds: float
    said: str


class ForkServer:
    """Runs commands in forks of one warm process; each can be killed after a delay."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORK_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, root: Path, words: Sequence[str], *, kill_after: float | None = None) -> Done:
        """Run `tidegate WORDS` in `root`; SIGKILL reaches its group `kill_after` seconds later."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([str(root), list(words)]) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        began = time.perf_counter()
        if kill_after is not None:
            threading.Event().wait(kill_after)
            _kill_group(child)
        code = int(self._process.stdout.readline())
        said = root / ".said"
        return Done(code, time.perf_counter() - began, said.read_text() if said.exists() else "")

    def close(self) -> None:
        """End the server."""
        self._process.communicate(timeout=10)


def _kill_group(child: int) -> None:
    """The child may not lead its group yet, or may be gone."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            return


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """One warm process for all tests of a worker."""
    running = ForkServer()
    yield running
    running.close()


@pytest.fixture
def tidegate(server: ForkServer) -> Callable[..., Done]:
    """`tidegate(root, "repro")` runs a command that must succeed."""

    def run(root: Path, *words: str) -> Done:
        done = server.run(root, words)
        assert done.code == 0, f"{words}: exit {done.code}\n{done.said}"
        return done

    return run


@pytest.fixture
def candidate() -> Callable[..., None]:
    """`candidate(root, slope=2.0, wrong=10)` puts another model and its answers in front of the pipeline."""
    return write_candidate


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The tiny project before anything ran."""
    root = tmp_path / "tiny"
    (root / "raw").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "tidegate.toml").write_text(SETTINGS)
    (root / "dvc.yaml").write_text(STAGES)
    for name, seed in (("train", 1), ("test", 2)):
        _write_table(root / "raw" / f"{name}.csv", seed)
    write_candidate(root, slope=1.0, wrong=20)
    return root


@pytest.fixture
def fresh_copy(tmp_path: Path) -> Callable[[Path, int], Path]:
    """`fresh_copy(root, 3)` is a copy of a project to break, stat times kept."""

    def copy(root: Path, number: int) -> Path:
        return Path(shutil.copytree(root, tmp_path / f"copy-{number}", symlinks=True))

    return copy


def write_candidate(root: Path, *, slope: float, wrong: int) -> None:
    from onnx import parser

    model = parser.parse_model(MODEL.replace("SLOPE", str(slope)))
    (root / "raw/model.onnx").write_bytes(model.SerializeToString())
    lines = [f"{n},{n % 2},{(n + (n < wrong)) % 2}" for n in range(ROWS)]
    (root / "raw/evaluation.csv").write_text("\n".join(["id,truth,prediction", *lines]) + "\n")


def _write_table(path: Path, seed: int) -> None:
    draw = random.Random(seed)
    lines = ["id,label,x0,x1"]
    for n in range(ROWS):
        low, high = sorted(round(draw.uniform(0, 16), 3) for _ in range(2))
        lines.append(f"{n},1,{low},{high}" if n % 2 else f"{n},0,{high},{low}")
    path.write_text("\n".join(lines) + "\n")
