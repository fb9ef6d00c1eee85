"""One call of a model for several requests, so that a bad one harms none of its neighbors."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve.route import Answer, Model

if TYPE_CHECKING:
    import numpy as np

MAX_BATCH_ROWS = 1024


class Result(NamedTuple):
    """What the model said to one request; `error` when it failed."""

    answers: list[Answer]
    scores: list[list[float]]
    error: BaseException | None = None


def predict_together(model: Model, requests: "Sequence[np.ndarray]") -> list[Result]:
    """One call for all requests; when the model fails on them, one call for each."""
    import numpy as np

    try:
        answers, scores = _ask(model, requests[0] if len(requests) == 1 else np.concatenate(requests))
    except KeyboardInterrupt:
        raise
    except UnavailableError as error:
        return [Result([], [], error) for _ in requests]
    except BaseException as error:  # whatever a model raises the gateway goes on, a panic of Rust too
        if len(requests) == 1:
            return [Result([], [], error)]
        return [result for rows in requests for result in predict_together(model, [rows])]
    results, start = [], 0
    for rows in requests:
        end = start + len(rows)
        results.append(Result(answers[start:end], scores[start:end]))
        start = end
    return results


def _ask(model: Model, rows: "np.ndarray") -> tuple[list[Answer], list[list[float]]]:
    import numpy as np

    answers, scores = model.predict(rows)
    if not len(answers) == len(scores) == len(rows):
        found = f"{len(answers)} answers and {len(scores)} rows of scores for {len(rows)} rows"
        raise TidegateError("", f"gave {found}, expected one each")
    listed: list[list[float]] = scores.tolist()
    # for one row a look at its numbers is quicker than a call of numpy
    is_finite = all(map(math.isfinite, listed[0])) if len(listed) == 1 else np.isfinite(scores).all()
    if not is_finite or any(isinstance(answer, float) and not math.isfinite(answer) for answer in answers):
        # JSON has neither, and a rollout must see that the model failed
        raise TidegateError("", "answered NaN or infinity, expected numbers")
    return answers, listed
