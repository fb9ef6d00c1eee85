"""A class of the user's own: its rows by column, its answers in any sensible form."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.domain.predictor import Predictor
from tidegate.errors import UsageError
from tidegate.registry.runtime.wire import ARTIFACTS, MODULE, Feature, Load

if TYPE_CHECKING:
    import numpy as np


class Custom:
    """A predictor that has loaded its artifacts."""

    versions: dict[str, str]

    def __init__(self, predictor: Predictor, features: Sequence[Feature]) -> None:
        self.versions = {}
        self._predictor = predictor
        self._features = features

    def predict(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """What the class answers, as arrays."""
        import numpy as np

        found = self._predictor.answer(by_column(rows, self._features))
        answers, scores = found if isinstance(found, tuple) else (found, None)
        scores = np.empty((len(rows), 0)) if scores is None else np.asarray(scores, dtype=float)
        return np.asarray(answers), scores

    def convert(self, precision: str) -> bytes:
        """Code stays code."""
        raise UsageError("", f"a predictor is Python, it has no form in {precision}")


def load(load: Load) -> Custom:
    """An object of the class, with its artifacts loaded."""
    artifacts = Path(load.files) / ARTIFACTS
    artifacts.mkdir(exist_ok=True)
    predictor = _find(Path(load.files) / MODULE, load.name, artifacts)()
    predictor.load(artifacts)
    return Custom(predictor, load.features)


def by_column(rows: "np.ndarray", features: Sequence[Feature]) -> "dict[str, np.ndarray]":
    """The rows as one array a feature: [n], or [n, *shape] for a feature that is an array."""
    return {one.name: _column(rows, one) for one in features}


def _column(rows: "np.ndarray", feature: Feature) -> "np.ndarray":
    part = rows[:, feature.start : feature.start + feature.width]
    found = part if feature.is_text else part.astype(float)
    return found.reshape(len(rows), *feature.shape)


def _find(path: Path, name: str, artifacts: Path) -> Any:
    # modules beside the artifacts may be imported
    sys.path.insert(0, str(artifacts))
    spec = importlib.util.spec_from_file_location("predictor", path)
    if spec is None or spec.loader is None:
        raise UsageError("", f"{path.name} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules["predictor"] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Predictor)):
        raise UsageError("", f"{path.name} has no class `{name}` of tidegate.Predictor")
    return found
