"""A single row in memory that stays: the same numbers as any other way, and nobody's row but one's own."""

import threading

import numpy as np
import pytest

from tidegate.registry.lone import Lone, make_lone
from tidegate.registry.model import load_model
from tidegate.registry.onnx import open_session

OUTPUTS = ["label", "probabilities"]
ROWS = np.random.default_rng(3).normal(scale=3, size=(500, 2))
TYPES = [("FLOAT", "float32"), ("DOUBLE", "float64")]


def lone_of(model: bytes, outputs: list[str], dtype: str = "float32", width: int = 2) -> Lone | None:
    return make_lone(open_session(model, where="here"), "input", outputs, np.zeros((1, width), dtype))


@pytest.mark.parametrize(("onnx_type", "dtype"), TYPES)
def test_a_lone_row_gives_exactly_what_the_session_gives(model, onnx_type, dtype) -> None:
    session = open_session(model(onnx_type), where="here")
    lone = lone_of(model(onnx_type), OUTPUTS, dtype)
    for row in ROWS.astype(dtype):
        expected = session.run(OUTPUTS, {"input": row[None]})
        found = lone.run(row[None])
        assert [(one.shape, one.dtype) for one in found] == [(one.shape, one.dtype) for one in expected]
        assert [one.tobytes() for one in found] == [one.tobytes() for one in expected]


@pytest.mark.parametrize(("onnx_type", "dtype"), TYPES)
def test_a_row_of_other_numbers_is_cast_as_a_batch_is(packed, model, onnx_type, dtype) -> None:
    loaded = load_model(packed(model(onnx_type)))
    session = open_session(model(onnx_type), where="here")
    for row in ROWS[:100]:
        label, probabilities = session.run(OUTPUTS, {"input": row[None].astype(dtype)})
        answers, scores = loaded.predict(row[None])
        assert (answers, scores.tobytes()) == (label.tolist(), probabilities.tobytes())


def test_missing_values_stay_missing(model) -> None:
    _, scores = lone_of(model(), OUTPUTS).run(np.array([[np.nan, 1.0]]))
    assert np.isnan(scores).all()


def test_what_was_given_is_not_changed_by_the_next_row(model) -> None:
    lone = lone_of(model(), OUTPUTS)
    first = lone.run(ROWS[:1])
    before = [one.copy() for one in first]
    second = lone.run(-ROWS[:1])
    assert not any(np.shares_memory(one, other) for one in first for other in second)
    assert all(map(np.array_equal, first, before))
    assert not np.array_equal(first[1], second[1])


def one_node(onnx_bytes, kind: str) -> bytes:
    """A model of a single operator."""
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, None])
    return onnx_bytes(
        helper.make_graph([helper.make_node(kind, ["input"], ["value"])], "one", [given], [value])
    )


def test_a_model_that_answers_text_is_not_taken(model) -> None:
    assert lone_of(model(answers="STRING"), OUTPUTS) is None


def test_a_model_that_fails_on_a_single_row_is_not_taken(model) -> None:
    assert lone_of(model(width="columns"), OUTPUTS, width=3) is None


def test_a_model_that_draws_at_random_is_not_taken(onnx_bytes) -> None:
    assert lone_of(one_node(onnx_bytes, "Identity"), ["value"]) is not None
    assert lone_of(one_node(onnx_bytes, "RandomNormalLike"), ["value"]) is None


def low_columns(onnx_bytes) -> bytes:
    """A model whose scores are the columns below 5: how many there are depends on the row."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ArgMax", ["input"], ["label"], axis=1, keepdims=0),
        helper.make_node("Less", ["input", "five"], ["low"]),
        helper.make_node("Reshape", ["low", "flat"], ["kept"]),
        helper.make_node("Compress", ["input", "kept"], ["scores"], axis=1),
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, None]),
    ]
    constants = [
        helper.make_tensor("five", TensorProto.FLOAT, [1], [5.0]),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
    ]
    return onnx_bytes(helper.make_graph(nodes, "low", [given], outputs, constants))


def test_outputs_that_do_not_fit_the_memory_are_given_the_other_way(packed, onnx_bytes) -> None:
    loaded = load_model(packed(low_columns(onnx_bytes)))
    assert loaded.predict(np.array([[1.0, 2.0]]))[1].tolist() == [[1.0, 2.0]]
    assert loaded.predict(np.array([[9.0, 2.0]]))[1].tolist() == [[2.0]]
    assert loaded.predict(np.array([[3.0, 4.0]]))[1].tolist() == [[3.0, 4.0]]


def test_a_row_is_answered_while_another_thread_holds_the_memory(packed, model) -> None:
    loaded = load_model(packed(model()))
    answers, scores = loaded.predict(ROWS[:1])
    with loaded._lone._lock:
        assert loaded._lone.run(ROWS[:1]) is None
        held_answers, held_scores = loaded.predict(ROWS[:1])
    assert (held_answers, held_scores.tobytes()) == (answers, scores.tobytes())
    assert loaded._lone.run(ROWS[:1]) is not None


def test_every_answer_of_two_threads_belongs_to_its_row(packed, model) -> None:
    loaded = load_model(packed(model()))
    session = open_session(model(), where="here")
    mine = {sign: (sign * ROWS).astype("float32") for sign in (1, -1)}
    expected = {
        sign: [session.run(OUTPUTS, {"input": row[None]})[1].tobytes() for row in rows]
        for sign, rows in mine.items()
    }
    found: dict[int, list[bytes]] = {}
    together = threading.Barrier(2)

    def ask(sign: int) -> None:
        together.wait()
        found[sign] = [loaded.predict(row[None])[1].tobytes() for row in mine[sign]]

    threads = [threading.Thread(target=ask, args=(sign,)) for sign in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
