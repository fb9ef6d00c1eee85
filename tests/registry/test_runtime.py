"""A model in a process of its own: what it may see and use, what is believed of what it says, how it comes back."""

import os
import signal
import socket
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidegate.errors import TidegateError, UnavailableError, UsageError
from tidegate.project import Bytes, Runtime, Seconds
from tidegate.registry.runtime import process, remote
from tidegate.registry.runtime.child import describe
from tidegate.registry.runtime.process import DiedError, Process
from tidegate.registry.runtime.remote import Remote, wait_s
from tidegate.registry.runtime.wire import (
    Array,
    Ask,
    Reply,
    Request,
    pack,
    pack_rows,
    receive,
    unpack,
    unpack_rows,
)

PATIENCE_S = 60
QUICK = Runtime(timeout=Seconds(20))


def again(model: Remote, rows: np.ndarray) -> list[object]:
    """What the model answers once it is back."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            return list(model.predict(rows)[0])
        except UnavailableError:
            time.sleep(0.01)
    pytest.fail("the model did not come back")


def is_gone(pid: int) -> bool:
    """Whether no process has this id, polled until it is so."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.01)
    return False


ONE = np.array([[1.0, 2.0]])


def test_answers_and_scores_come_back_as_arrays(start) -> None:
    model = start("return a * 2, np.stack([a, rows['b']], axis=1)")
    answers, scores = model.predict(np.array([[1.0, 5.0], [np.nan, 6.0]]))
    assert answers[0] == 2.0
    assert np.isnan(answers[1])
    assert np.array_equal(scores, [[1, 5], [np.nan, 6]], equal_nan=True)


def test_a_whole_table_is_asked_in_parts(start) -> None:
    model = start("return a + len(a), a[:, None]")
    rows = np.stack([np.arange(4500.0), np.zeros(4500)], axis=1)
    answers, scores = model.predict(rows)
    sizes = [2000] * 4000 + [500] * 500
    assert answers == [n + size for n, size in zip(range(4500), sizes, strict=True)]
    assert np.array_equal(scores[:, 0], rows[:, 0])


@pytest.mark.parametrize(
    ("answers", "found"),
    [("a.astype(int)", 1), ("a > 0", 1), ("a.astype('float32')", 1.0), ("['x'] * len(a)", "x")],
)
def test_answers_are_whole_numbers_numbers_or_text(start, answers, found) -> None:
    (answer,) = start(f"return {answers}").predict(ONE)[0]
    assert (answer, type(answer)) == (found, type(found))


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ("a[:0]", r"answers of shape \[0\] and scores of shape \[1, 0\] for 1 rows, expected one each"),
        ("['x', 'y']", r"answers of shape \[2\] and scores of shape \[1, 0\] for 1 rows, expected one each"),
        ("(a, a)", r"answers of shape \[1\] and scores of shape \[1\] for 1 rows, expected one each"),
        ("np.ones((1, 2))", r"answers of shape \[1, 2\] and scores"),
    ],
)
def test_other_than_one_answer_a_row_is_an_error_and_the_next_call_is_served(start, answers, found) -> None:
    model = start(f"return {answers} if a[0] == 1 else a")
    with pytest.raises(UsageError, match=found):
        model.predict(ONE)
    assert model.predict(ONE * 2)[0] == [2.0]


def test_what_the_model_raises_is_told_in_one_line_and_the_next_call_is_served(start) -> None:
    model = start("if a[0] == 1: raise ValueError('two\\nlines')\n        return a")
    with pytest.raises(UsageError, match=r"^model: ValueError: two lines$"):
        model.predict(ONE)
    pid = model.pid
    assert model.predict(ONE * 2)[0] == [2.0]
    assert model.pid == pid


@pytest.mark.parametrize(
    ("load", "found"),
    [
        ("raise RuntimeError('no weights')", "^model: cannot be loaded, RuntimeError: no weights$"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "^model: its process was ended by SIGSEGV"),
        ("os._exit(3)", "^model: its process ended with code 3"),
        ("import nothing_like_it", "^model: cannot be loaded, ModuleNotFoundError: No module named"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(start, load, found) -> None:
    with pytest.raises(TidegateError, match=found):
        start("return a", load)


def test_a_start_that_takes_too_long_is_ended(start) -> None:
    with pytest.raises(DiedError, match=r"^model: no answer within 0.5 s, ended"):
        start("return a", "time.sleep(600)", Runtime(start_timeout=Seconds(0.5)))


def test_nothing_of_this_process_is_inherited_but_where_programs_are(start, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    model = start("return [repr((sorted(os.environ), os.getcwd(), sys.stdin.read()))]")
    (told,) = model.predict(ONE)[0]
    names, folder, given = eval(told)
    assert "SECRET_TOKEN" not in names
    assert set(names) <= {*process.KEPT, *process.SET, "HOME", "TMPDIR", "LC_CTYPE"}
    assert Path(folder).name.startswith("tidegate-model-")
    assert given == ""


def test_no_open_file_is_inherited(start, tmp_path) -> None:
    with (tmp_path / "ledger").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        folder = "/proc/self/fd"
        model = start(f"return [repr([os.path.realpath(one) for one in Path('{folder}').iterdir()])]")
        (told,) = model.predict(ONE)[0]
    assert "socket" in told
    assert str(tmp_path) not in told


def test_the_process_has_limits(start) -> None:
    names = ("RLIMIT_CORE", "RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE")
    settings = Runtime(memory=Bytes(1_500_000_000))
    model = start(
        f"return [repr([resource.getrlimit(getattr(resource, n)) for n in {names}])]", settings=settings
    )
    core, memory, files, written = eval(model.predict(ONE)[0][0])
    assert core == (0, 0)
    assert memory == (1_500_000_000, 1_500_000_000)
    assert files[1] <= 256
    assert written[1] <= 16_000_000
    status = Path(f"/proc/{model.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status


def test_what_is_printed_harms_nobody(start) -> None:
    model = start("print('x' * 2_000_000); return a")
    for _ in range(20):
        assert model.predict(ONE)[0] == [1.0]


def test_what_is_printed_last_is_told_of_a_death(start) -> None:
    model = start("print('about to fail', file=sys.stderr, flush=True); os._exit(1)")
    with pytest.raises(DiedError, match=r"^model: its process ended with code 1: about to fail$"):
        model.predict(ONE)


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "time.sleep(600)"])
def test_after_a_death_in_a_call_it_is_started_again(start, death) -> None:
    model = start(f"if a[0] == 1: {death}\n        return a", settings=Runtime(timeout=Seconds(0.5)))
    pid = model.pid
    with pytest.raises(DiedError, match=r"^model: (its process|no answer within 0.5 s)"):
        model.predict(ONE)
    assert is_gone(pid)
    assert again(model, ONE * 2) == [2.0]
    assert model.pid != pid


def test_while_it_is_started_again_calls_fail_at_once(start, tmp_path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    waits = f"while not Path({str(gate)!r}).exists(): time.sleep(0.01)"
    model = start("if a[0] == 1: os._exit(1)\n        return a", waits)
    gate.unlink()
    with pytest.raises(DiedError):
        model.predict(ONE)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="being started again"):
            model.predict(ONE * 2)
    gate.touch()
    assert again(model, ONE * 2) == [2.0]


def test_a_start_that_fails_is_tried_again(start, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(remote, "wait_s", lambda _: 0.01)
    broken = tmp_path / "broken"
    model = start("if a[0] == 1: os._exit(1)\n        return a", f"assert not Path({str(broken)!r}).exists()")
    broken.touch()
    with pytest.raises(DiedError):
        model.predict(ONE)
    with pytest.raises(UnavailableError):
        model.predict(ONE * 2)
    broken.unlink()
    assert again(model, ONE * 2) == [2.0]


def test_it_is_tried_twice_at_once_and_then_after_ever_longer_waits() -> None:
    assert [wait_s(deaths) for deaths in range(1, 12)] == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_conversion_that_ends_the_process_leaves_the_model_as_it_was(start, monkeypatch) -> None:
    model, real = start("return a"), Process.ask

    def ask(self: Process, request: Request, *, timeout: float) -> Reply:
        if request.convert:
            os.kill(self.pid, signal.SIGKILL)
        return real(self, request, timeout=timeout)

    monkeypatch.setattr(Process, "ask", ask)
    for precision in ("float32", "float64"):
        with pytest.raises(DiedError, match=r"^model: its process was ended by SIGKILL$"):
            model.convert(precision)
    assert model.predict(ONE)[0] == [1.0]


def test_a_predictor_has_no_form_in_onnx(start) -> None:
    with pytest.raises(UsageError, match="a predictor is Python, it has no form in float64"):
        start("return a").convert("float64")


def test_a_closed_model_leaves_no_process_and_no_folder(start) -> None:
    model = start("os.system('sleep 600 &'); return [os.getcwd()]")
    folder = Path(model.predict(ONE)[0][0])
    assert folder.is_dir()
    model.close()
    model.close()
    assert is_gone(model.pid)
    assert not folder.exists()
    with pytest.raises(UnavailableError):
        model.predict(ONE)


def test_a_model_that_is_forgotten_leaves_no_process(source) -> None:
    model = Remote(source("return a"), QUICK)
    pid = model.pid
    del model
    assert is_gone(pid)


@pytest.mark.parametrize(
    "said",
    ["b'\\0' * 8 + b'x' * 100", "b'\\xff' * 8", "b'\\0' * 7 + b'\\3\\x81\\xa1x'", "b'short'"],
    ids=["empty", "huge", "strange", "torn"],
)
def test_bytes_that_are_no_reply_end_the_process_and_it_is_started_again(start, said) -> None:
    find = "[int(one.name) for one in Path('/proc/self/fd').iterdir() if 'socket' in os.path.realpath(one)]"
    spoil = f"os.write({find}[0], {said}); os._exit(0)"
    model = start(f"if a[0] == 1: {spoil}\n        return a")
    with pytest.raises(DiedError):
        model.predict(ONE)
    assert again(model, ONE * 2) == [2.0]


def test_files_outside_of_the_folder_are_refused() -> None:
    with pytest.raises(
        TidegateError, match=r"^model: file `../x` lies outside of the bundle, refusing to load$"
    ):
        Process({"../x": b""})


def test_a_process_that_was_asked_nothing_says_so() -> None:
    one = Process({})
    reply = one.ask(Request(), timeout=PATIENCE_S)
    assert reply.failed
    assert "no model was loaded" in reply.failed.reason
    one.stop()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError("x" * 900), "out of memory"),
        (ValueError("a\n  b"), "ValueError: a b"),
        (KeyError(), "KeyError"),
        (UsageError("here", "wrong"), "here: wrong"),
        (
            ModuleNotFoundError("No module named 'skl2onnx'", name="skl2onnx"),
            "`skl2onnx` is not installed here: pip install 'tidegate[convert]'",
        ),
        (
            ModuleNotFoundError("No module named 'own'", name="own"),
            "ModuleNotFoundError: No module named 'own'",
        ),
    ],
)
def test_an_error_is_told_in_one_line(error, told) -> None:
    assert describe(error) == told


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.close()
        with pytest.raises((EOFError, ValueError, msgspec.MsgspecError)):
            receive(ours, Reply)


@given(st.binary(max_size=200))
def test_any_bytes_of_an_announced_message_are_a_message_or_an_error(data) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(len(data).to_bytes(8, "big") + data)
        try:
            assert isinstance(receive(ours, Reply), Reply)
        except (ValueError, msgspec.MsgspecError):
            return


cells = st.one_of(st.none(), st.text(max_size=5))
numbers = arrays.arrays("float64", st.tuples(st.integers(0, 5), st.integers(1, 4)))


@given(numbers)
def test_numbers_survive_the_wire_bit_by_bit(rows) -> None:
    back = unpack_rows(pack_rows(rows, frozenset()))
    assert back.tobytes() == rows.tobytes()


@given(st.lists(st.tuples(cells, st.floats(allow_nan=False)), min_size=1, max_size=5))
def test_text_and_null_survive_the_wire_beside_numbers(pairs) -> None:
    rows = np.array(pairs, dtype=object).reshape(len(pairs), 2)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(pack_rows(rows, frozenset({0}))), type=Ask)
    assert unpack_rows(sent).tolist() == [list(pair) for pair in pairs]


@pytest.mark.parametrize(
    "array", [Array("<f8", (2,), b"\0" * 8), Array("<f8", (-1,), b""), Array("<f4", (1, 3), b"\0" * 8)]
)
def test_an_array_of_another_length_than_its_shape_is_an_error(array) -> None:
    with pytest.raises(ValueError, match="array of shape"):
        unpack(array)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", "float32", "float64", "float16"])
def test_numbers_of_any_type_have_a_form_on_the_wire(dtype) -> None:
    found = np.array([[0, 1], [1, 0]], dtype=dtype)
    assert np.array_equal(unpack(pack(found)), found)
