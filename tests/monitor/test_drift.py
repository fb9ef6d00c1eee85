import math
from collections import Counter

import numpy as np
import pytest

from tidegate.data.tables import Table
from tidegate.errors import UsageError
from tidegate.monitor.drift import ANSWERS, drift_features, drift_level, fold_window, start_drift
from tidegate.monitor.reference import build_reference
from tidegate.project import Monitor

SETTINGS = Monitor()
ALARM = math.log(SETTINGS.false_alarm_windows)


def more_dogs(random, rows):
    return random.choice(["bird", "cat", "dog"], size=rows, p=(0.1, 0.2, 0.7)).tolist()


def with_fish(random, rows):
    return random.choice(["bird", "cat", "dog", "fish"], size=rows, p=(0.2, 0.3, 0.45, 0.05)).tolist()


@pytest.fixture
def start(reference):
    return start_drift(reference, SETTINGS)


def test_before_the_first_window_nothing_is_known(start):
    assert drift_level(start) == -math.inf
    assert not any(feature.is_alarming for feature in drift_features(start))
    assert [feature.name for feature in drift_features(start)][-1] == ANSWERS


def test_rows_like_the_reference_raise_nothing_in_two_hundred_windows(start, fold):
    drift, highest = start, -math.inf
    for _ in range(200):
        drift = fold(drift, 1)
        highest = max(highest, drift_level(drift))
    assert highest < ALARM / 2
    assert (drift.windows, drift.rows) == (200, 200_000)
    assert not any(feature.is_alarming for feature in drift_features(drift))


@pytest.mark.parametrize("rows", [20, 100])
def test_small_windows_like_the_reference_raise_nothing(start, random, inputs, answers, rows):
    drift = start
    for _ in range(300):
        drift = fold_window(drift, inputs(random, rows), answers(random, rows))
        assert drift_level(drift) < ALARM


def test_columns_that_cannot_move_further_never_add_up_to_an_alarm():
    reference = build_reference(Table(("x", "y"), {"x": [5] * 500, "y": [None] * 500}), ["a"] * 500, 0)
    drift = start_drift(reference, Monitor(false_alarm_windows=10))
    for _ in range(400):
        drift = fold_window(drift, np.tile([5.0, np.nan], (50, 1)), ["a"] * 50)
    assert drift_level(drift) < 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("normal", lambda column: column + 0.5),
        ("skewed", lambda column: column * 2),
        ("count", lambda column: column + 1),
        ("flag", lambda column: 1 - column),
        ("holes", lambda column: column - 0.5),
    ],
)
def test_a_shifted_column_is_found_in_two_weeks_and_named_first(start, fold, name, change):
    drift = fold(fold(start, 5), 14, {name: change})
    worst, second, *_ = drift_features(drift)
    assert drift_level(drift) >= ALARM
    assert worst.name == name
    assert worst.is_alarming
    assert not second.is_alarming
    assert worst.since == 6


@pytest.mark.parametrize("name", ["normal", "skewed", "count"])
def test_a_column_times_a_thousand_is_found_in_the_first_window(start, fold, name):
    drift = fold(start, 1, {name: lambda column: column * 1000})
    assert drift_level(drift) >= ALARM
    assert drift_features(drift)[0].name == name


@pytest.mark.parametrize("value", [0.0, -0.1, 0.11, 1e300, math.inf, math.nan])
def test_a_constant_column_that_moves_is_found_at_once(start, fold, value):
    drift = fold(start, 1, {"constant": lambda column: np.full_like(column, value)})
    assert drift_level(drift) >= ALARM
    assert drift_features(drift)[0].name == "constant"


def test_single_precision_on_the_way_is_no_drift(start, fold):
    drift = fold(start, 5, {"constant": lambda column: column.astype(np.float32)})
    assert drift_level(drift) < 0


def test_missing_values_that_appear_are_found_and_said(start, fold, random):
    drift = fold(
        fold(start, 3), 2, {"normal": lambda column: np.where(random.random(1000) < 0.05, np.nan, column)}
    )
    worst = drift_features(drift)[0]
    assert drift_level(drift) >= ALARM
    assert (worst.name, worst.since) == ("normal", 4)
    assert worst.because.endswith(" % of rows missing, reference 0 %")
    assert 4 < float(worst.because.split()[0]) < 6


def test_values_that_appear_where_all_were_missing_are_found(start, fold):
    drift = fold(start, 1, {"empty": np.zeros_like})
    assert drift_features(drift)[0].because == "0 % of rows missing, reference 100 %"
    assert drift_level(drift) >= ALARM


@pytest.mark.parametrize(
    ("answers", "said"),
    [(more_dogs, "of answers `"), (with_fish, "of answers never seen in the evaluation, reference 0 %")],
    ids=["other shares", "another answer"],
)
def test_answers_that_drift_alone_are_found(start, fold, answers, said):
    drift = fold(fold(start, 3), 5, answers=answers)
    worst, second, *_ = drift_features(drift)
    assert drift_level(drift) >= ALARM
    assert worst.name == ANSWERS
    assert said in worst.because
    assert not second.is_alarming


def test_a_move_is_said_in_shares_at_the_worst_cut(start, fold):
    worst = drift_features(fold(start, 1, {"flag": np.zeros_like}))[0]
    assert worst.because.startswith("100 % of rows at most 0, reference ")
    worst = drift_features(fold(start, 1, {"flag": lambda column: np.full_like(column, -2)}))[0]
    assert worst.because == "100 % of rows below 0, reference 0 %"


def test_half_of_the_weight_is_on_the_answers(start, fold):
    moved = fold(start, 3, answers=more_dogs)
    (answers,) = (feature for feature in drift_features(moved) if feature.name == ANSWERS)
    assert drift_level(moved) == pytest.approx(answers.log_score - math.log(2), abs=1e-6)
    moved = fold(start, 1, {"normal": lambda column: column * 1000})
    columns = len(drift_features(moved)) - 1
    worst = drift_features(moved)[0].log_score
    assert drift_level(moved) == pytest.approx(worst - math.log(2 * columns), abs=1e-6)


def test_a_model_without_numbers_is_judged_by_its_answers(random):
    reference = build_reference(Table(("text",), {"text": ["a", "b"]}), ["yes", "no"] * 200, 0)
    drift = fold_window(start_drift(reference, SETTINGS), np.empty((300, 0)), ["yes"] * 300)
    (feature,) = drift_features(drift)
    assert drift_level(drift) == feature.log_score >= ALARM


def test_a_stretch_that_was_a_passing_whim_is_forgotten(start, fold):
    whim = fold(fold(start, 2), 1, {"normal": lambda column: column + 0.2})
    worst = drift_features(fold(fold(whim, 30), 14, {"normal": lambda column: column + 0.5}))[0]
    assert (worst.name, worst.since) == ("normal", 34)


def test_less_sensitive_settings_tolerate_more(reference, fold):
    settings = [Monitor(sensitivity=name) for name in ("low", "normal", "high")]
    starts = [start_drift(reference, each) for each in settings]
    levels = [drift_level(fold(each, 5, {"normal": lambda column: column + 0.4})) for each in starts]
    assert levels == sorted(levels)
    assert levels[0] < levels[2] - 100


def test_the_order_of_rows_within_a_window_does_not_matter(start, random, inputs, answers):
    for _ in range(20):
        rows, said = inputs(random, 200) + random.normal(), answers(random, 200)
        order = random.permutation(200)
        one = fold_window(start, rows, said)
        other = fold_window(start, rows[order], [said[index] for index in order])
        assert drift_features(one) == drift_features(other)
        assert drift_level(one) == drift_level(other)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_folding_leaves_the_past_and_the_rows_as_they_were(start, random, inputs, answers):
    before = fold_window(start, inputs(random, 200), answers(random, 200))
    scores, trail, level = before.scores.copy(), [each.copy() for each in before.trail], drift_level(before)
    rows = inputs(random, 200)
    given = rows.copy()
    fold_window(before, rows * 1, answers(random, 200))
    np.testing.assert_array_equal(before.scores, scores)
    for kept, was in zip(before.trail, trail, strict=True):
        np.testing.assert_array_equal(kept, was)
    np.testing.assert_array_equal(rows, given)
    assert drift_level(before) == level


def test_hits_are_the_rows_that_meet_each_indicator(start, random, inputs, answers):
    rows, said = inputs(random, 300), answers(random, 300)
    drift = fold_window(start, rows, said)
    hits = drift.trail.hits[:, 0, 0]
    yardstick = drift.yardstick
    first = 0
    for index, (cuts, size) in enumerate(zip(yardstick.cuts, yardstick.sizes[:-1], strict=True)):
        column = rows[:, index].astype(np.float32)
        expected = [(column <= cut).sum() for cut in cuts]
        expected += [(column < cuts[0]).sum()] if len(cuts) else []
        assert hits[first : first + size].tolist() == [*expected, np.isnan(column).sum()]
        first += size
    counts = Counter(said)
    assert hits[first:].tolist() == [*(counts[answer] for answer in yardstick.answers), 0]


def test_a_window_without_rows_does_not_count(start):
    assert fold_window(start, np.empty((0, 7)), []) is start


@pytest.mark.parametrize("shape", [(5, 6), (5, 1), (4, 7), (5,)])
def test_rows_of_another_shape_are_refused(start, shape):
    with pytest.raises(UsageError, match=r"drift: inputs of shape .*, answers and columns need \(5, 7\)"):
        fold_window(start, np.zeros(shape), ["cat"] * 5)
