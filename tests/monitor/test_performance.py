import math

import pytest
from msgspec.structs import replace

from tidegate.monitor.performance import fold_labels, performance_level, recent_labels, start_performance
from tidegate.project import Monitor
from tidegate.stats.exact import clopper_pearson

SETTINGS = Monitor()
ALARM = math.log(SETTINGS.false_alarm_labels)


@pytest.fixture
def start(reference):
    return start_performance(reference, SETTINGS)


def labels_to_alarm(performance, random, rate, *, batch, most):
    """Labels until the alarm when answers are wrong at `rate`; None within `most` labels."""
    while performance.labels < most:
        performance = fold_labels(performance, int(random.binomial(batch, rate)), batch)
        if performance_level(performance) >= ALARM:
            return performance.labels
    return None


def test_before_the_first_label_nothing_is_known(start):
    assert (start.labels, start.errors) == (0, 0)
    assert performance_level(start) == -math.inf


def test_the_promise_is_the_upper_bound_of_the_evaluation_plus_the_tolerance(start):
    high = clopper_pearson(100, 1000, error=0.1, side="upper").high
    assert start.limit == pytest.approx(high + SETTINGS.tolerance)


def test_a_batch_without_labels_changes_nothing(start):
    some = fold_labels(start, 3, 20)
    again = fold_labels(some, 0, 0)
    assert (again.labels, again.errors) == (20, 3)
    assert performance_level(again) == performance_level(some)


def test_labels_and_errors_add_up(start):
    folded = fold_labels(fold_labels(start, 2, 10), 1, 30)
    assert (folded.labels, folded.errors, folded.limit) == (40, 3, start.limit)


@pytest.mark.parametrize("batch", [1, 50])
def test_quality_as_promised_pages_nobody_in_many_labels(start, random, batch):
    assert labels_to_alarm(start, random, 0.1, batch=batch, most=10_000) is None


@pytest.mark.parametrize(("rate", "most"), [(0.15, 4000), (0.25, 400), (1.0, 40)])
def test_lost_quality_is_found_the_sooner_the_worse_it_is(start, random, rate, most):
    assert labels_to_alarm(start, random, rate, batch=10, most=most)


def test_good_labels_before_do_not_delay_the_alarm_for_long(start, random):
    good = fold_labels(start, 0, 50_000)
    found = labels_to_alarm(good, random, 0.3, batch=10, most=60_000)
    assert found and found - 50_000 < 400


def test_a_model_that_was_never_right_cannot_get_worse(reference):
    performance = start_performance(replace(reference, errors=1000), SETTINGS)
    assert performance.limit == 1
    for _ in range(100):
        performance = fold_labels(performance, 10, 10)
    assert performance_level(performance) < ALARM


def test_the_loss_is_told_from_where_it_began(reference):
    found = start_performance(reference, SETTINGS)
    for errors in [1] * 200 + [6] * 20:
        found = fold_labels(found, errors, 10)
    labels, errors = recent_labels(found)
    assert 150 <= labels <= 250
    assert errors / labels == pytest.approx(0.6, abs=0.06)
