"""A value of the wrong type in dvc.yaml is refused by both, by us with its place."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import UsageError
from tidegate.pipeline.reproduce import states

pytestmark = pytest.mark.slow

STAGE = "stages: {a: {cmd: touch o, outs: [o], %s}}"
OUT = "stages: {a: {cmd: touch o, outs: [o: {%s}]}}"
PLOT = "stages: {a: {cmd: touch o, plots: [o: {%s}]}}"
TOP = "%s\nstages: {a: {cmd: touch o, outs: [o]}}"
REFUSED = [
    *(STAGE % f"{key}: " for key in ("deps", "params", "metrics", "plots", "wdir", "frozen", "desc", "vars")),
    *(STAGE % text for text in ("desc: 1", "frozen: 1", "deps: [1]", "params: [1]", "plots: {o: {x: a}}")),
    *(OUT % f"{key}: " for key in ("cache", "persist", "push", "remote", "desc", "type", "labels")),
    *(OUT % text for text in ("push: 1", "labels: x", "labels: [1]", "type: 1", "remote: 1", "x: a")),
    *(PLOT % text for text in ("title: 1", "header: x", "x: 1", "y: [1]")),
    *(TOP % f"{key}:" for key in ("params", "metrics", "plots", "vars", "artifacts")),
    *(TOP % text for text in ("params: [1]", "metrics: [{a: 1}]", "plots: {o: {x: a}}", "vars: {a: 1}")),
    *(TOP % text for text in ("artifacts: {m: {path: o, labels: x}}", "plots: [{o: {x: [a]}}]")),
    *("stages:", "stages: {1: {cmd: touch o}}", "stages: {null: {cmd: touch o}}", "stages: [a]"),
    *("stages: {a: {foreach: 1, do: {cmd: x}}}", "stages: {a: {matrix: {x: 1}, cmd: x}}"),
    *("stages: {a: {cmd: 1}}", "stages: {a: {outs: [o]}}", "stages: {a: {cmd: x, outs: [o: ]}}"),
]
FINE = [
    *(STAGE % "meta: ", OUT % "meta: ", OUT % "checkpoint: true", PLOT % "x: a, y: b, header: false"),
    *(
        TOP % text
        for text in ("plots: [o, {p: }]", "plots: [{p: {x: {f: a}, y: {f: [b, c]}}}]", "datasets: []")
    ),
]


@pytest.mark.parametrize("text", [*REFUSED, *FINE])
def test_both_refuse_the_same_types(tmp_path: Path, ask_dvc: Callable[..., Any], text: str) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    (tmp_path / "dvc.yaml").write_text(text)
    assert (ask_dvc(tmp_path, "status").code == 0) is (text in FINE)
    if text in FINE:
        states(tmp_path)
        return
    with pytest.raises(UsageError) as caught:
        states(tmp_path)
    assert re.match(r"dvc\.yaml(:\d+:\d+)?$", caught.value.where)
