"""Models of LightGBM, in its own text."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.registry.runtime.graph import finish, tensor_type
from tidegate.registry.runtime.matrix import by_class, require_matrix, without_scores
from tidegate.registry.runtime.wire import Feature, Load

if TYPE_CHECKING:
    import numpy as np

PROBABLE = ("binary", "multiclass", "multiclassova", "cross_entropy")


class Boosted:
    """A booster; its objective says whether it answers with classes or with numbers."""

    def __init__(self, booster: Any, features: Sequence[Feature], version: str) -> None:
        self.versions = {"lightgbm": version}
        self._booster = booster
        self._width = booster.num_feature()
        self._is_probable = str(booster.params.get("objective", "")).split(" ")[0] in PROBABLE
        require_matrix(features, booster.feature_name(), self._width)

    def predict(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Classes with their probabilities, or numbers."""
        found = self._booster.predict(rows, num_threads=1)
        return by_class(found) if self._is_probable else without_scores(found)

    def convert(self, precision: str) -> bytes:
        """The same trees as an ONNX file."""
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common import data_types

        given = [("input", tensor_type(data_types, precision, self._width))]
        return finish(convert_lightgbm(self._booster, name="model", initial_types=given, zipmap=False))


def load(load: Load) -> Boosted:
    """The model in the file."""
    import lightgbm

    booster = lightgbm.Booster(model_file=str(Path(load.files) / load.name))
    return Boosted(booster, load.features, lightgbm.__version__)
