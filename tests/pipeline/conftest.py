"""A small project to run: two stages, one after the other."""

import subprocess
from pathlib import Path

import pytest

PIPELINE = """\
stages:
  prepare:
    cmd: cp raw.txt clean.txt
    deps: [raw.txt]
    outs: [clean.txt]
  train:
    cmd: mkdir model && cp clean.txt model/weights
    deps: [clean.txt]
    params: [train.trees]
    outs: [model]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository with a pipeline that never ran."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "raw.txt").write_text("one")
    (tmp_path / "params.yaml").write_text("train:\n  trees: 10\n")
    return tmp_path
