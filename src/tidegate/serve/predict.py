"""One call of a model for several requests, so that a bad one harms none of its neighbors."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tidegate.domain.model import Answer, Model, Told
from tidegate.errors import TidegateError, UnavailableError

if TYPE_CHECKING:
    import numpy as np

MAX_BATCH_ROWS = 1024


class Result(msgspec.Struct, frozen=True, gc=False):
    """What the model said to one request; `error` when it failed."""

    answers: list[Answer]
    scores: list[list[float]]
    error: BaseException | None = None


def predict_together(model: Model, requests: "Sequence[np.ndarray]") -> list[Result]:
    """One call for all requests; when the model fails on them, one call for each."""
    try:
        return _split(model.predict(join_rows(requests)), requests)
    except KeyboardInterrupt:
        raise
    except UnavailableError as error:
        return [Result([], [], error) for _ in requests]
    except BaseException as error:  # whatever a model raises the gateway goes on, a panic of Rust too
        return [Result([], [], error)] if len(requests) == 1 else predict_alone(model, requests)


def predict_alone(model: Model, requests: "Sequence[np.ndarray]") -> list[Result]:
    """One call for each request."""
    return [result for rows in requests for result in predict_together(model, [rows])]


def read_told(told: Told, requests: "Sequence[np.ndarray]") -> list[Result] | None:
    """What a model that was asked all requests at once has told; None when each must be asked alone."""
    try:
        if isinstance(told, Exception):
            raise told
        return _split(told, requests)
    except Exception as error:
        is_for_all = isinstance(error, UnavailableError) or len(requests) == 1
        return [Result([], [], error) for _ in requests] if is_for_all else None


def join_rows(requests: "Sequence[np.ndarray]") -> "np.ndarray":
    """The rows of all requests [n, columns], in their order."""
    import numpy as np

    return requests[0] if len(requests) == 1 else np.concatenate(requests)


def _split(told: "tuple[list[Answer], np.ndarray]", requests: "Sequence[np.ndarray]") -> list[Result]:
    """Each request's part; TidegateError for other than one answer a row, and for what JSON does not have."""
    answers, scores = told
    listed = _checked(answers, scores, sum(map(len, requests)))
    if len(requests) == 1:
        return [Result(answers, listed)]
    results, start = [], 0
    for rows in requests:
        end = start + len(rows)
        results.append(Result(answers[start:end], listed[start:end]))
        start = end
    return results


def _checked(answers: list[Answer], scores: "np.ndarray", n: int) -> list[list[float]]:
    import numpy as np

    if not len(answers) == len(scores) == n:
        found = f"{len(answers)} answers and {len(scores)} rows of scores for {n} rows"
        raise TidegateError("", f"gave {found}, expected one each")
    listed: list[list[float]] = scores.tolist()
    # for one row a look at its numbers is quicker than a call of numpy
    is_finite = all(map(math.isfinite, listed[0])) if len(listed) == 1 else np.isfinite(scores).all()
    if not is_finite or (float in map(type, answers) and not _are_finite(answers)):
        # JSON has neither, and a rollout must see that the model failed
        raise TidegateError("", "answered NaN or infinity, expected numbers")
    return listed


def _are_finite(answers: list[Answer]) -> bool:
    return all(math.isfinite(answer) for answer in answers if isinstance(answer, float))
