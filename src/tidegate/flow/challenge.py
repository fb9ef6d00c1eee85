"""Simple models to hold a candidate against, trained on the project's own tables."""

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.data.tables import Table, read_table
from tidegate.errors import TidegateError
from tidegate.gate.read import Wanted, read_rows
from tidegate.gate.rows import Rows, one_code
from tidegate.gate.sheet import read_texts
from tidegate.gate.simpler import Challenger
from tidegate.project import Config

if TYPE_CHECKING:
    import numpy as np

NAMES = ("linear", "tree")
MOST_ROWS = 20_000


def train_challengers(config: Config, root: Path, candidate: Rows) -> dict[str, Challenger]:
    """A linear model and a tree of depth 3, trained on the reference table, asked about the held-out one.

    Of more than 20,000 training rows that many are used, evenly spread. What stands in the way (no scikit-learn,
    no table, text among the features) is said instead of raised: a challenger is a yardstick, not a rule.
    """
    try:
        return _train(config, root, candidate)
    except ModuleNotFoundError:
        return _none("scikit-learn is not installed (pip install scikit-learn)")
    except TidegateError as error:
        return _none(str(error))


def _none(why: str) -> dict[str, Challenger]:
    return {name: Challenger(None, why) for name in NAMES}


def _train(config: Config, root: Path, candidate: Rows) -> dict[str, Challenger]:
    models = _models(is_regression=config.project.task == "regression")
    train, test = (read_table(root / path) for path in (config.model.reference, config.data.heldout))
    names = _features(config, train, test)
    if not names:
        return _none(f"{config.model.reference} and {config.data.heldout} share no column of features")
    step = -(-len(train) // MOST_ROWS)
    inputs, asked = train.numbers(names)[::step], test.numbers(names)
    truth = train.values[config.data.label][::step]
    return {
        name: _challenger(config, root, candidate, _answers(model, inputs, truth, asked))
        for name, model in models.items()
    }


def _models(*, is_regression: bool) -> Mapping[str, Any]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    linear = Ridge() if is_regression else LogisticRegression(max_iter=200)
    tree = DecisionTreeRegressor if is_regression else DecisionTreeClassifier
    return {
        "linear": make_pipeline(StandardScaler(), linear),
        "tree": tree(max_depth=3, random_state=0),
    }


def _features(config: Config, train: Table, test: Table) -> tuple[str, ...]:
    """The columns of numbers that both tables have, but for id and label."""
    known = (config.data.id, config.data.label)
    return tuple(
        name
        for name in train.columns
        if name in test.columns and name not in known and _is_numeric(train, name) and _is_numeric(test, name)
    )


def _is_numeric(table: Table, name: str) -> bool:
    return all(isinstance(value, int | float) for value in table.values[name] if value is not None)


def _answers(model: Any, inputs: "np.ndarray", truth: list[Any], asked: "np.ndarray") -> list[Any]:
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a linear model that has not converged is a yardstick all the same
        model.fit(np.nan_to_num(inputs), truth)
        found: list[Any] = model.predict(np.nan_to_num(asked)).tolist()
    return found


def _challenger(config: Config, root: Path, candidate: Rows, answers: list[Any]) -> Challenger:
    """The answers as rows in the candidate's order; they are of no use on other rows."""
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        path = Path(folder) / "challenger.csv"
        write_rows(path, config, root, answers)
        rows = read_rows(path, config.data, Wanted(config.project.task))
    if rows.test_set != candidate.test_set:
        return Challenger(None, f"{config.data.heldout} holds other rows than the evaluation")
    return Challenger(one_code(rows, candidate)[0])


def write_rows(
    path: Path,
    config: Config,
    root: Path,
    answers: list[Any],
    *,
    scores: Mapping[str, list[float]] | None = None,
) -> None:
    """Evaluation rows as a CSV file: ids and truth of the held-out table, a model's answers and scores."""
    ids, truth = read_texts(root / config.data.heldout, (config.data.id, config.data.label))
    columns: list[list[Any]] = [ids, truth, answers]
    heads = [config.data.id, config.data.truth, config.data.prediction]
    for label, values in (scores or {}).items():
        heads.append(f"{config.data.score}_{label}")
        columns.append(values)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(zip(*columns, strict=True))
