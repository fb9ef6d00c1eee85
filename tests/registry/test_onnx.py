"""Models in ONNX: every answer is named or refused, every input is what the contract says."""

import numpy as np
import onnxruntime
import pytest

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Check, Items
from tidegate.domain import TensorSpec
from tidegate.errors import TidegateError, UsageError
from tidegate.registry.model import load_model
from tidegate.registry.onnx import open_session

NAMES = ("cat", "dog", "eel")
ROWS = np.random.default_rng(5).normal(scale=3, size=(64, 2))


@pytest.mark.parametrize(
    ("onnx_type", "datatype"), [("FLOAT", "FP32"), ("DOUBLE", "FP64"), ("INT64", "INT64")]
)
def test_answers_and_scores_are_those_of_the_runtime(packed, model, onnx_type, datatype) -> None:
    loaded = load_model(packed(model(onnx_type)))
    rows = ROWS.round() if datatype == "INT64" else ROWS
    dtype = {"FP32": "float32", "FP64": "float64", "INT64": "int64"}[datatype]
    session = onnxruntime.InferenceSession(model(onnx_type), providers=["CPUExecutionProvider"])
    label, probabilities = session.run(None, {"input": rows.astype(dtype)})
    answers, scores = loaded.predict(rows)
    assert loaded.inputs == (TensorSpec("input", datatype, (-1, 2)),)
    assert loaded.outputs == (
        TensorSpec("predictions", "INT64", (-1,)),
        TensorSpec("scores", "FP32", (-1, 3)),
    )
    assert (loaded.platform, loaded.is_remote, loaded.columns) == ("onnx_onnxv1", False, ("x0", "x1"))
    assert answers == label.tolist()
    assert set(answers) == {0, 1, 2}
    assert np.array_equal(scores, probabilities)


def test_labels_give_the_classes_their_names(packed, model) -> None:
    bundle = packed(model(), labels=NAMES)
    indices, _ = load_model(bundle, named=False).predict(ROWS)
    answers, _ = load_model(bundle).predict(ROWS)
    assert answers == [NAMES[index] for index in indices]


@pytest.mark.parametrize("answers", ["INT32", "FLOAT", "STRING"])
def test_classes_of_any_type_are_named(packed, model, answers) -> None:
    found, _ = load_model(packed(model(answers=answers), labels=NAMES)).predict(ROWS)
    assert set(found) == set(NAMES)


def test_a_model_without_scores_gives_none(packed, model) -> None:
    answers, scores = load_model(packed(model(scores=False))).predict(ROWS)
    assert (len(answers), scores.shape) == (64, (64, 0))


@pytest.mark.parametrize(("shift", "unnamed"), [(1, "3"), (-1, "-1"), (9, "(9|10|11)")])
def test_a_class_without_a_name_is_an_error_that_says_which(packed, model, shift, unnamed) -> None:
    loaded = load_model(packed(model(shift=shift), labels=NAMES))
    with pytest.raises(UsageError, match=rf"^model: answered {unnamed}, `model.labels` names 3 classes$"):
        loaded.predict(ROWS)


@pytest.mark.parametrize("columns", [1, 3])
def test_a_model_of_another_width_than_the_contract_is_refused(packed, model, columns) -> None:
    bundle = packed(model(), columns=columns)
    with pytest.raises(UsageError) as caught:
        load_model(bundle)
    assert caught.value.message == f"model.onnx takes 2 columns, contract.odcs.yaml names {columns}"
    assert caught.value.where == f"bundle {bundle.digest[:12]}"


def test_a_model_of_any_width_is_asked_and_its_failure_is_an_error_in_one_line(packed, model) -> None:
    loaded = load_model(packed(model(width="columns"), columns=3))
    with pytest.raises(UsageError, match=r"^model: failed on these rows: .*MatMul.*$"):
        loaded.predict(np.ones((2, 3)))


@pytest.mark.parametrize("width", [1, 3])
def test_rows_of_another_width_are_an_error(packed, model, width) -> None:
    with pytest.raises(UsageError, match=rf"^model: takes rows of 2 columns, found \[4, {width}\]$"):
        load_model(packed(model())).predict(np.ones((4, width)))


def test_answers_in_a_column_are_one_a_row(packed, model) -> None:
    flat, _ = load_model(packed(model())).predict(ROWS)
    assert load_model(packed(model(keepdims=1))).predict(ROWS)[0] == flat


def test_answers_that_are_not_one_a_row_are_an_error(packed, onnx_bytes) -> None:
    loaded = load_model(packed(graph(onnx_bytes, ("FLOAT", [None, 2]))))
    with pytest.raises(UsageError) as caught:
        loaded.predict(ROWS)
    assert str(caught.value) == "model: `label` has shape [1] for 64 rows, expected one answer each"


@pytest.mark.parametrize("data", [b"", b"no model", b"\0" * 64])
def test_bytes_that_are_no_model_are_an_error_in_one_line(packed, data) -> None:
    bundle = packed(data)
    with pytest.raises(UsageError, match=r"^bundle \w{12}: model.onnx cannot be loaded, .+$"):
        load_model(bundle)


def test_a_truncated_model_is_an_error(model) -> None:
    for share in (0.3, 0.6, 0.9):
        data = model()
        with pytest.raises(TidegateError, match=r"^here: model.onnx cannot be loaded"):
            open_session(data[: int(len(data) * share)], where="here")


def graph(onnx_bytes, *inputs: tuple[str, list[int | None]]) -> bytes:
    """A model that answers the same whatever these inputs are."""
    from onnx import TensorProto, helper

    answer = helper.make_tensor("answer", TensorProto.INT64, [1], [1])
    given = [
        helper.make_tensor_value_info(f"in{n}", getattr(TensorProto, kind), shape)
        for n, (kind, shape) in enumerate(inputs)
    ]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [1])
    nodes = [helper.make_node("Constant", [], ["label"], value=answer)]
    return onnx_bytes(helper.make_graph(nodes, "fixed", given, [label]))


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ((), "takes nothing, expected tensors of numbers or text"),
        ((("BFLOAT16", [None, 2]),), "takes tensor(bfloat16), expected tensors of numbers or text"),
        (
            (("FLOAT", [None, 1]), ("INT64", [None, 1])),
            "takes `in0`, contract.odcs.yaml names no such feature",
        ),
        (
            (("FLOAT", [None]),),
            "takes tensor(float) of 1 dimensions, expected a 2-dimensional tensor of numbers",
        ),
        ((("FLOAT", [None, 2, 2]),), "takes 2x2 columns, contract.odcs.yaml names 2"),
        (
            (("STRING", [None, 2]),),
            "takes tensor(string) of 2 dimensions, expected a 2-dimensional tensor of numbers",
        ),
    ],
)
def test_a_model_that_takes_other_than_the_contract_is_refused(packed, onnx_bytes, inputs, found) -> None:
    with pytest.raises(UsageError) as caught:
        load_model(packed(graph(onnx_bytes, *inputs)))
    assert caught.value.message == f"model.onnx {found}"


def regression(onnx_bytes) -> bytes:
    """A model that answers the sum of its two columns."""
    from onnx import TensorProto, helper

    ones = helper.make_tensor("ones", TensorProto.FLOAT, [2, 1], [1.0, 1.0])
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])
    value = helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])
    nodes = [helper.make_node("MatMul", ["input", "ones"], ["variable"])]
    return onnx_bytes(helper.make_graph(nodes, "sum", [given], [value], [ones]))


def test_a_regression_answers_with_numbers_and_no_scores(packed, onnx_bytes) -> None:
    loaded = load_model(packed(regression(onnx_bytes)))
    answers, scores = loaded.predict(ROWS)
    assert np.allclose(answers, ROWS.sum(axis=1), atol=1e-5)
    assert scores.shape == (64, 0)
    assert loaded.outputs == (TensorSpec("predictions", "FP64", (-1,)),)


def network(onnx_bytes) -> bytes:
    """What `torch.onnx.export` makes of a network over images: one input [n, C, H, W], logits out."""
    from onnx import TensorProto, helper

    weights = np.random.default_rng(1).normal(size=(3, 2, 2, 2)).astype("float32")
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["on"]),
        helper.make_node("GlobalAveragePool", ["on"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"], axis=1),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 4, 4])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    constant = helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.flatten().tolist())
    return onnx_bytes(helper.make_graph(nodes, "network", [given], [logits], [constant]))


def test_a_network_takes_an_array_in_its_shape_and_answers_the_class_of_the_largest_logit(
    packed_with, onnx_bytes
) -> None:
    image = Column("image", "array", checks=(Check("items", Items("number", (2, 4, 4))),))
    model = network(onnx_bytes)
    loaded = load_model(packed_with(Contract("x", (image,)), {"model.onnx": model}))
    rows = np.random.default_rng(2).normal(size=(5, 32))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": rows.reshape(5, 2, 4, 4).astype("float32")})
    answers, scores = loaded.predict(rows)
    assert loaded.inputs == (TensorSpec("image", "FP32", (-1, 2, 4, 4)),)
    assert loaded.outputs == (
        TensorSpec("predictions", "INT64", (-1,)),
        TensorSpec("scores", "FP32", (-1, 3)),
    )
    assert answers == logits.argmax(axis=1).tolist()
    assert np.array_equal(scores, logits)


def texts(onnx_bytes) -> bytes:
    """A model of two inputs by name: it answers the text, and the number as its score."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Squeeze", ["city", "one"], ["label"]),
        helper.make_node("Concat", ["age", "age"], ["scores"], axis=1),
    ]
    given = [
        helper.make_tensor_value_info("age", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("city", TensorProto.STRING, [None, 1]),
    ]
    made = [
        helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    return onnx_bytes(helper.make_graph(nodes, "texts", given, made, [one]))


def test_features_of_text_and_of_numbers_reach_the_inputs_of_their_names(packed_with, onnx_bytes) -> None:
    contract = Contract("x", (Column("city", "string"), Column("age", "number")))
    loaded = load_model(packed_with(contract, {"model.onnx": texts(onnx_bytes)}))
    answers, scores = loaded.predict(np.array([["Ulm", 3.5], [None, None]], dtype=object))
    assert loaded.inputs == (TensorSpec("age", "FP32", (-1, 1), 1), TensorSpec("city", "BYTES", (-1, 1), 0))
    assert answers == ["Ulm", ""]
    assert scores[0].tolist() == [3.5, 3.5]
    assert np.isnan(scores[1]).all()


@pytest.mark.parametrize("place", ["weights.bin", "/etc/hostname"])
def test_tensors_in_other_files_are_refused(packed, onnx_bytes, tmp_path, monkeypatch, place) -> None:
    from onnx import TensorProto, helper

    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(np.ones(2, dtype="float32").tobytes())
    ones = helper.make_tensor("ones", TensorProto.FLOAT, [2, 1], [1.0, 1.0])
    ones.ClearField("float_data")
    ones.data_location = TensorProto.EXTERNAL
    entry = ones.external_data.add()
    entry.key, entry.value = "location", place
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])
    value = helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])
    nodes = [helper.make_node("MatMul", ["input", "ones"], ["variable"])]
    with pytest.raises(UsageError, match=r"^bundle \w{12}: model.onnx cannot be loaded, .+$"):
        load_model(packed(onnx_bytes(helper.make_graph(nodes, "sum", [given], [value], [ones]))))


@pytest.mark.parametrize("onnx_type", ["FLOAT", "DOUBLE"])
def test_missing_values_reach_a_model_of_real_numbers_as_nan(packed, model, onnx_type) -> None:
    rows = ROWS.copy()
    rows[7, 0] = np.nan
    answers, scores = load_model(packed(model(onnx_type))).predict(rows)
    others = np.arange(64) != 7
    assert len(answers) == 64
    assert np.isnan(scores[7]).all()
    assert not np.isnan(scores[others]).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, 1e300])
def test_a_model_of_whole_numbers_is_never_asked_with_others(packed, model, value) -> None:
    loaded = load_model(packed(model("INT64")))
    rows = ROWS.round()
    rows[3, 1] = value
    with pytest.raises(UsageError, match=r"^model: takes whole numbers \(INT64\), found others"):
        loaded.predict(rows)


def test_rows_of_the_models_own_type_are_not_changed(packed, model) -> None:
    rows = ROWS.astype("float32")
    before = rows.copy()
    load_model(packed(model())).predict(rows)
    assert np.array_equal(rows, before)
