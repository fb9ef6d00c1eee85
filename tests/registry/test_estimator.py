"""Estimators of scikit-learn: asked once where that is enough, with the answers of `predict` in any case."""

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier, ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tidegate.errors import UsageError
from tidegate.registry.runtime.estimator import Estimator
from tidegate.registry.runtime.wire import Feature

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(200, 3))
CLASSES = np.array(["a", "b", "c"])[(X.sum(axis=1) > 0).astype(int) + (X[:, 0] > 1)]
FEATURES = tuple(Feature(name, i, 1, (), False) for i, name in enumerate("xyz"))

ONCE = [
    LogisticRegression(),
    DecisionTreeClassifier(max_depth=4),
    RandomForestClassifier(5, random_state=0),
    ExtraTreesClassifier(5, random_state=0),
    BaggingClassifier(n_estimators=3, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
]
TWICE = [GaussianNB(), SVC(), LinearRegression()]


@pytest.mark.parametrize("model", [*ONCE, *TWICE], ids=lambda model: type(model).__name__)
def test_answers_are_those_of_predict_at_every_call(model) -> None:
    is_regression = isinstance(model, LinearRegression)
    model.fit(X, X.sum(axis=1) if is_regression else CLASSES)
    estimator = Estimator(model, FEATURES, {})
    for rows in (X[:8], X, RANDOM.normal(scale=4, size=(500, 3))):
        answers, scores = estimator.predict(rows)
        assert np.array_equal(answers, model.predict(rows))
        assert scores.shape == (len(rows), 3 if hasattr(model, "predict_proba") else 0)


@pytest.mark.parametrize("model", ONCE, ids=lambda model: type(model).__name__)
def test_a_class_of_the_largest_probability_is_asked_once_after_the_first_call(model, monkeypatch) -> None:
    estimator = Estimator(model.fit(X, CLASSES), FEATURES, {})
    estimator.predict(X)
    monkeypatch.setattr(model, "predict", None, raising=False)
    assert len(estimator.predict(X)[0]) == 200


def test_a_model_whose_probabilities_say_something_else_is_always_asked_twice() -> None:
    class Odd(LogisticRegression):
        def predict(self, rows):
            return np.full(len(rows), "c")

    Odd.__name__ = "LogisticRegression"
    Odd.__module__ = "sklearn.linear_model"
    estimator = Estimator(Odd().fit(X, CLASSES), FEATURES, {})
    for _ in range(2):
        assert set(estimator.predict(X)[0].tolist()) == {"c"}


def test_a_model_trained_on_a_data_frame_gets_one() -> None:
    import pandas

    frame = pandas.DataFrame(X, columns=list("xyz"))
    estimator = Estimator(LogisticRegression().fit(frame, CLASSES), FEATURES, {})
    assert estimator.predict(X)[0].shape == (200,)


def test_what_cannot_predict_is_no_model() -> None:
    with pytest.raises(UsageError, match="a StandardScaler has no method `predict`"):
        Estimator(StandardScaler(), FEATURES, {})
