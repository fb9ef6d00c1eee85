"""A project small enough to release in milliseconds: two pixels, two classes, a linear ONNX model."""

import csv
from pathlib import Path

import numpy as np
import pytest

SETTINGS = """[project]
name = "tiny"
task = "binary"

[gate]
error = 0.05
[[gate.rule]]
kind = "not_worse"
margin = 0.05
[[gate.rule]]
kind = "min"
value = 0.5

[rollout]
steps = ["10%", "50%"]
step_every = "1s"
window = "200ms"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose candidate is right on 380 of 400 evaluation rows."""
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def answer():
    """Rewrite the evaluation rows: `answer(root, wrong)` makes the candidate wrong on the first `wrong` rows."""
    return write_evaluation


def write_project(root: Path) -> None:
    (root / "tidegate.toml").write_text(SETTINGS)
    for name, start in (("train", 0), ("test", 400)):
        _write_table(root / f"data/processed/{name}.csv", start)
    (root / "model/artifacts").mkdir(parents=True)
    (root / "model/artifacts/model.onnx").write_bytes(linear_model(1.0))
    write_evaluation(root, 20)


def write_evaluation(root: Path, wrong: int) -> None:
    rows = [(n, n % 2, (n + (n < wrong)) % 2) for n in range(400)]
    _write_csv(root / "experiments/metrics/evaluation.csv", ("id", "truth", "prediction"), rows)


def linear_model(slope: float) -> bytes:
    """An ONNX classifier of two columns: class 1 when slope * (x1 - x0) > 0, else class 0."""
    from onnx import TensorProto, helper

    weights = np.array([[0.0, -slope], [0.0, slope]], dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        [helper.make_tensor("w", TensorProto.FLOAT, [2, 2], weights.flatten().tolist())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _write_table(path: Path, start: int) -> None:
    random = np.random.default_rng(start)
    rows = []
    for n in range(start, start + 400):
        label = n % 2
        low, high = sorted(random.uniform(0, 16, 2).round(3))
        rows.append((n, label, low, high) if label else (n, label, high, low))
    _write_csv(path, ("id", "label", "x0", "x1"), rows)


def _write_csv(path: Path, heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *rows])
