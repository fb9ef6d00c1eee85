"""The engine: what arrives together goes together, is logged before it is answered, and nobody waits forever."""

import asyncio

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import TidegateError, UnavailableError
from tidegate.serve import engine as engines
from tidegate.serve import runner
from tidegate.serve.engine import LONE_TURNS, Engine
from tidegate.serve.job import Answered, LateError, ModelFailedError
from tidegate.serve.predict import predict_together
from tidegate.serve.route import choose

LAW = settings(max_examples=60, deadline=None, derandomize=True)
POISONED = (0.0, 666.0, 0.0)


class PanicError(BaseException):
    """What a panic of Rust looks like in Python: no Exception."""


@pytest.fixture
def in_thread(monkeypatch) -> None:
    """From its second batch on, a model is taken for slow."""
    monkeypatch.setattr(runner, "SLOW_S", 0.0)


async def together(gateway, *asks, **pinned):
    """The answers to requests of one loop turn; a failure stands for itself."""
    answers = (gateway.engine.answer(ask, **pinned) for ask in asks)
    return await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 5)


def logged(gateway) -> list[list[str]]:
    return [[row.request for row in rows] for rows in gateway.writes]


async def turns(n: int = 3) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


def test_nothing_is_answered_while_nothing_is_live(gateway, one_ask) -> None:
    gateway.engine.route = None
    with pytest.raises(UnavailableError, match="nothing is live yet"):
        asyncio.run(gateway.engine.answer(one_ask("r")))


def test_requests_of_one_turn_go_in_one_call_and_one_write(gateway, one_ask) -> None:
    asks = [one_ask("r0"), one_ask("r1", (9.0, 0.0, 0.0), (0.0, 9.0, 0.0)), one_ask("r2")]
    first, second, third = asyncio.run(together(gateway, *asks))
    assert gateway.model.calls == [4]
    assert logged(gateway) == [["r0", "r1.0", "r1.1", "r2"]]
    assert (first.ids, first.predictions, first.scores) == (("r0",), ["c"], [[1.0, 2.0, 3.0]])
    assert (second.ids, second.predictions) == (("r1.0", "r1.1"), ["a", "b"])
    assert second.scores == [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]
    assert third.arm == gateway.engine.route.stable


def test_requests_of_two_turns_go_in_two_calls(gateway, one_ask) -> None:
    async def ask() -> None:
        await gateway.engine.answer(one_ask("r0"))
        await gateway.engine.answer(one_ask("r1"))

    asyncio.run(ask())
    assert gateway.model.calls == [1, 1]
    assert logged(gateway) == [["r0"], ["r1"]]


@LAW
@given(st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=12), st.data())
def test_a_batch_answers_as_each_request_alone_would(shared_gateway, one_ask, cells, data) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(cells) - 1)))) if len(cells) > 1 else []
    parts = [cells[i:j] for i, j in zip([0, *cuts], [*cuts, len(cells)], strict=True)]
    answers = asyncio.run(together(shared_gateway, *(one_ask("r", *part) for part in parts)))
    assert [answer.scores for answer in answers] == parts
    expected = [["abc"[row.index(max(row))] for row in part] for part in parts]
    assert [answer.predictions for answer in answers] == expected


@pytest.mark.usefixtures("in_thread")
def test_newcomers_wait_for_a_slow_batch_and_go_together_after_it(gateway, one_ask) -> None:
    async def ask() -> list[Answered]:
        await gateway.engine.answer(one_ask("r0"))
        gateway.model.opened.clear()
        gateway.model.entered.clear()
        slow = asyncio.create_task(gateway.engine.answer(one_ask("r1")))
        assert await asyncio.to_thread(gateway.model.entered.wait, 5)
        later = []
        for number in range(2, 5):
            later.append(asyncio.create_task(gateway.engine.answer(one_ask(f"r{number}"))))
            await turns()
        assert not any(task.done() for task in (slow, *later))
        gateway.model.opened.set()
        return await asyncio.gather(slow, *later)

    answers = asyncio.run(ask())
    assert [answer.ids for answer in answers] == [("r1",), ("r2",), ("r3",), ("r4",)]
    assert gateway.model.calls == [1, 1, 3]
    assert logged(gateway) == [["r0"], ["r1"], ["r2", "r3", "r4"]]
    assert [name.startswith("predict") for name in gateway.model.threads] == [False, True, True]


@pytest.mark.usefixtures("in_thread")
def test_a_slow_arm_does_not_hold_up_the_other(gateway, one_ask) -> None:
    gateway.start_canary(0.5)
    route = gateway.engine.live()

    async def ask() -> None:
        await gateway.engine.answer(one_ask("r0"), arm=route.stable)
        gateway.model.opened.clear()
        slow = asyncio.create_task(gateway.engine.answer(one_ask("r1"), arm=route.stable))
        await turns()
        await gateway.engine.answer(one_ask("r2"), arm=route.canary)
        assert not slow.done()
        gateway.model.opened.set()
        await slow

    asyncio.run(ask())
    assert logged(gateway) == [["r0"], ["r2"], ["r1"]]


def test_a_bad_request_of_a_batch_fails_alone(gateway, one_ask) -> None:
    good, bad, other = asyncio.run(
        together(gateway, one_ask("r0"), one_ask("r1", (1.0, 2.0, 3.0), POISONED), one_ask("r2"))
    )
    assert isinstance(bad, ModelFailedError)
    assert str(bad) == "model: cannot take 666"
    assert (good.predictions, other.predictions) == (["c"], ["c"])
    assert gateway.model.calls == [4, 1, 2, 1]
    seen = [(row.request, row.status, row.output, row.scores) for row in gateway.rows]
    assert seen == [
        ("r0", 200, "c", (1.0, 2.0, 3.0)),
        ("r1.0", 500, None, ()),
        ("r1.1", 500, None, ()),
        ("r2", 200, "c", (1.0, 2.0, 3.0)),
    ]
    assert [row.inputs for row in gateway.rows][2] == POISONED


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad rows"), "model: bad rows"),
        (TidegateError("x", "y"), "model: x: y"),
        (KeyError(), "model: KeyError"),
        (StopIteration(), "model: StopIteration"),
        (MemoryError(), "model: MemoryError"),
        (RecursionError("deep"), "model: deep"),
        (asyncio.CancelledError(), "model: CancelledError"),
        (SystemExit(3), "model: 3"),
        (GeneratorExit(), "model: GeneratorExit"),
        (PanicError("called `Option::unwrap()`"), "model: called `Option::unwrap()`"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_a_model_raises_the_request_is_answered(
    gateway, fake_model, one_ask, monkeypatch, error, message, threaded
) -> None:
    monkeypatch.setattr(runner, "SLOW_S", -1.0 if threaded else 1e9)
    arm = msgspec.structs.replace(gateway.engine.live().stable, model=fake_model("d" * 64, error=error))
    found = asyncio.run(together(gateway, one_ask("r", POISONED), one_ask("s"), arm=arm))
    assert isinstance(found[0], ModelFailedError)
    assert str(found[0]) == message
    assert found[1].predictions == ["c"]
    assert [(row.request, row.status) for row in gateway.rows] == [("r", 500), ("s", 200)]


@pytest.mark.parametrize(
    ("answers", "scores"),
    [(["a"], np.zeros((2, 3))), (["a"] * 3, np.zeros((2, 3))), (["a"] * 2, np.zeros((1, 3))), ([], [])],
)
def test_a_model_that_gives_other_than_one_answer_each_fails(gateway, one_ask, answers, scores) -> None:
    gateway.model.predict = lambda rows: (answers, scores)
    found = asyncio.run(together(gateway, one_ask("r", (1, 2, 3), (4, 5, 6))))[0]
    n = f"gave {len(answers)} answers and {len(scores)} rows of scores for 2 rows"
    assert str(found) == f"model: {n}, expected one each"
    assert {row.status for row in gateway.rows} == {500}


def test_a_model_without_scores_answers_without_them(gateway, one_ask) -> None:
    gateway.model.predict = lambda rows: ([7] * len(rows), rows[:, :0])
    found = asyncio.run(together(gateway, one_ask("r", (1, 2, 3), (4, 5, 6))))[0]
    assert (found.predictions, found.scores) == ([7, 7], [[], []])
    assert [row.scores for row in gateway.rows] == [(), ()]


def test_an_interrupt_by_hand_ends_the_gateway(fake_model) -> None:
    with pytest.raises(KeyboardInterrupt):
        predict_together(fake_model("d", error=KeyboardInterrupt()), [np.array([POISONED])])


def test_rows_are_logged_before_the_reply(one_ask, gateway) -> None:
    replies: list[asyncio.Task[Answered]] = []
    seen: list[list[bool]] = []
    engine = Engine(lambda entries: seen.append([task.done() for task in replies]))
    engine.route = gateway.engine.route

    async def ask() -> None:
        replies.extend(asyncio.create_task(engine.answer(one_ask(f"r{i}"))) for i in range(3))
        await asyncio.gather(*replies)

    asyncio.run(ask())
    engine.close()
    assert seen == [[False] * 3]


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("fault", [OverflowError("too large"), OSError("gone")], ids=["value", "disk"])
def test_an_answer_that_the_log_refuses_is_not_given(gateway, one_ask, monkeypatch, fault, threaded) -> None:
    monkeypatch.setattr(runner, "SLOW_S", -1.0 if threaded else 1e9)
    gateway.fault = fault
    assert asyncio.run(together(gateway, one_ask("r0"), one_ask("r1"))) == [fault, fault]
    gateway.fault = None
    assert asyncio.run(together(gateway, one_ask("r2")))[0].predictions == ["c"]


def test_too_many_waiting_rows_are_refused_and_taken_again_later(gateway, one_ask, monkeypatch) -> None:
    monkeypatch.setattr(engines, "MAX_WAITING_ROWS", 3)
    rows = [(1.0, 2.0, 3.0)] * 2
    found = asyncio.run(together(gateway, one_ask("r0", *rows), one_ask("r1", *rows), one_ask("r2")))
    assert [isinstance(answer, Answered) for answer in found] == [True, False, True]
    assert isinstance(found[1], UnavailableError)
    assert str(found[1]) == "2 rows are waiting, try again in a second"
    assert logged(gateway) == [["r0.0", "r0.1", "r2"]]
    assert isinstance(asyncio.run(together(gateway, one_ask("r3", *rows)))[0], Answered)


@pytest.mark.parametrize("first", [(1.0, 2.0, 3.0), POISONED])
def test_rows_that_were_answered_wait_no_more(gateway, one_ask, monkeypatch, first) -> None:
    monkeypatch.setattr(engines, "MAX_WAITING_ROWS", 1)
    for number in range(3):
        found = asyncio.run(together(gateway, one_ask(f"r{number}", first)))[0]
        assert not isinstance(found, UnavailableError)


def test_a_request_larger_than_the_limit_is_taken_when_nothing_waits(gateway, one_ask, monkeypatch) -> None:
    monkeypatch.setattr(engines, "MAX_WAITING_ROWS", 1)
    found = asyncio.run(together(gateway, one_ask("r", *[(1.0, 2.0, 3.0)] * 5)))[0]
    assert len(found.predictions) == 5


@pytest.mark.usefixtures("in_thread")
@pytest.mark.parametrize("cells", [(1.0, 2.0, 3.0), POISONED])
def test_a_waiter_that_is_gone_hurts_nobody(gateway, one_ask, cells) -> None:
    async def ask() -> Answered:
        await gateway.engine.answer(one_ask("r0"))
        gateway.model.opened.clear()
        gone = asyncio.create_task(gateway.engine.answer(one_ask("r1", cells)))
        stays = asyncio.create_task(gateway.engine.answer(one_ask("r2")))
        await turns()
        gone.cancel()
        await turns()
        gateway.model.opened.set()
        found = await stays
        assert gone.cancelled()
        return found

    assert asyncio.run(ask()).ids == ("r2",)
    assert [row.request for row in gateway.rows] == ["r0", "r1", "r2"]


class Process:
    """A model's process that is asked without a thread: `told` answers what was asked last."""

    def __init__(self, model) -> None:
        self.asked: list[np.ndarray] = []
        self.model = model
        model.is_remote = True
        model.ask = self.ask

    def ask(self, rows, loop, done, *, awake=False) -> bool:
        self.asked.append(rows)
        self._loop, self._done = loop, done
        return True

    def told(self, error: Exception | None = None) -> None:
        found = error or self.model.predict(self.asked[-1])
        self._loop.call_soon(self._done, found)


@pytest.fixture
def process(gateway) -> Process:
    return Process(gateway.model)


def test_a_process_is_asked_once_for_what_waits(gateway, one_ask, process) -> None:
    async def ask() -> list[Answered]:
        first = asyncio.create_task(gateway.engine.answer(one_ask("r0")))
        await turns()
        later = [asyncio.create_task(gateway.engine.answer(one_ask(f"r{i}"))) for i in (1, 2)]
        await turns()
        assert list(map(len, process.asked)) == [1]
        process.told()
        await first
        await turns()
        process.told()
        return await asyncio.gather(first, *later)

    assert [found.predictions for found in asyncio.run(ask())] == [["c"]] * 3
    assert list(map(len, process.asked)) == [1, 2]
    assert logged(gateway) == [["r0"], ["r1", "r2"]]
    assert gateway.model.threads == ["MainThread"] * 2


def test_requests_that_a_process_fails_on_are_asked_alone(gateway, one_ask, process) -> None:
    async def ask() -> list[Answered | BaseException]:
        asks = (one_ask("r0"), one_ask("r1", POISONED), one_ask("r2"))
        waiting = asyncio.gather(*map(gateway.engine.answer, asks), return_exceptions=True)
        await turns()
        process.told(ValueError("cannot take 666"))
        return await asyncio.wait_for(waiting, 5)

    first, bad, last = asyncio.run(ask())
    assert str(bad) == "model: cannot take 666"
    assert (first.predictions, last.predictions) == (["c"], ["c"])
    assert [(row.request, row.status) for row in gateway.rows] == [("r0", 200), ("r1", 500), ("r2", 200)]


def test_a_process_that_is_away_is_asked_for_nobody_again(gateway, one_ask, process) -> None:
    async def ask() -> list[Answered | BaseException]:
        waiting = asyncio.gather(
            *map(gateway.engine.answer, (one_ask("r0"), one_ask("r1"))), return_exceptions=True
        )
        await turns()
        process.told(UnavailableError("model", "down"))
        return await waiting

    assert [str(one) for one in asyncio.run(ask())] == ["model: down"] * 2
    assert gateway.model.calls == []
    assert {row.status for row in gateway.rows} == {503}


def test_nobody_waits_for_a_process_longer_than_its_deadline(gateway, one_ask, process) -> None:
    async def ask() -> None:
        with pytest.raises(LateError):
            await gateway.engine.answer(msgspec.structs.replace(one_ask("r0"), deadline=0.0))
        process.told()
        await turns()

    asyncio.run(ask())
    assert [(row.request, row.status) for row in gateway.rows] == [("r0", 504)]


def test_each_arm_is_one_call_and_its_rows_carry_its_role_and_digest(gateway, one_ask) -> None:
    gateway.start_canary(0.5)
    route = gateway.engine.live()
    asks = [one_ask(f"r{number}", unit=f"u{number}") for number in range(40)]
    asyncio.run(together(gateway, *asks))
    roles = {ask.id: choose(route, ask.unit).role for ask in asks}
    assert {row.request: row.role for row in gateway.rows} == roles
    assert set(roles.values()) == {"stable", "canary"}
    bundles = {"stable": gateway.model.digest, "canary": gateway.canary.digest}
    assert all(row.bundle == bundles[row.role] for row in gateway.rows)
    assert [gateway.model.calls, gateway.canary.calls] == [
        [list(roles.values()).count(role)] for role in ("stable", "canary")
    ]


def test_a_pinned_arm_answers_whatever_the_unit_would_draw(gateway, one_ask) -> None:
    gateway.start_canary(1.0)
    stable = gateway.engine.live().stable
    found = asyncio.run(together(gateway, one_ask("r"), arm=stable))[0]
    assert (found.arm, gateway.canary.calls) == (stable, [])
    assert [(row.unit, row.role, row.bundle) for row in gateway.rows] == [("", "stable", stable.model.digest)]


def test_a_request_keeps_the_arm_it_began_with(gateway, one_ask) -> None:
    async def ask() -> Answered:
        waiting = asyncio.create_task(gateway.engine.answer(one_ask("r")))
        await asyncio.sleep(0)
        gateway.engine.route = None
        return await waiting

    assert asyncio.run(ask()).arm.version == 3
    assert gateway.rows[0].bundle == gateway.model.digest


def test_a_row_of_the_log_says_everything(gateway, one_ask) -> None:
    asked = msgspec.structs.replace(one_ask("r", (1.0, 2.0, 3.0), unit="u"), flags=(("a range",),))
    asyncio.run(together(gateway, asked))
    row = gateway.rows[0]
    assert row.latency_ms > 0
    seen = msgspec.structs.asdict(row) | {"latency_ms": 0.0}
    assert seen == {
        "request": "r",
        "at": 1000.0,
        "unit": "u",
        "endpoint": "digits",
        "bundle": gateway.model.digest,
        "role": "stable",
        "inputs": (1.0, 2.0, 3.0),
        "output": "c",
        "scores": (1.0, 2.0, 3.0),
        "latency_ms": 0.0,
        "status": 200,
        "flags": ("a range",),
    }


@pytest.mark.usefixtures("in_thread")
def test_closing_lets_the_running_batch_finish(gateway, one_ask) -> None:
    async def ask() -> Answered:
        await gateway.engine.answer(one_ask("r0"))
        running = asyncio.create_task(gateway.engine.answer(one_ask("r1")))
        await turns()
        gateway.engine.close()
        return await running

    assert asyncio.run(ask()).predictions == ["c"]


@pytest.fixture
def quick(monkeypatch) -> None:
    """No model is taken for slow, however busy this machine is."""
    monkeypatch.setattr(runner, "SLOW_S", 1e9)


async def one_a_turn(gateway, one_ask, n: int = LONE_TURNS) -> None:
    """Requests that come one at a time."""
    for number in range(n):
        await gateway.engine.answer(one_ask(f"lone{number}"))
        await turns()


def submitted(gateway, ask, delivered: list[str]) -> None:
    """Ask, and note what is delivered under the request's name."""
    arm = gateway.engine.live().stable
    gateway.engine.submit(ask, arm, lambda found: delivered.append(f"{ask.id} {type(found).__name__}"))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("before", "is_at_once"),
    [(0, False), (LONE_TURNS - 1, False), (LONE_TURNS, True), (LONE_TURNS + 9, True)],
)
def test_after_enough_lone_requests_the_next_is_answered_at_once(
    gateway, one_ask, before, is_at_once
) -> None:
    delivered: list[str] = []

    async def ask() -> None:
        await one_a_turn(gateway, one_ask, before)
        submitted(gateway, one_ask("next"), delivered)
        assert delivered == ["next Answered"] * is_at_once
        assert ("next" in [row.request for row in gateway.rows]) == is_at_once
        await turns()

    asyncio.run(ask())
    assert delivered == ["next Answered"]
    assert logged(gateway) == [*([f"lone{number}"] for number in range(before)), ["next"]]


@pytest.mark.usefixtures("quick")
def test_after_lone_requests_those_of_one_turn_go_in_one_call_but_the_first(gateway, one_ask) -> None:
    delivered: list[str] = []

    async def ask() -> None:
        await one_a_turn(gateway, one_ask)
        for names in (("a", "b", "c"), ("d", "e"), ("f",), ("g", "h", "i")):
            for name in names:
                submitted(gateway, one_ask(name), delivered)
            await turns()

    asyncio.run(ask())
    assert gateway.model.calls[LONE_TURNS:] == [1, 2, 2, 1, 3]
    assert logged(gateway)[LONE_TURNS:] == [["a"], ["b", "c"], ["d", "e"], ["f"], ["g", "h", "i"]]
    assert delivered == [f"{name} Answered" for name in "abcdefghi"]


@pytest.mark.usefixtures("quick")
def test_what_is_answered_at_once_is_logged_before_and_waits_no_more(gateway, one_ask) -> None:
    seen: list[tuple[str, int]] = []

    async def ask() -> None:
        await one_a_turn(gateway, one_ask)
        arm = gateway.engine.live().stable
        gateway.engine.submit(
            one_ask("next"),
            arm,
            lambda found: seen.append((gateway.rows[-1].request, gateway.engine.waiting_rows)),
        )
        assert seen == [("next", 0)]
        await turns()

    asyncio.run(ask())
    assert len(seen) == 1


@pytest.mark.usefixtures("quick")
def test_a_failure_at_once_is_delivered_and_the_next_is_answered(gateway, one_ask) -> None:
    delivered: list[str] = []

    async def ask() -> None:
        await one_a_turn(gateway, one_ask)
        submitted(gateway, one_ask("bad", POISONED), delivered)
        submitted(gateway, one_ask("good"), delivered)
        await turns()

    asyncio.run(ask())
    assert delivered == ["bad ModelFailedError", "good Answered"]
    assert [(row.request, row.status) for row in gateway.rows][-2:] == [("bad", 500), ("good", 200)]


@pytest.mark.usefixtures("quick")
def test_who_asks_again_when_answered_at_once_is_answered_in_turn(gateway, one_ask) -> None:
    delivered: list[str] = []
    names = iter("bcdefgh")

    def again(found: object) -> None:
        delivered.append(type(found).__name__)
        if name := next(names, ""):
            gateway.engine.submit(one_ask(name), gateway.engine.live().stable, again)

    async def ask() -> None:
        await one_a_turn(gateway, one_ask)
        gateway.engine.submit(one_ask("a"), gateway.engine.live().stable, again)
        assert len(delivered) == 1
        await turns(20)

    asyncio.run(ask())
    assert delivered == ["Answered"] * 8
    assert [row.request for row in gateway.rows][LONE_TURNS:] == list("abcdefgh")
    assert gateway.engine.waiting_rows == 0
