"""Models of scikit-learn, from skops or, where the deployment allows it, from a pickle."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.errors import UsageError
from tidegate.registry.runtime.graph import OPSET, finish, tensor_type
from tidegate.registry.runtime.lean import is_linear, make_lean
from tidegate.registry.runtime.wire import Feature, Load

if TYPE_CHECKING:
    import numpy as np


# scikit-learn's own `predict` of these is the class of the largest of their `predict_proba`
LARGEST = {
    "BaggingClassifier",
    "CalibratedClassifierCV",
    "DecisionTreeClassifier",
    "ExtraTreeClassifier",
    "ExtraTreesClassifier",
    "LogisticRegression",
    "RandomForestClassifier",
}


class Estimator:
    """Whatever has `predict`; it is given a matrix, or a data frame if it was trained on one."""

    def __init__(self, model: Any, features: Sequence[Feature], versions: dict[str, str]) -> None:
        if not hasattr(model, "predict"):
            raise UsageError("", f"a {type(model).__name__} has no method `predict`")
        self.versions = versions
        self._model = model
        self._features = features
        self._is_named = hasattr(model, "feature_names_in_") or any(one.is_text for one in features)
        self._is_largest = False
        self._may_be_largest = _has_largest(model)
        self._is_lean = False

    def assume_finite(self) -> None:
        """Look at the rows here instead of having scikit-learn do it, where that comes to the same."""
        import sklearn

        self._is_lean = is_linear(self._model) and not self._is_named
        if self._is_lean:
            sklearn.set_config(assume_finite=True)

    def predict(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """What `predict` and, if there is one, `predict_proba` say."""
        import numpy as np

        if self._is_lean and not np.isfinite(rows).all():
            from sklearn import config_context

            with config_context(assume_finite=False):
                return self._predict(rows)
        return self._predict(rows)

    def _predict(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        import numpy as np

        given = self._frame(rows) if self._is_named else rows
        if self._is_largest:
            scores = self._model.predict_proba(given)
            return self._model.classes_.take(scores.argmax(axis=1)), scores
        answers = np.asarray(self._model.predict(given))
        answers = answers[:, 0] if answers.ndim == 2 and answers.shape[1] == 1 else answers
        if not hasattr(self._model, "predict_proba"):
            return answers, np.empty((len(rows), 0))
        scores = np.asarray(self._model.predict_proba(given))
        self._note_largest(answers, scores)
        return answers, scores

    def _note_largest(self, answers: "np.ndarray", scores: "np.ndarray") -> None:
        """Ask once instead of twice from now on, where both ways have been seen to lead to the same answers."""
        if self._may_be_largest:
            self._may_be_largest = False
            self._is_largest = bool((self._model.classes_.take(scores.argmax(axis=1)) == answers).all())

    def convert(self, precision: str) -> bytes:
        """The same computation as an ONNX file, a tensor for each feature where the model tells them apart."""
        from skl2onnx import convert_sklearn
        from skl2onnx.common import data_types

        has_scores = hasattr(self._model, "predict_proba")
        options = {id(self._model): {"zipmap": False}} if has_scores else None
        given = [("input", tensor_type(data_types, precision, sum(one.width for one in self._features)))]
        if any(one.is_text for one in self._features) or _picks_columns(self._model):
            given = [(one.name, _tensor(data_types, precision, one)) for one in self._features]
        made = convert_sklearn(self._model, "model", given, options=options, target_opset=OPSET)
        return finish(made, scores=has_scores)

    def _frame(self, rows: "np.ndarray") -> Any:
        """A data frame of the features by name; those of several columns have no place in one."""
        import pandas

        names = [one.name for one in self._features]
        frame = pandas.DataFrame(rows, columns=names)
        numbers = [one.name for one in self._features if not one.is_text]
        return frame.astype(dict.fromkeys(numbers, "float64"))


def load(load: Load) -> Estimator:
    """The model in the file."""
    import sklearn

    path = Path(load.files) / load.name
    versions = {"scikit-learn": sklearn.__version__}
    is_skops = load.format == "skops"
    model = _from_skops(path, load.trust) if is_skops else _from_pickle(path, load.format)
    if getattr(model, "n_jobs", None) is not None:
        # the threads that helped to train it only cost time in a call of a few rows
        model.n_jobs = 1
    make_lean()
    estimator = Estimator(model, load.features, versions)
    estimator.assume_finite()
    return estimator


def _from_skops(path: Path, trust: Sequence[str]) -> Any:
    """The trust list is the deployment's: a file that could name its own types would trust itself."""
    import skops.io

    unknown = set(skops.io.get_untrusted_types(file=path))
    if unknown - set(trust):
        names = ", ".join(sorted(unknown - set(trust)))
        raise UsageError("", f"holds types that `runtime.trust` does not name: {names}")
    return skops.io.load(path, trusted=sorted(unknown))


def _from_pickle(path: Path, kind: str) -> Any:
    """Runs whatever code the file holds: the deployment has allowed that, and a trusted key signed the file."""
    if kind == "joblib":
        import joblib

        return joblib.load(path)
    import pickle

    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301  # the one place, behind runtime.allow_pickle


def _has_largest(model: Any) -> bool:
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return type(last).__name__ in LARGEST and type(last).__module__.startswith("sklearn.")


def _picks_columns(model: Any) -> bool:
    """Whether a model treats columns differently by their names, so that they must come one by one."""
    from sklearn.compose import ColumnTransformer

    steps = [step for _, step in getattr(model, "steps", ())]
    return any(isinstance(one, ColumnTransformer) for one in (model, *steps))


def _tensor(kinds: Any, precision: str, feature: Feature) -> Any:
    if feature.is_text:
        return kinds.StringTensorType([None, 1])
    return tensor_type(kinds, precision, feature.width)
