"""When a follower reads again: soon after a change, some time after it, and now and then."""

import asyncio
from itertools import pairwise

import pytest

from tidegate.flow.lookout import IDLE_S, POLL_S, SETTLE_S, Lookout


class Signs:
    """What is looked at, and how often it was."""

    def __init__(self) -> None:
        self.value = 0
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.value


@pytest.fixture
def signs() -> Signs:
    return Signs()


def due(lookout: Lookout, start: float, seconds: float) -> list[float]:
    """The looks, of one every POLL_S from `start` on, that are due."""
    times = [start + i * POLL_S for i in range(round(seconds / POLL_S))]
    return [now for now in times if lookout.is_due(now)]


def test_at_first_everything_is_new(signs) -> None:
    assert Lookout(signs).is_due(0.0)


def test_a_change_is_followed_up_until_it_has_settled(signs) -> None:
    lookout = Lookout(signs)
    due(lookout, 0.0, SETTLE_S + 1)
    signs.value = 1
    found = due(lookout, 100.0, SETTLE_S)
    assert len(found) == round(SETTLE_S / POLL_S)


def test_without_a_change_it_is_due_once_in_a_while(signs) -> None:
    lookout = Lookout(signs)
    due(lookout, 0.0, SETTLE_S + 1)
    found = due(lookout, 100.0, 10 * IDLE_S)
    gaps = [after - before for before, after in pairwise(found)]
    assert found[0] == 100.0
    assert all(IDLE_S <= gap < IDLE_S + 2 * POLL_S for gap in gaps)


def test_a_change_back_is_a_change_too(signs) -> None:
    lookout = Lookout(signs)
    due(lookout, 0.0, SETTLE_S + 1)
    for value in (1, 0):
        signs.value = value
        assert lookout.is_due(50.0 + POLL_S * (2 - value))


def test_waiting_ends_with_the_first_look_that_is_due(signs) -> None:
    asyncio.run(Lookout(signs).wait())
    assert signs.asked == 1


def test_who_is_cancelled_looks_no_more(signs) -> None:
    async def give_up() -> int:
        waiting = asyncio.ensure_future(Lookout(signs).wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.sleep(2 * POLL_S)
        return signs.asked

    assert asyncio.run(give_up()) == 0
