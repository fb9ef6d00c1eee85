"""scikit-learn made quick for a row at a time: the answers and the errors are those that it gives as it comes."""

import pickle
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_array, validation

from tidegate.registry.runtime.estimator import Estimator, load
from tidegate.registry.runtime.lean import is_linear
from tidegate.registry.runtime.wire import Feature, Load

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(200, 3))
CLASSES = (X.sum(axis=1) > 0).astype(int) + (X[:, 0] > 1)
FEATURES = tuple(Feature(name, i, 1, (), False) for i, name in enumerate("xyz"))
MODELS = [
    LogisticRegression(),
    SGDClassifier(random_state=0),
    LinearRegression(),
    Ridge(),
    RandomForestClassifier(5, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(FunctionTransformer(np.exp), LogisticRegression()),
]
# the last is finite, and is no longer where a model computes in float32, or with its exponential
ODD = [[np.nan, 1, 1], [np.inf, 1, 1], [1, -np.inf, 1], [np.inf, -np.inf, 0], [1e300, 1, 1]]


@pytest.fixture
def lean(tmp_path, monkeypatch) -> Iterator[object]:
    """Load a model as its process does; what that changes in this one is changed back."""
    frames = "_nw_into_df_or_series"
    if hasattr(validation, frames):
        monkeypatch.setattr(validation, frames, getattr(validation, frames))

    def make(model: object) -> Estimator:
        (tmp_path / "model").write_bytes(pickle.dumps(model))
        return load(Load("pickle", str(tmp_path), "model", FEATURES, (), 0))

    with warnings.catch_warnings(), sklearn.config_context():
        yield make


def said(model: object, rows: np.ndarray) -> object:
    """The answers and scores as lists, or the error."""
    try:
        answers, scores = model.predict(rows)
    except ValueError as error:
        return str(error)
    return answers.tolist(), scores.tolist()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:50])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_answers_and_errors_are_those_of_scikit_learn_as_it_comes(lean, model) -> None:
    model.fit(X, CLASSES)
    cases = [X, X[:1], *(np.array([row]) for row in ODD), np.vstack([X, ODD[0]])]
    plain = Estimator(model, FEATURES, {})
    expected = [said(plain, rows) for rows in cases]
    quick = lean(model)
    for rows, found in zip(cases, expected, strict=True):
        assert repr(said(quick, rows)) == repr(found)


@pytest.mark.parametrize("rows", ODD[:4])
def test_a_row_that_is_not_finite_fails_alone(lean, rows) -> None:
    model = lean(LogisticRegression().fit(X, CLASSES))
    assert "contains" in said(model, np.array([rows]))
    assert sklearn.get_config()["assume_finite"]
    assert said(model, X[:1])[0] == LogisticRegression().fit(X, CLASSES).predict(X[:1]).tolist()


def test_only_models_that_check_nothing_but_their_rows_are_trusted_with_them(lean) -> None:
    class Own(LogisticRegression):
        pass

    assert is_linear(Ridge())
    assert not any(is_linear(one) for one in (Own(), *MODELS[4:]))
    lean(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, CLASSES))
    assert not sklearn.get_config()["assume_finite"]


def test_arrays_are_known_without_asking_and_frames_are_still_frames(lean, monkeypatch) -> None:
    import pandas

    frames = "_nw_into_df_or_series"
    if not hasattr(validation, frames):
        pytest.skip("this scikit-learn asks nobody")
    asked, real = [], getattr(validation, frames)
    monkeypatch.setattr(validation, frames, lambda given: (asked.append(type(given)), real(given))[1])
    lean(LogisticRegression().fit(X, CLASSES))
    asked.clear()
    check_array(X)
    assert asked == []
    frame = pandas.DataFrame(X)
    frame[0] = pandas.array([1] * 200, dtype="Int64")
    assert check_array(frame).dtype == float
    assert asked[0] is pandas.DataFrame
