"""The evidence: what counts, where it counts, and how often the whole rollout errs in simulated lives."""

import math
import random as chance
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain import TERMINAL_PHASES, Label
from tidegate.project import Guard
from tidegate.rollout.decide import decide
from tidegate.rollout.measure import GRACE_S, Evidence, GuardMeter, Meter
from tidegate.stats.sequential import arm_log_e, floor_log_e, log_mean_exp

ERRORS, WRONG = Guard("error_rate"), Guard("wrong_rate")
LAW = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(scope="session")
def meter(rollout, policy) -> Callable[..., Meter]:
    """A meter of both guards, or of those given."""
    return lambda *guards: Meter(rollout(), policy(guard=guards or (ERRORS, WRONG)))


def numbers(meter, until=999.0):
    """(canary events, canary units, stable events, stable units) of each guard by `until` seconds."""
    return [
        (guard.canary_events, guard.canary_units, guard.stable_events, guard.stable_units)
        for guard in meter.evidence(1000.0 + until).guards
    ]


def test_nothing_seen_is_no_evidence(meter) -> None:
    evidence = meter().evidence(1500.0)
    assert [guard.metric for guard in evidence.guards] == ["error_rate", "wrong_rate"]
    assert (evidence.log_harm, evidence.units) == (0.0, 0)
    assert {guard.log_safe for guard in evidence.guards} == {0.0}


def test_without_guards_there_is_no_evidence(rollout, policy, row) -> None:
    alone = Meter(rollout(), policy(guard=()))
    alone.add([row(0.5, "u")], [])
    assert alone.evidence(1500.0) == Evidence((), 0.0)


def test_a_unit_counts_once_in_a_window_and_again_in_the_next(meter, row) -> None:
    found = meter(ERRORS)
    found.add([row(at, "u") for at in (0.1, 0.2, 0.9, 1.1, 1.2)], [])
    assert numbers(found) == [(0, 0, 0, 2)]


def test_only_the_first_event_of_a_unit_counts_and_it_leaves_the_units_at_risk(meter, row) -> None:
    found = meter(ERRORS)
    found.add([row(0.1, "calm"), row(0.2, "u"), row(0.3, "u", status=500), row(0.4, "u", status=500)], [])
    found.add([row(1.1, "calm"), row(1.2, "u", status=500), row(2.1, "u")], [])
    assert numbers(found) == [(0, 0, 1, 3)]


def test_a_unit_with_several_rows_in_one_window_has_the_role_of_its_earliest(meter, row) -> None:
    moved = [row(0.6, "u", "canary", status=500), row(0.4, "u"), row(0.8, "u", "canary")]
    for order in (moved, moved[::-1]):
        found = meter(ERRORS)
        found.add(order, [])
        assert numbers(found) == [(0, 0, 1, 1)]


@pytest.mark.parametrize(("status", "events"), [(200, 0), (500, 1), (503, 1)])
def test_a_reply_other_than_ok_is_an_error(meter, row, status, events) -> None:
    found = meter(ERRORS)
    found.add([row(0.1, "u", "canary", status=status, output=None if events else "a")], [])
    assert numbers(found) == [(events, 1, 0, 0)]


@pytest.mark.parametrize(
    ("at", "unit", "changed"),
    [(0.5, "u", {"bundle": "another"}), (0.5, "", {}), (-0.1, "u", {})],
    ids=["of another bundle", "not drawn by chance", "from before"],
)
def test_rows_that_are_not_of_this_rollout_are_left_out(meter, row, label, at, unit, changed) -> None:
    found, left_out = meter(), row(at, unit, "canary", status=500, **changed)
    found.add([left_out], [label(left_out, 0.6, "b")])
    assert numbers(found) == [(0, 0, 0, 0), (0, 0, 0, 0)]


def test_a_window_closes_only_when_it_is_over_and_the_grace_too(meter, row) -> None:
    found = meter(ERRORS)
    found.add([row(0.0, "u"), row(1.0, "v")], [])
    assert numbers(found, 1 + GRACE_S - 0.01) == [(0, 0, 0, 0)]
    assert numbers(found, 1 + GRACE_S) == [(0, 0, 0, 1)]
    assert numbers(found, 2 + GRACE_S) == [(0, 0, 0, 2)]


def test_a_look_into_the_past_reopens_nothing(meter, row) -> None:
    found = meter(ERRORS)
    found.add([row(0.5, "u")], [])
    assert numbers(found, 9.0) == numbers(found, 0.0) == [(0, 0, 0, 1)]
    found.add([row(0.9, "late")], [])
    assert numbers(found, 9.0) == [(0, 0, 0, 1)]


def test_a_late_row_counts_in_the_first_open_window(meter, row) -> None:
    found = meter(ERRORS)
    found.add([row(0.5, "u", "canary")], [])
    assert numbers(found, 3 + GRACE_S) == [(0, 1, 0, 0)]
    found.add([row(0.9, "late", "canary", status=500)], [])
    assert numbers(found, 3.9 + GRACE_S) == [(0, 1, 0, 0)]
    assert numbers(found, 4 + GRACE_S) == [(1, 2, 0, 0)]


def test_a_label_counts_when_it_comes_and_judges_the_answer(meter, row, label) -> None:
    rows = [row(0.1, "u", "canary"), row(0.2, "v", "canary", output=3.0), row(0.3, "w", output=7)]
    found = meter(WRONG)
    found.add(rows, [])
    assert numbers(found, 5.0) == [(0, 0, 0, 0)]
    found.add([], [label(rows[0], 6.1, "b"), label(rows[1], 6.2, "3"), label(rows[2], 6.3, 8)])
    assert numbers(found, 7.0) == [(0, 0, 0, 0)]
    assert numbers(found, 7.5) == [(1, 2, 1, 1)]


def test_labels_without_an_answer_and_second_labels_do_not_count(meter, row, label) -> None:
    failed, good = row(0.1, "u", status=500, output=None), row(0.2, "v")
    found = meter(WRONG)
    found.add([failed, good], [label(failed, 0.4), label(good, 0.5), label(good, 0.6, "b")])
    found.add([], [Label("unheard", 1001.0, "a"), label(good, 1.6, "b")])
    assert numbers(found) == [(0, 0, 0, 1)]


@pytest.mark.parametrize("looks", [(), (2.0, 5.0)], ids=["one look", "a look after each label"])
def test_a_unit_leaves_with_its_first_wrong_label_whenever_one_looks(meter, row, label, looks) -> None:
    rows = [row(0.5, "u"), row(1.5, "u")]
    found = meter(WRONG)
    found.add(rows, [label(rows[1], 1.6, "b")])
    for look in looks:
        found.evidence(1000.0 + look)
    found.add([], [label(rows[0], 6.5)])
    assert numbers(found) == [(0, 0, 1, 1)]


def test_answers_are_compared_only_within_their_own_window_and_that_of_their_labels(
    meter, row, label
) -> None:
    """An early window of the canary alone and a late one of stable alone say nothing about the arms."""
    rows = [row(0.5, f"c{n}", "canary") for n in range(60)] + [row(1.5, f"s{n}") for n in range(60)]
    labels = [label(one, 5.5, "b" if one.role == "canary" else "a") for one in rows]
    found = meter(WRONG)
    found.add(rows, labels)
    (guard,) = found.evidence(1009.0).guards
    assert (guard.canary_events, guard.stable_events) == (60, 0)
    assert guard.log_harm == 0.0


def test_the_evidence_is_that_of_the_statistics_summed_over_windows(meter, row) -> None:
    guard = Guard("error_rate", harm_ratio=1.2, safe_ratio=2.0, ignore_below=0.01)
    windows = [(5, 40, 2, 60), (3, 30, 6, 20), (1, 10, 0, 0)]
    found = meter(guard)
    for number, (bad, canary, worse, stable) in enumerate(windows):
        at = number + 0.5
        found.add(
            [row(at, f"c{number}.{n}", "canary", status=500 if n < bad else 200) for n in range(canary)], []
        )
        found.add([row(at, f"s{number}.{n}", status=500 if n < worse else 200) for n in range(stable)], [])

    def arms(side, ratio):
        gains = [arm_log_e(c, s, n / (n + m), ratio=ratio, side=side) for c, n, s, m in windows if n and m]
        return log_mean_exp([math.fsum(bet) for bet in zip(*gains, strict=True)])

    def floor(side):
        gains = [floor_log_e(c, n, floor=0.01, side=side) for c, n, _, _ in windows]
        return log_mean_exp([math.fsum(bet) for bet in zip(*gains, strict=True)])

    (seen,) = found.evidence(1009.0).guards
    assert seen.log_harm == pytest.approx(min(arms("harm", 1.2), floor("harm")))
    assert seen.log_safe == pytest.approx(log_mean_exp([arms("safe", 2.0), floor("safe")]))


def test_a_rate_below_the_floor_is_never_harm(meter, row) -> None:
    found = meter(Guard("error_rate", ignore_below=0.2))
    found.add([row(0.5, f"c{n}", "canary", status=500 if n < 20 else 200) for n in range(200)], [])
    found.add([row(0.5, f"s{n}") for n in range(200)], [])
    (guard,) = found.evidence(1009.0).guards
    assert guard.canary_events == 20
    assert guard.log_harm < 0 < guard.log_safe


def test_harm_is_the_mean_of_the_e_values_of_the_guards(meter, row, label) -> None:
    rows = [row(0.5, f"{role}{n}", role) for role in ("canary", "stable") for n in range(50)]
    found = meter()
    found.add(rows, [label(one, 0.6, "b" if one.role == "canary" else "a") for one in rows])
    evidence = found.evidence(1009.0)
    assert evidence.guards[1].log_harm > 20
    assert evidence.log_harm == log_mean_exp([guard.log_harm for guard in evidence.guards])
    assert evidence.units == 50


MOMENTS = st.integers(0, 31).map(lambda eighths: eighths / 8)
TRAFFIC = st.lists(
    st.tuples(MOMENTS, st.sampled_from("uvwxyz"), st.booleans(), st.booleans(), MOMENTS, st.booleans()),
    max_size=30,
)


def logged(row, label, traffic):
    """Rows, and labels that come after their rows, in the order of time; requests are numbered."""
    rows, labels = [], []
    for number, (at, unit, is_canary, is_error, lag, is_wrong) in enumerate(sorted(traffic)):
        output = None if is_error else "a"
        role, status = "canary" if is_canary else "stable", 500 if is_error else 200
        rows.append(row(at, unit, role, status=status, output=output, request=str(number)))
        labels.append(label(rows[-1], at + lag, "b" if is_wrong else "a"))
    return rows, sorted(labels, key=lambda one: one.at)


@LAW
@given(traffic=TRAFFIC, seed=st.integers(0, 9))
def test_the_order_of_rows_does_not_matter_while_their_windows_are_open(
    meter, row, label, traffic, seed
) -> None:
    rows, labels = logged(row, label, traffic)
    straight, shuffled = meter(), meter()
    straight.add(rows, labels)
    for some in (rows, labels):
        chance.Random(seed).shuffle(some)
    shuffled.add(rows, labels)
    assert straight.evidence(1020.0) == shuffled.evidence(1020.0)


@LAW
@given(traffic=TRAFFIC, looks=st.sets(st.integers(1, 8)))
def test_rows_fed_in_any_chunks_with_any_looks_between_give_the_same_evidence(
    meter, row, label, traffic, looks
) -> None:
    rows, labels = logged(row, label, traffic)
    whole, chunked = meter(), meter()
    whole.add(rows, labels)
    before = 0
    for look in [*sorted(looks), 20]:
        since, until = 1000.0 + before, 1000.0 + look
        chunked.add(
            [one for one in rows if since <= one.at < until],
            [one for one in labels if since <= one.at < until],
        )
        chunked.evidence(until)
        before = look
    assert chunked.evidence(1020.0) == whole.evidence(1020.0)


@LAW
@given(traffic=TRAFFIC)
def test_every_unit_has_at_most_one_event_and_events_are_among_units(meter, row, label, traffic) -> None:
    rows, labels = logged(row, label, traffic)
    found = meter()
    found.add(rows, labels)
    for c_events, c_units, s_events, s_units in numbers(found):
        assert 0 <= c_events <= c_units
        assert 0 <= s_events <= s_units
        assert c_events + s_events <= len({one.unit for one in rows})


def test_closing_twice_folds_once(row) -> None:
    alone = GuardMeter(ERRORS)
    alone.add((0,), row(0.5, "u", "canary"), is_event=True)
    alone.close(1)
    first = alone.evidence()
    alone.close(1)
    alone.close(9)
    assert alone.evidence() == first


class Crowd(NamedTuple):
    """Who asks: `size` units of which `draw(random, window)` gives those of a window, and two rates for each.

    `error` is the chance that an answer fails and `wrong` that it is wrong, by unit and window.
    """

    size: int
    draw: Callable
    error: Callable
    wrong: Callable


def strangers(a_window, error, wrong):
    """Every request is a unit of its own; rates are numbers, or functions of the window."""

    def draw(random, window):
        return np.arange(a_window) + window * a_window

    return Crowd(a_window * WINDOWS, draw, _rate(error), _rate(wrong))


def regulars(size, a_window, error, wrong):
    """Every twentieth unit has all the trouble, and has it again and again."""

    def draw(random, window):
        return random.integers(0, size, a_window)

    def of(rate):
        return lambda units, window: np.where(units % 20 == 0, 20 * rate, 0.0)

    return Crowd(size, draw, of(error), of(wrong))


def _rate(rate):
    return lambda units, window: np.full(len(units), rate(window) if callable(rate) else rate)


WINDOWS = 60


@pytest.fixture(scope="session")
def phases(rollout, policy, row) -> Callable:
    """The phases in which `lives` rollouts end, looked at after every window; `worse` multiplies the rates."""

    def play(crowd, lives, worse=1.0, guard=(ERRORS, WRONG), seed=7):
        random = np.random.default_rng(seed)
        rules = policy(guard=guard)
        return [live(random, crowd, worse, rules) for _ in range(lives)]

    def live(random, crowd, worse, rules):
        state = rollout()
        found, places = Meter(state, rules), random.random(crowd.size)
        for window in range(WINDOWS):
            units = crowd.draw(random, window)
            canary = places[units] < state.weight
            times = np.where(canary, worse, 1.0)
            failed = random.random(len(units)) < times * crowd.error(units, window)
            wrong = random.random(len(units)) < times * crowd.wrong(units, window)
            found.add(*log_of(window, units, (canary, failed, wrong)))
            now = 1001.0 + window + GRACE_S
            move = decide(state, found.evidence(now), rules, now=now)
            state = move.rollout if move else state
            if state.phase in TERMINAL_PHASES:
                break
        return state.phase

    def log_of(window, units, drawn):
        rows, labels = [], []
        answers = zip(units.tolist(), *(flags.tolist() for flags in drawn), strict=True)
        for n, (unit, is_canary, is_failed, is_wrong) in enumerate(answers):
            role, request = ("canary" if is_canary else "stable"), f"{window}.{n}"
            status, output = (500, None) if is_failed else (200, "a")
            rows.append(row(window + 0.5, str(unit), role, status=status, output=output, request=request))
            labels.append(Label(request, 1000.9 + window, "b" if is_wrong else "a"))
        return rows, labels

    return play


def share(phases, phase):
    return phases.count(phase) / len(phases)


@pytest.mark.parametrize(
    "crowd",
    [
        strangers(20, error=0.01, wrong=0.05),
        regulars(100, 25, error=0.01, wrong=0.05),
        strangers(25, error=lambda w: 0.01 + 0.2 * w / 60, wrong=lambda w: 0.03 if w < 10 else 0.4),
    ],
    ids=["strangers", "regulars with several errors each", "a base rate that drifts while the share ramps"],
)
def test_an_identical_canary_is_rarely_rolled_back(phases, ceiling, crowd) -> None:
    assert share(phases(crowd, 150), "rolled_back") <= ceiling(0.05, 150)


def test_a_canary_with_three_times_the_wrong_answers_is_rolled_back(phases) -> None:
    ended = phases(strangers(40, error=0.0, wrong=0.05), 60, worse=3.0)
    assert share(ended, "rolled_back") >= 0.95


def test_a_canary_as_good_as_stable_is_promoted_in_most_lives(phases) -> None:
    guards = (Guard("error_rate", safe_ratio=3.0), Guard("wrong_rate", safe_ratio=3.0))
    ended = phases(strangers(60, error=0.05, wrong=0.05), 40, guard=guards)
    assert share(ended, "promoted") >= 0.75
    assert share(ended, "rolled_back") <= 0.2


def test_a_canary_exactly_at_the_safe_ratio_is_rarely_promoted(phases, ceiling) -> None:
    guard = (Guard("error_rate", harm_ratio=2.0, safe_ratio=2.0),)
    ended = phases(strangers(30, error=0.03, wrong=0.0), 150, worse=2.0, guard=guard)
    assert share(ended, "promoted") <= ceiling(0.05, 150)


def test_of_too_many_answers_that_wait_the_oldest_are_given_up(meter, row, label, monkeypatch) -> None:
    monkeypatch.setattr("tidegate.rollout.measure.MOST_WAITING", 2)
    rows = [row(0.1 * n, f"u{n}") for n in range(1, 4)]
    found = meter()
    found.add(rows, [label(one, 0.9) for one in rows])
    assert found.evidence(1009.0).guards[1].stable_units == 2
