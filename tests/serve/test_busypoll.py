"""The loop looks for requests only while they follow replies at once."""

from functools import partial

import pytest

from tidegate.serve import busypoll
from tidegate.serve.busypoll import ENOUGH, LOOK_S, MODEL_S, BusyPoll, has_spare_processor


class Loop:
    """A loop whose turns are taken by hand, on a clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list = []

    def call_soon(self, call, *given) -> None:
        self.due.append(partial(call, *given))

    def turn(self) -> bool:
        """Whether anything was there to do, so that the loop did not sleep."""
        due, self.due = self.due, []
        for call in due:
            call()
        return bool(due)


@pytest.fixture
def loop(monkeypatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(busypoll.time, "perf_counter", lambda: loop.now)
    return loop


def serve(loop: Loop, poll: BusyPoll, *gaps_s: float) -> None:
    """A reply and, after each gap, the next request."""
    for gap in gaps_s:
        poll.replied(loop)
        until = loop.now + gap
        while loop.now < until:
            loop.now = min(until, loop.now + LOOK_S / 4)
            loop.turn()
        poll.asked()


def test_a_loop_sleeps_until_requests_have_come_at_once_a_few_times(loop) -> None:
    poll = BusyPoll(is_on=True)
    serve(loop, poll, *[LOOK_S / 2] * (ENOUGH - 1))
    poll.replied(loop)
    assert not loop.due
    poll.asked()
    poll.replied(loop)
    assert loop.due


def test_it_looks_no_longer_than_a_moment(loop) -> None:
    poll = BusyPoll(is_on=True)
    serve(loop, poll, *[0.0] * 20)
    poll.replied(loop)
    turns = 0
    while loop.turn():
        loop.now += LOOK_S / 10
        turns += 1
    assert turns <= 12


def test_it_looks_no_more_while_a_request_is_answered(loop) -> None:
    poll = BusyPoll(is_on=True)
    serve(loop, poll, *[0.0] * 20)
    loop.turn()
    assert not loop.due


def test_clients_that_take_their_time_are_not_waited_for(loop) -> None:
    poll = BusyPoll(is_on=True)
    serve(loop, poll, *[0.0] * 20, *[LOOK_S * 5] * 4)
    poll.replied(loop)
    assert not loop.due
    serve(loop, poll, *[0.0, LOOK_S * 5] * 20)
    poll.replied(loop)
    assert not loop.due


def test_without_a_spare_processor_it_never_looks(loop, monkeypatch) -> None:
    poll = BusyPoll(is_on=False)
    serve(loop, poll, *[0.0] * 20)
    assert not loop.due
    monkeypatch.setattr(busypoll.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert [has_spare_processor(workers) for workers in (1, 2, 3)] == [True, False, False]
    monkeypatch.delattr(busypoll.os, "sched_getaffinity")
    monkeypatch.setattr(busypoll.os, "cpu_count", lambda: None)
    assert not has_spare_processor(1)


def test_it_waits_awake_for_a_quick_model_whose_clients_are_close(loop) -> None:
    poll = BusyPoll(is_on=True)
    poll.await_model(loop, MODEL_S / 2)
    assert not loop.due
    serve(loop, poll, *[0.0] * 20)
    loop.turn()
    for expected in (0.0, MODEL_S):
        poll.await_model(loop, expected)
        assert not loop.due
    poll.await_model(loop, MODEL_S / 2)
    assert loop.turn()
    poll.heard_model()
    loop.turn()
    assert not loop.due


def test_a_model_that_takes_too_long_is_waited_for_asleep(loop) -> None:
    poll = BusyPoll(is_on=True)
    serve(loop, poll, *[0.0] * 20)
    loop.turn()
    poll.await_model(loop, MODEL_S / 2)
    loop.now += MODEL_S
    assert loop.turn()
    assert not loop.due
    assert poll.is_close
