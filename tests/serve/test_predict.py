"""One call for several requests: a failure, NaN included, is only that of the request which caused it."""

import math

import numpy as np
import pytest

from tidegate.errors import UnavailableError
from tidegate.serve.predict import predict_together, read_told

ROWS = [np.full((n, 3), float(n)) for n in (1, 2, 3)]
NOT_FINITE = "answered NaN or infinity, expected numbers"


@pytest.fixture
def model(fake_model):
    return fake_model("s")


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("rows", ROWS, ids=len)
def test_a_score_or_an_answer_that_is_no_number_is_a_failure(model, broken: float, rows) -> None:
    for answers, scores in (("a", broken), (broken, 0.5)):
        model.predict = lambda given, answer=answers, score=scores: (
            [answer] * len(given),
            np.full((len(given), 2), score),
        )
        assert str(predict_together(model, [rows])[0].error) == NOT_FINITE


def test_only_the_request_that_gave_nan_has_failed(model) -> None:
    model.predict = lambda rows: ([float(row[0]) if row[0] != 2 else math.nan for row in rows], rows[:, :0])
    found = predict_together(model, ROWS)
    assert [str(one.error or "") for one in found] == ["", NOT_FINITE, ""]
    assert [one.answers for one in found] == [[1.0], [], [3.0] * 3]


def test_answers_that_are_no_numbers_and_no_scores_are_fine(model) -> None:
    model.predict = lambda rows: (["a", 1, 2.5][: len(rows)], np.empty((len(rows), 0)))
    assert [one.answers for one in predict_together(model, [ROWS[2]])] == [["a", 1, 2.5]]


def test_a_model_whose_process_is_down_is_asked_once(model) -> None:
    calls = []

    def predict(rows):
        calls.append(len(rows))
        raise UnavailableError("", "starts again")

    model.predict = predict
    assert all(isinstance(one.error, UnavailableError) for one in predict_together(model, ROWS))
    assert calls == [6]


def test_what_a_model_tells_of_all_requests_is_each_ones_part() -> None:
    found = read_told((["a", "b", "b", "c", "c", "c"], np.zeros((6, 1))), ROWS)
    assert [one.answers for one in found] == [["a"], ["b"] * 2, ["c"] * 3]


@pytest.mark.parametrize(
    "told", [ValueError("x"), (["a"], np.zeros((1, 1))), (["a"] * 6, np.full((6, 1), math.nan))]
)
def test_what_it_tells_against_several_is_said_of_none(told) -> None:
    assert read_told(told, ROWS) is None
    assert read_told(told if isinstance(told, Exception) else ([], np.zeros((0, 1))), ROWS[:1])[0].error


def test_a_process_that_is_down_is_down_for_all() -> None:
    error = UnavailableError("model", "down")
    assert [one.error for one in read_told(error, ROWS)] == [error] * 3
