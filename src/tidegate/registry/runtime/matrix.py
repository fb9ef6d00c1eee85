"""What boosted trees share: a matrix of numbers in, probabilities of classes out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.errors import UsageError
from tidegate.registry.runtime.wire import Feature

if TYPE_CHECKING:
    import numpy as np


def require_matrix(features: Sequence[Feature], names: Sequence[str], width: int) -> None:
    """Raise UsageError unless the features are the matrix that a model was trained on, in its order.

    `names` are the model's own; those that a library made up say nothing about the order.
    """
    text = next((feature.name for feature in features if feature.is_text), None)
    if text is not None:
        raise UsageError("", f"feature `{text}` is text, the model takes numbers")
    columns = sum(feature.width for feature in features)
    if columns != width:
        raise UsageError("", f"the model takes {width} columns, the contract names {columns}")
    given = [feature.name for feature in features]
    if set(names) & set(given) and list(names) != given:
        wrong = next(i for i, name in enumerate(names) if i >= len(given) or name != given[i])
        found = f"the model's column {wrong + 1} is `{names[wrong]}`"
        raise UsageError("", f"{found}, the contract's is `{given[wrong] if wrong < len(given) else 'none'}`")


def by_class(probabilities: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Classes and their scores; of one probability a row that is the second class's."""
    import numpy as np

    if probabilities.ndim == 2:
        return probabilities.argmax(axis=1), probabilities
    return (probabilities > 0.5).astype(int), np.stack([1 - probabilities, probabilities], axis=1)


def without_scores(answers: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Answers alone."""
    import numpy as np

    return answers, np.empty((len(answers), 0))
