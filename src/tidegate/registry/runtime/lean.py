"""scikit-learn in a process that answers a row at a time, without work that takes longer there than a small model.

The answers stay what they are, and so do the errors.
"""

import warnings
from typing import Any

# what these check for NaN and infinity are the rows as they are given, and nothing that they made of them
LINEAR = {
    "ElasticNet",
    "Lasso",
    "LinearRegression",
    "LinearSVC",
    "LogisticRegression",
    "LogisticRegressionCV",
    "Perceptron",
    "Ridge",
    "RidgeClassifier",
    "SGDClassifier",
    "SGDRegressor",
}


def make_lean() -> None:
    """To be called once, when the model is there."""
    # a forest sets every filter of warnings anew for each of its trees; nobody reads what they let through
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    _know_arrays()


def is_linear(model: Any) -> bool:
    """Whether a look at its rows can stand for scikit-learn's own search for NaN and infinity."""
    return type(model).__name__ in LINEAR and type(model).__module__.startswith("sklearn.")


def _know_arrays() -> None:
    """From 1.9 on narwhals is asked at every call whether an array of numpy is a data frame; it never is one."""
    import numpy as np
    from sklearn.utils import validation

    asked = getattr(validation, "_nw_into_df_or_series", None)
    if asked is not None:
        validation._nw_into_df_or_series = lambda given: type(given) is not np.ndarray and asked(given)
