"""`tidegate.Predictor`: a model in Python, with what is done before and after it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


class Predictor:
    """A model of your own: derive from it, write `predict`, and name the class in `model.predictor`.

    `load`, `preprocess` and `postprocess` are optional. The class, its file and its artifacts are part of the
    bundle: they are released, canaried and rolled back as one. It runs in a process of its own, with the
    limits of `[runtime]`, and is asked by one caller at a time.
    """

    def load(self, folder: "Path") -> None:
        """Read the artifacts, which lie in `folder`; called once, before anything else."""

    def preprocess(self, rows: "dict[str, np.ndarray]") -> Any:
        """What `predict` is given: by default the rows themselves.

        `rows` holds an array for each feature of the contract: float64 [n] for numbers, NaN for null; objects
        [n] for text, None for null; float64 [n, ...] for arrays.
        """
        return rows

    def predict(self, rows: Any) -> Any:
        """One answer a row, or answers and scores [n, classes]."""
        raise NotImplementedError("a predictor needs a method `predict`")

    def postprocess(self, answers: Any) -> Any:
        """What is answered: by default what `predict` gave."""
        return answers

    def answer(self, rows: "dict[str, np.ndarray]") -> Any:
        """The three steps in a row, as the endpoint runs them."""
        return self.postprocess(self.predict(self.preprocess(rows)))
