"""An evaluation: the metrics that rows allow, each with its interval, as scikit-learn has their values."""

import numpy as np
import pytest
from sklearn import metrics as reference

from tidegate.gate.evaluate import evaluate
from tidegate.gate.influence import average_precision
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, lacks
from tidegate.gate.rows import Rows
from tidegate.project import read_metric
from tidegate.stats.result import Tails

TAILS = Tails(0.05, 0.05)


def classes_of(k: int, seed: int, *, n: int = 400) -> Rows:
    """Scores that know something, rounded so that there are ties."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, k, n).astype(np.uint8)
    raw = rng.normal(size=(n, k))
    raw[np.arange(n), truth] += 1
    scores = np.round(np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True), 2)
    scores[:, -1] = np.maximum(1 - scores[:, :-1].sum(axis=1), 0)
    said = scores.argmax(axis=1).astype(np.uint8)
    task = "binary" if k == 2 else "multiclass"
    kept = scores[:, 1] if k == 2 else scores
    place = np.arange(n, dtype=np.uint32)
    return Rows("rows", task, tuple("abcde"[:k]), k - 1, truth, said, kept, {}, place, "t", "d")


def numbers_of(seed: int, *, n: int = 400) -> Rows:
    truth = np.random.default_rng(0).normal(size=n)
    said = truth + np.random.default_rng(seed).normal(size=n) / 2
    return Rows("rows", "regression", (), 0, truth, said, None, {}, np.arange(n, dtype=np.uint32), "t", "d")


BINARY, MULTI, NUMBERS = classes_of(2, 1), classes_of(3, 1), numbers_of(1)


def value(name: str, rows: Rows) -> float:
    return metric_of(read_metric(name)).measure(rows)


@pytest.mark.parametrize("rows", [BINARY, MULTI], ids=["binary", "multiclass"])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("word", ["f1", "precision", "recall"])
def test_scores_of_answers_are_scikit_learns(word, average, rows):
    expected = getattr(reference, f"{word}_score")(rows.truth, rows.prediction, average=average)
    assert value(f"{word}_{average}", rows) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("accuracy", MULTI, reference.accuracy_score(MULTI.truth, MULTI.prediction)),
        ("balanced_accuracy", MULTI, reference.balanced_accuracy_score(MULTI.truth, MULTI.prediction)),
        ("f1", BINARY, reference.f1_score(BINARY.truth, BINARY.prediction)),
        ("precision_binary", BINARY, reference.precision_score(BINARY.truth, BINARY.prediction)),
        ("auc", BINARY, reference.roc_auc_score(BINARY.truth, BINARY.scores)),
        ("auc", MULTI, reference.roc_auc_score(MULTI.truth, MULTI.scores, multi_class="ovr")),
        ("average_precision", BINARY, reference.average_precision_score(BINARY.truth, BINARY.scores)),
        ("average_precision", MULTI, reference.average_precision_score(np.eye(3)[MULTI.truth], MULTI.scores)),
        ("log_loss", BINARY, reference.log_loss(BINARY.truth, BINARY.scores)),
        ("log_loss", MULTI, reference.log_loss(MULTI.truth, MULTI.scores)),
        ("brier", BINARY, reference.brier_score_loss(BINARY.truth, BINARY.scores)),
        ("brier", MULTI, reference.brier_score_loss(MULTI.truth, MULTI.scores)),
        ("mae", NUMBERS, reference.mean_absolute_error(NUMBERS.truth, NUMBERS.prediction)),
        ("rmse", NUMBERS, reference.root_mean_squared_error(NUMBERS.truth, NUMBERS.prediction)),
        ("r2", NUMBERS, reference.r2_score(NUMBERS.truth, NUMBERS.prediction)),
        ("quantile_loss(0.9)", NUMBERS, reference.mean_pinball_loss(NUMBERS.truth, NUMBERS.prediction, alpha=0.9)),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_values_are_scikit_learns(name, rows, expected):
    assert value(name, rows) == pytest.approx(float(expected), abs=1e-12)


def test_the_influence_on_average_precision_is_what_leaving_a_row_out_does():
    truth, scores = BINARY.truth == 1, BINARY.scores
    found, n = average_precision(truth, scores), len(truth)
    left_out = [
        reference.average_precision_score(np.delete(truth, i), np.delete(scores, i)) for i in range(n)
    ]
    assert np.corrcoef((found.value - np.array(left_out)) * (n - 1), found.each)[0, 1] > 0.999
    assert found.each.mean() == pytest.approx(0.0, abs=1e-12)


EVERY = {
    "multiclass": ("accuracy", "balanced_accuracy", "f1", "precision", "recall_micro", "auc", "average_precision",
                   "log_loss", "brier", "calibration_error"),
    "binary": ("accuracy", "f1", "auc", "average_precision", "log_loss", "brier", "calibration_error"),
    "regression": ("mae", "rmse", "r2", "quantile_loss(0.5)"),
}  # fmt: skip
MAKE = {
    "binary": lambda seed: classes_of(2, seed),
    "multiclass": lambda seed: classes_of(3, seed),
    "regression": numbers_of,
}
CASES = [(task, name) for task, names in EVERY.items() for name in names]


@pytest.mark.parametrize(("task", "name"), CASES)
def test_every_metric_has_an_interval_around_its_value(task, name):
    found = evaluate(MAKE[task](1), (name,)).metrics[name]
    assert found.low <= found.value <= found.high
    assert found.high - found.low < 0.5


@pytest.mark.parametrize(("task", "name"), CASES)
def test_a_model_is_not_worse_than_itself_and_better_than_noise(task, name):
    metric = metric_of(read_metric(name))
    good = MAKE[task](1)
    noise = good._replace(
        prediction=np.roll(good.prediction, 7),
        scores=None if good.scores is None else np.roll(good.scores, 7, axis=0),
    )
    same = metric.compare(good, good, Bar(-0.2, TAILS))
    assert same.estimate == pytest.approx(0.0, abs=1e-12)
    better = metric.compare(good, noise, Bar(0.0, TAILS))
    if name != "calibration_error":
        assert better.p < 0.01
        assert metric.compare(noise, good, Bar(0.0, TAILS)).p > 0.5
    assert better.estimate == pytest.approx(
        metric.sign * (metric.measure(good) - metric.measure(noise)), abs=1e-9
    )


@pytest.mark.parametrize("name", ["accuracy", "auc", "average_precision", "brier", "log_loss", "f1"])
def test_intervals_of_a_difference_cover_it_as_often_as_they_say(name):
    """Both models are equally good; of 100 test sets at most a few are missed on either side."""
    metric, missed = metric_of(read_metric(name)), 0
    for seed in range(100):
        truth = np.random.default_rng(1000 + seed).integers(0, 2, 300).astype(np.uint8)
        one, two = (_guess(truth, 2 * seed + arm) for arm in (0, 1))
        found = metric.compare(one, two, Bar(0.0, Tails(0.025, 0.025)))
        missed += not found.low <= 0.0 <= found.high
    assert missed <= 5 + 3 * (100 * 0.05 * 0.95) ** 0.5


def _guess(truth: np.ndarray, seed: int) -> Rows:
    noise = np.random.default_rng(seed).normal(size=len(truth))
    scores = 1 / (1 + np.exp(-(2.0 * truth - 1 + noise)))
    said = (scores > 0.5).astype(np.uint8)
    return BINARY._replace(truth=truth, prediction=said, scores=scores)


def test_what_cannot_be_measured_is_said():
    one = MULTI._replace(scores=None)
    assert set(evaluate(one).metrics) == {"accuracy", "balanced_accuracy", "f1", "precision", "recall"}
    found = evaluate(MULTI._replace(truth=np.where(MULTI.truth == 2, 0, MULTI.truth).astype(np.uint8)))
    assert found.missing["auc"] == "class `c` has 0 rows, `auc` needs two rows of each class"


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("auc", BINARY._replace(scores=None), "no column of scores, `auc` needs them"),
        (
            "log_loss",
            BINARY._replace(scores=BINARY.scores * 2),
            "scores outside [0, 1], such as 1.",
        ),
        (
            "brier",
            MULTI._replace(scores=MULTI.scores[:, 0]),
            "one score a row, `brier` of 3 classes needs one for each",
        ),
        ("r2", NUMBERS._replace(truth=np.ones(400)), "every truth is the same, `r2` needs some spread"),
    ],
)
def test_why_a_metric_cannot_be_computed(name, rows, message):
    assert message in lacks(read_metric(name), rows)


def test_a_function_of_the_users_gives_a_value_for_each_row_or_one_number(tmp_path, monkeypatch):
    (tmp_path / "mine_for_this_test.py").write_text(
        "def each(rows):\n    return abs(rows['truth'] - rows['prediction'])\n"
        "def one(rows):\n    return float(each(rows).mean())\n"
        "def odd(rows):\n    return [1.0, 2.0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    each, one = (
        metric_of(read_metric(f"mine_for_this_test:{name}")._replace(is_loss=True))
        for name in ("each", "one")
    )
    mae = metric_of(read_metric("mae"))
    assert each.measure(NUMBERS) == one.measure(NUMBERS) == pytest.approx(mae.measure(NUMBERS))
    other = numbers_of(2)
    expected = mae.compare(NUMBERS, other, Bar(-0.1, TAILS))
    for metric in (each, one):
        found = metric.compare(NUMBERS, other, Bar(-0.1, TAILS))
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.01)
    with pytest.raises(Exception, match=r"metric mine_for_this_test:odd: returned shape \(2,\)"):
        metric_of(read_metric("mine_for_this_test:odd")).measure(NUMBERS)
    with pytest.raises(Exception, match="expected a function"):
        metric_of(read_metric("mine_for_this_test:none")).measure(NUMBERS)
