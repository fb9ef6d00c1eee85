"""Models of XGBoost, in its own JSON or UBJSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.registry.runtime.graph import finish, tensor_type
from tidegate.registry.runtime.matrix import by_class, require_matrix, without_scores
from tidegate.registry.runtime.wire import Feature, Load

if TYPE_CHECKING:
    import numpy as np

PROBABLE = ("binary:logistic", "multi:softprob")
CLASSES = ("binary:hinge", "multi:softmax")


class Boosted:
    """A booster; its objective says whether it answers with classes or with numbers."""

    def __init__(self, booster: Any, features: Sequence[Feature], version: str) -> None:
        self.versions = {"xgboost": version}
        self._booster = booster
        self._width = booster.num_features()
        self._objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        require_matrix(features, booster.feature_names or (), self._width)

    def predict(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Classes with their probabilities, or numbers."""
        found = self._booster.inplace_predict(rows, validate_features=False)
        if self._objective in PROBABLE:
            return by_class(found)
        return without_scores(found.astype(int) if self._objective in CLASSES else found)

    def convert(self, precision: str) -> bytes:
        """The same trees as an ONNX file."""
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common import data_types

        # the converter wants names of its own making
        self._booster.feature_names = None
        given = [("input", tensor_type(data_types, precision, self._width))]
        return finish(convert_xgboost(self._booster, name="model", initial_types=given))


def load(load: Load) -> Boosted:
    """The model in the file."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(Path(load.files) / load.name)
    return Boosted(booster, load.features, xgboost.__version__)
