"""Both models as a BentoML service: each asked one request at a time, and in BentoML's adaptive batches."""

import os
from pathlib import Path

import bentoml
import joblib
import numpy as np

FOLDER = Path(os.environ["MODELS"])


@bentoml.service(workers=2, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Digits:
    def __init__(self) -> None:
        self.lr = joblib.load(FOLDER / "lr" / "model.joblib")
        self.rf = joblib.load(FOLDER / "rf" / "model.joblib")

    @bentoml.api(route="/lr")
    def predict_lr(self, rows: np.ndarray) -> np.ndarray:
        return self.lr.predict(rows)

    @bentoml.api(route="/rf")
    def predict_rf(self, rows: np.ndarray) -> np.ndarray:
        return self.rf.predict(rows)

    @bentoml.api(route="/lr-batched", batchable=True, max_batch_size=1024, max_latency_ms=1000)
    def batch_lr(self, rows: np.ndarray) -> np.ndarray:
        return self.lr.predict(rows)

    @bentoml.api(route="/rf-batched", batchable=True, max_batch_size=1024, max_latency_ms=1000)
    def batch_rf(self, rows: np.ndarray) -> np.ndarray:
        return self.rf.predict(rows)
