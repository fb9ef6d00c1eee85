"""Run in the environment of each server: train a model of the digits and leave it as that server takes it.

python train.py lr|rf joblib|mlflow|onnx|skops FOLDER
"""

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

SEEN = 1200
MODELS = {
    "lr": lambda: LogisticRegression(max_iter=2000),
    "rf": lambda: RandomForestClassifier(100, random_state=0),
}
NAMES = [f"p{n:02}" for n in range(64)]


def main(model: str, form: str, folder: Path) -> None:
    rows, truth = load_digits(return_X_y=True)
    fitted = MODELS[model]().fit(rows[:SEEN], truth[:SEEN])
    folder.mkdir(parents=True, exist_ok=True)
    {"joblib": dump_joblib, "mlflow": save_mlflow, "onnx": dump_onnx, "skops": dump_skops}[form](
        fitted, folder, rows[:1]
    )
    if form in ("onnx", "skops"):
        write_tables(fitted, rows, truth)


def dump_joblib(model: Any, folder: Path, example: np.ndarray) -> None:
    import joblib

    joblib.dump(model, folder / "model.joblib")


def save_mlflow(model: Any, folder: Path, example: np.ndarray) -> None:
    """The older of its formats: the newer one refuses forests until it is told to trust them."""
    import mlflow

    mlflow.sklearn.save_model(
        model,
        folder / "model",
        serialization_format="cloudpickle",
        signature=mlflow.models.infer_signature(example, model.predict(example)),
    )


def dump_onnx(model: Any, folder: Path, example: np.ndarray) -> None:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    given = [("input", FloatTensorType([None, example.shape[1]]))]
    made = to_onnx(model, initial_types=given, options={"zipmap": False})
    (folder / "model.onnx").write_bytes(made.SerializeToString())


def dump_skops(model: Any, folder: Path, example: np.ndarray) -> None:
    import skops.io

    skops.io.dump(model, folder / "model.skops")


def write_tables(model: Any, rows: np.ndarray, truth: np.ndarray) -> None:
    """What tidegate's gate judges, and what its contract is about."""
    table = [[f"{i:04}", label, *row] for i, (label, row) in enumerate(zip(truth, rows, strict=True))]
    write_csv(Path("data/processed/train.csv"), ["id", "label", *NAMES], table[:SEEN])
    write_csv(Path("data/processed/test.csv"), ["id", "label", *NAMES], table[SEEN:])
    said = [[f"{i:04}", truth[i], answer] for i, answer in enumerate(model.predict(rows[SEEN:]), SEEN)]
    write_csv(Path("experiments/metrics/evaluation.csv"), ["id", "truth", "prediction"], said)


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
