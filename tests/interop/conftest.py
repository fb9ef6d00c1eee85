"""Real DVC as the judge of what tidegate writes, and the other way round."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PIPELINE = """\
stages:
  prepare:
    cmd: |
      mkdir -p data/clean/deep && tr a-z A-Z < raw/words.txt > data/clean/words.txt
      cp raw/words.txt data/clean/deep/
    deps: [raw, prepare.txt]
    outs: [data/clean]
  train:
    cmd:
    - cat data/clean/words.txt > model.bin
    - 'echo "{\\"accuracy\\": 0.5}" > metrics.json'
    deps: [data/clean]
    params:
    - train
    - train.trees
    - settings.toml: [depth]
    - extra.json:
    outs:
    - model.bin
    metrics:
    - metrics.json: {cache: false}
  report:
    wdir: reports
    cmd: printf 'n,m\\n1,2\\n' > curve.csv; echo run > run.sh; chmod +x run.sh
    deps: [../metrics.json]
    params:
    - ../params.yaml: [lr]
    outs: [run.sh]
    plots: [curve.csv]
"""

FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "lr: 1e-3\ntrain:\n  trees: 10\n  sizes: [1, 2.5, null, 'yes', {on: true}]\n",
    "settings.toml": "depth = 3\n",
    "extra.json": '{"b": "x: y", "a": [1, 2]}',
    "prepare.txt": "v1",
    "raw/words.txt": "one two three\n",
    "raw/more/n.txt": "ünï\n",
    "raw/skip.tmp": "not seen",
    ".dvcignore": "*.tmp\n",
    "reports/.keep": "",
}


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[str], Path]:
    """A new repository of this name with the pipeline above and an initialized DVC."""

    def make(name: str) -> Path:
        root = tmp_path / name
        for path, text in FILES.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text("")
        (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        return root

    return make


@pytest.fixture
def dvc(tmp_path: Path, ask_dvc: Callable[..., Any]) -> Callable[..., str]:
    """Run dvc in a directory and return what it printed; a failure fails the test."""

    def run(root: Path, *words: str) -> str:
        done = ask_dvc(root, *words, DVC_SITE_CACHE_DIR=str(tmp_path / "site"))
        assert done.code == 0, done.out + done.err
        printed: str = done.out
        return printed

    return run
