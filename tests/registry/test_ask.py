"""A model's process asked from an event loop: what `predict` says, without a wait, and never lost."""

import asyncio
import gc
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import uvloop

from tidegate.data.contract import Column, Contract
from tidegate.errors import TidegateError, UnavailableError, UsageError
from tidegate.project import Runtime, Seconds
from tidegate.registry.model import load_model
from tidegate.registry.runtime.model import RemoteModel
from tidegate.registry.runtime.process import DiedError
from tidegate.registry.runtime.remote import Remote

PATIENCE_S = 60
ONE = np.array([[1.0, 2.0]])
HASTY = Runtime(timeout=Seconds(0.5))
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def loop(request) -> Iterator[asyncio.AbstractEventLoop]:
    made = LOOPS[request.param]()
    yield made
    made.close()


def until(loop: asyncio.AbstractEventLoop, is_so: Callable[[], object]) -> None:
    """Run the loop until something is so."""

    async def poll() -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                await asyncio.sleep(0.005)

    loop.run_until_complete(poll())


def told(loop: asyncio.AbstractEventLoop, model: Remote | RemoteModel, rows: np.ndarray = ONE) -> object:
    """What is told of one question; an error as what `raise` would show of it."""
    said: list[object] = []
    loop.call_soon(lambda: said.append("refused") if not model.ask(rows, loop, said.append) else None)
    until(loop, lambda: said)
    loop.run_until_complete(asyncio.sleep(0))
    (found,) = said
    return shown(found)


def shown(found: object) -> object:
    if isinstance(found, Exception):
        return type(found), str(found)
    answers, scores = found
    return answers, scores.tolist()


def predicted(model: Remote | RemoteModel, rows: np.ndarray = ONE) -> object:
    try:
        return shown(model.predict(rows))
    except TidegateError as error:
        return shown(error)


def back(model: Remote) -> object:
    """What the model says once it is up again."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = predicted(model, ONE * 2)
        if found[0] is not UnavailableError:
            return found
        time.sleep(0.005)
    pytest.fail("the model did not come back")


def waiting(gate: Path) -> str:
    """The body of a `predict` that says that it runs, and then waits for a file if its first row says 1."""
    waits = f"while not Path({str(gate)!r}).exists(): time.sleep(0.005)"
    return f"if a[0] == 1:\n            Path({str(gate) + '.runs'!r}).touch()\n            {waits}\n        return a"


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "body",
    [
        "return a * 2, np.stack([a, rows['b']], axis=1)",
        "return a.astype(int)",
        "return ['x'] * len(a)",
        "return a[:0]",
        "return np.ones((1, 2))",
        "raise ValueError('two\\nlines')",
        "return a + np.nan",
        "return a, np.ones((1, 30_000))",
    ],
)
def test_an_ask_is_told_what_predict_says(start, loop, body) -> None:
    model = start(body)
    expected = predicted(model)
    for _ in range(3):
        assert repr(told(loop, model)) == repr(expected)
    assert repr(predicted(model)) == repr(expected)
    assert repr(told(loop, model)) == repr(expected)


def test_many_rows_another_ones_turn_and_what_is_no_number_are_left_to_predict(start, loop, tmp_path) -> None:
    gate = tmp_path / "gate"
    model, said = start(waiting(gate)), []
    assert not model.ask(np.zeros((100_000, 2)), loop, said.append)
    assert not model.ask(np.array([["x", 1.0]], dtype=object), loop, said.append)
    assert model.ask(ONE, loop, said.append)
    assert not model.ask(ONE, loop, pytest.fail)
    gate.touch()
    until(loop, lambda: said)
    assert shown(*said) == ([1.0], [[]])


def test_a_thread_waits_for_its_turn_while_an_ask_is_out(start, loop, tmp_path) -> None:
    gate = tmp_path / "gate"
    model, said, other = start(waiting(gate)), [], []
    assert model.ask(ONE, loop, said.append)
    until(loop, (tmp_path / "gate.runs").exists)
    thread = threading.Thread(target=lambda: other.append(predicted(model, ONE * 3)))
    thread.start()
    gate.touch()
    until(loop, lambda: said and other)
    thread.join()
    assert (shown(*said), *other) == (([1.0], [[]]), ([3.0], [[]]))
    assert told(loop, model, ONE * 4) == ([4.0], [[]])


def test_threads_and_asks_take_turns_and_everybody_gets_their_own(start, loop) -> None:
    model, wrong = start("return a"), []

    def call(first: int) -> None:
        for n in range(first, first + 200):
            found = predicted(model, ONE * n)
            wrong.extend([found] if found != ([float(n)], [[]]) else [])

    threads = [threading.Thread(target=call, args=(first,)) for first in (1000, 2000)]
    for thread in threads:
        thread.start()
    asked = 0
    while any(thread.is_alive() for thread in threads) or not asked:
        said: list[object] = []
        if model.ask(ONE * 7, loop, said.append):
            until(loop, lambda said=said: said)
            wrong.extend(said if shown(*said) != ([7.0], [[]]) else [])
            asked += 1
    assert wrong == []


@pytest.mark.parametrize(
    ("death", "found"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL"),
        ("os._exit(3)", "its process ended with code 3"),
        ("time.sleep(600)", "no answer within 0.5 s, ended"),
    ],
)
def test_a_death_is_told_and_the_process_started_again(start, loop, death, found) -> None:
    model = start(f"if a[0] == 1: {death}\n        return a", settings=HASTY)
    for _ in range(2):
        assert told(loop, model, ONE * 2) == ([2.0], [[]])
        pid = model.pid
        assert told(loop, model) == (DiedError, f"model: {found}")
        assert not Path(f"/proc/{pid}").exists()
        assert back(model) == ([2.0], [[]])


def test_what_it_wrote_last_is_told_of_a_death(start, loop) -> None:
    model = start("print('about to fail', file=sys.stderr); os._exit(1)")
    assert told(loop, model) == (DiedError, "model: its process ended with code 1: about to fail")


@pytest.mark.parametrize(
    "said",
    ["b'\\0' * 8 + b'x' * 100", "b'\\xff' * 8", "b'\\0' * 7 + b'\\3\\x81\\xa1x'", "b'short'"],
    ids=["empty", "huge", "strange", "torn"],
)
def test_nonsense_ends_the_process_and_it_is_started_again(start, loop, said) -> None:
    find = "[int(one.name) for one in Path('/proc/self/fd').iterdir() if 'socket' in os.path.realpath(one)]"
    model = start(f"if a[0] == 1: os.write({find}[0], {said}); os._exit(0)\n        return a")
    assert told(loop, model)[0] is DiedError
    assert back(model) == ([2.0], [[]])
    assert told(loop, model, ONE * 2) == ([2.0], [[]])


def test_a_process_that_died_unasked_is_left_to_predict(start, loop) -> None:
    model = start("return a")
    assert told(loop, model) == ([1.0], [[]])
    os.kill(model.pid, signal.SIGKILL)
    os.waitid(os.P_PID, model.pid, os.WEXITED | os.WNOWAIT)
    assert not model.ask(ONE, loop, pytest.fail)
    assert predicted(model) == (DiedError, "model: its process was ended by SIGKILL")
    assert not model.ask(ONE, loop, pytest.fail)
    assert back(model) == ([2.0], [[]])


@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["on the loop", "in a thread"])
def test_a_close_during_an_ask_is_told(start, loop, tmp_path, is_elsewhere) -> None:
    model, said = start(waiting(tmp_path / "never")), []
    assert model.ask(ONE, loop, said.append)
    until(loop, (tmp_path / "never.runs").exists)
    if is_elsewhere:
        loop.run_until_complete(loop.run_in_executor(None, model.close))
    else:
        loop.call_soon(model.close)
    until(loop, lambda: said)
    assert shown(*said) == (UnavailableError, "model: is served no longer")
    assert not Path(f"/proc/{model.pid}").exists()
    assert not model.ask(ONE, loop, pytest.fail)
    loop.run_until_complete(loop.shutdown_default_executor())
    assert len(said) == 1


def test_a_loop_that_closes_during_an_ask_keeps_nobody_waiting(start, tmp_path) -> None:
    for make in LOOPS.values():
        one = make()
        model = start(waiting(tmp_path / "never"))
        assert model.ask(ONE, one, pytest.fail)
        one.close()
        model.close()
        assert not Path(f"/proc/{model.pid}").exists()


def test_an_ask_may_come_from_one_loop_after_another(start) -> None:
    model = start("return a")
    loops = [make() for make in LOOPS.values()]
    for one in [*loops, *loops]:
        assert told(one, model) == ([1.0], [[]])
    for one in loops:
        one.close()
    for make in LOOPS.values():
        last = make()
        assert told(last, model) == ([1.0], [[]])
        last.close()


def test_a_done_that_raises_harms_no_later_question(start, loop) -> None:
    model, heard = start("return a"), []
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))

    def fail(_: object) -> None:
        raise RuntimeError("mine")

    assert model.ask(ONE, loop, fail)
    until(loop, lambda: heard)
    assert [str(error) for error in heard] == ["mine"]
    assert told(loop, model) == ([1.0], [[]])
    assert predicted(model) == ([1.0], [[]])


def test_a_question_that_goes_out_in_parts_is_answered(start, loop) -> None:
    model = start("return a")
    model._process._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    rows = np.stack([np.arange(4000.0), np.zeros(4000)], axis=1)
    assert told(loop, model, rows) == (rows[:, 0].tolist(), [[]] * 4000)
    assert told(loop, model) == ([1.0], [[]])


def test_deaths_and_loops_leave_no_descriptor(start) -> None:
    model = start("if a[0] == 1: os._exit(0)\n        return a")
    counts = []
    for make in [*LOOPS.values()] * 2:
        one = make()
        assert told(one, model)[0] is DiedError
        assert back(model) == ([2.0], [[]])
        assert told(one, model, ONE * 2) == ([2.0], [[]])
        one.close()
        counts.append(descriptors())
    assert counts[-1] <= counts[1]


def test_answers_have_the_names_of_their_labels(packed_with, loop) -> None:
    body = "from tidegate import Predictor\nclass Own(Predictor):\n"
    text = f"{body}    def predict(self, rows):\n        return rows['a'].astype(int)\n"
    record = {"format": "predictor", "name": "Own", "source": "own.py", "versions": {}}
    files = {"predictor.py": text.encode(), "runtime.json": json.dumps(record).encode()}
    contract = Contract("small", (Column("a", "number"), Column("b", "number")))
    model = load_model(packed_with(contract, files, ["cat", "dog"]))
    assert told(loop, model) == (["dog"], [[]])
    assert told(loop, model, ONE * 7) == predicted(model, ONE * 7)
    assert told(loop, model, ONE * 7)[0] is UsageError
    model.close()


def test_a_process_that_stays_awake_says_the_same_and_sleeps_in_the_end(start, loop) -> None:
    model = start("return a * 2")
    expected, said = predicted(model), []
    for _ in range(20):
        assert model.ask(ONE, loop, said.append, awake=True)
        until(loop, lambda: said)
        assert shown(said.pop()) == expected
    state = Path(f"/proc/{model.pid}/stat")
    until(loop, lambda: state.read_text().rpartition(")")[2].split()[0] == "S")
    assert repr(told(loop, model)) == repr(expected)


def test_a_process_that_stayed_awake_for_nothing_ends_with_its_socket(start, loop) -> None:
    model, said = start("return a * 2"), []
    assert model.ask(ONE, loop, said.append, awake=True)
    until(loop, lambda: said)
    model.close()
    with pytest.raises(UnavailableError):
        model.predict(ONE)
