"""Opening bundles and models: every byte is verified, every answer is named or refused."""

import os
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Check, Items
from tidegate.errors import CorruptError, NotFoundError, TidegateError, UsageError
from tidegate.registry.load import (
    bundle_digests,
    find_bundle,
    load_model,
    matrix_columns,
    open_bundle,
    open_session,
    read_manifest,
)
from tidegate.registry.pack import MANIFEST, pack
from tidegate.registry.sign import SIGNATURE

PARTS = ("model.onnx", "contract.odcs.yaml", "labels.json")
NAMES = ("cat", "dog", "eel")
ROWS = np.random.default_rng(5).normal(scale=3, size=(64, 2))
FLIPS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def digest(bundles: Path, keys: Path, parts) -> str:
    """A packed bundle's digest."""
    return pack(bundles, keys, parts(), name="small")


def opened(bundles: Path, digest: str, require: bool = True):
    return open_bundle(bundles, digest, keys=bundles.parent / "keys", require=require)


def refused(bundles: Path, digest: str, require: bool = True) -> str:
    """What is said about a bundle that may not be opened."""
    with pytest.raises(CorruptError) as caught:
        opened(bundles, digest, require)
    assert caught.value.where == f"bundle {digest[:12]}"
    return caught.value.message


def write(path: Path, data: bytes) -> None:
    """Replace a file that nobody may write."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def test_an_opened_bundle_holds_what_was_packed_and_says_who_signed(bundles, digest, parts) -> None:
    bundle = opened(bundles, digest)
    assert (bundle.digest, bundle.path, bundle.parts) == (digest, bundles / digest, parts())
    assert bundle.read("model.onnx") == b"weights"
    assert len(bundle.key) == 64
    assert bundle.manifest == read_manifest(bundles, digest)
    assert [column.name for column in bundle.contract.columns] == ["x0", "x1"]


def test_a_part_that_a_bundle_does_not_hold_is_not_found(bundles, digest) -> None:
    with pytest.raises(NotFoundError, match=f"^bundle {digest[:12]}: no part `policy.toml`$"):
        opened(bundles, digest).read("policy.toml")


@pytest.mark.parametrize("name", ["", "0" * 64, "manifest.json"])
def test_an_unknown_digest_is_not_found(bundles, digest, name) -> None:
    with pytest.raises(NotFoundError, match="no such bundle here"):
        opened(bundles, name)


@pytest.mark.parametrize("name", [*PARTS, MANIFEST, SIGNATURE])
@FLIPS
@given(data=st.data())
def test_any_flipped_byte_is_refused_by_the_name_of_its_file(bundles, digest, name, data) -> None:
    path = bundles / digest / name
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    flip = data.draw(st.integers(1, 255))
    write(path, before[:at] + bytes([before[at] ^ flip]) + before[at + 1 :])
    said = refused(bundles, digest)
    write(path, before)
    assert opened(bundles, digest)
    assert name in said or (name == SIGNATURE and "is not trusted here" in said)
    assert said.endswith("refusing to load")


@pytest.mark.parametrize("name", [*PARTS, MANIFEST])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\n", lambda data: b""])
def test_a_shorter_longer_or_empty_file_is_refused(bundles, digest, name, change) -> None:
    path = bundles / digest / name
    write(path, change(path.read_bytes()))
    assert f"`{name}` differs from" in refused(bundles, digest)


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_file_is_named(bundles, digest, name) -> None:
    (bundles / digest / name).unlink()
    assert refused(bundles, digest) == f"`{name}` is missing, refusing to load"


def test_a_missing_manifest_is_refused(bundles, digest) -> None:
    (bundles / digest / MANIFEST).unlink()
    assert refused(bundles, digest) == "`manifest.json` differs from the bundle's name, refusing to load"


@pytest.mark.parametrize("name", ["more.txt", ".hidden", "model.onnx.bak"])
def test_a_file_that_the_manifest_does_not_name_is_refused(bundles, digest, name) -> None:
    (bundles / digest / name).write_bytes(b"")
    assert refused(bundles, digest) == f"`{name}` is not in its manifest, refusing to load"


@pytest.mark.parametrize("name", [*PARTS, MANIFEST, SIGNATURE])
def test_a_link_is_refused_even_to_the_same_bytes(bundles, digest, name, tmp_path) -> None:
    path = bundles / digest / name
    path.rename(tmp_path / name)
    path.symlink_to(tmp_path / name)
    assert refused(bundles, digest) == f"`{name}` is no file, refusing to load"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_unread(bundles, digest, make) -> None:
    make(bundles / digest / "more")
    assert refused(bundles, digest) == "`more` is no file, refusing to load"


def test_a_bundle_under_another_bundles_name_is_refused(bundles, digest) -> None:
    shutil.copytree(bundles / digest, bundles / ("0" * 64))
    assert "differs from the bundle's name" in refused(bundles, "0" * 64)


def test_a_missing_signature_is_allowed_only_where_none_is_required(bundles, digest) -> None:
    (bundles / digest / SIGNATURE).unlink()
    assert refused(bundles, digest) == "no signature, one is required"
    assert opened(bundles, digest, require=False).key == ""


@pytest.mark.parametrize("require", [True, False])
def test_a_signature_that_is_there_must_be_a_trusted_one(bundles, keys, digest, require) -> None:
    for public in (keys / "trusted").iterdir():
        public.unlink()
    assert "which is not trusted here" in refused(bundles, digest, require)
    write(bundles / digest / SIGNATURE, b"{}")
    assert "is no signature" in refused(bundles, digest, require)


def test_a_bundle_is_found_by_the_start_of_its_digest(bundles, keys, parts) -> None:
    made = sorted(pack(bundles, keys, parts(str(n).encode()), name="small") for n in range(20))
    assert bundle_digests(bundles) == made
    assert [find_bundle(bundles, digest[:12]) for digest in made] == made
    assert find_bundle(bundles, made[0]) == made[0]


@pytest.mark.parametrize(("prefix", "found"), [("", 3), ("ab", 2), ("abd", None), ("b", None), ("abcdef", 0)])
def test_a_prefix_must_begin_exactly_one_digest(bundles, prefix, found) -> None:
    for name in ("abc1", "abd2", "b3", ".packing-ab"):
        (bundles / name).mkdir(parents=True)
    (bundles / "abcd").write_text("no bundle")
    if found is None:
        assert find_bundle(bundles, prefix).startswith(prefix)
        return
    with pytest.raises(NotFoundError) as caught:
        find_bundle(bundles, prefix)
    assert str(caught.value) == f"bundle: `{prefix}` begins {found} digests here, it must begin one"


def test_where_nothing_was_packed_there_are_no_bundles(bundles) -> None:
    assert bundle_digests(bundles) == []


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
    assert (loaded.datatype, loaded.input_name, loaded.columns) == (datatype, "input", ("x0", "x1"))
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
    with pytest.raises(UsageError, match=r"^model: failed on these rows: .*Expected: 2.*$"):
        load_model(packed(model())).predict(np.ones((4, width)))


def test_answers_that_are_not_one_a_row_are_an_error(packed, model) -> None:
    loaded = load_model(packed(model(keepdims=1)))
    with pytest.raises(UsageError) as caught:
        loaded.predict(ROWS)
    assert str(caught.value) == "model: `label` has shape [64, 1] for 64 rows, expected one answer each"


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
        ((), "nothing"),
        ((("FLOAT", [None, 2]), ("INT64", [None, 2])), "tensor(float), tensor(int64)"),
        ((("FLOAT", [None]),), "tensor(float)"),
        ((("FLOAT", [None, 2, 1]),), "tensor(float)"),
        ((("STRING", [None, 2]),), "tensor(string)"),
        ((("FLOAT16", [None, 2]),), "tensor(float16)"),
    ],
)
def test_a_model_that_does_not_take_one_table_of_numbers_is_refused(
    packed, onnx_bytes, inputs, found
) -> None:
    with pytest.raises(UsageError) as caught:
        load_model(packed(graph(onnx_bytes, *inputs)))
    assert caught.value.message == f"model.onnx takes {found}, expected one 2-dimensional tensor of numbers"


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
    with pytest.raises(UsageError, match=r"^model: takes whole numbers, found others in these rows$"):
        loaded.predict(rows)


def test_rows_of_the_models_own_type_are_not_changed(packed, model) -> None:
    rows = ROWS.astype("float32")
    before = rows.copy()
    load_model(packed(model())).predict(rows)
    assert np.array_equal(rows, before)


def test_the_columns_of_the_matrix_number_the_items_of_arrays() -> None:
    items = Items("number", (2, 2))
    pixels = Column("p", "array", checks=(Check("items", items),))
    found = matrix_columns(Contract("x", (Column("a", "integer"), pixels, Column("b", "boolean"))))
    assert found == ("a", "p[0][0]", "p[0][1]", "p[1][0]", "p[1][1]", "b")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("plan", "string"), "feature `plan` is text, the model takes numbers"),
        (Column("at", "date"), "feature `at` is a date, the model takes numbers"),
        (Column("p", "array"), "feature `p` is an array, the model takes numbers"),
        (
            Column("p", "array", checks=(Check("items", Items("number", (-1,))),)),
            "feature `p` is an array of any length, the model takes numbers",
        ),
        (
            Column("p", "array", checks=(Check("items", Items("string", (2,))),)),
            "feature `p` is an array of strings, the model takes numbers",
        ),
    ],
)
def test_a_feature_that_is_no_number_is_refused_by_name(column, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        matrix_columns(Contract("x", (Column("a", "number"), column)), "c.yaml")
    assert str(caught.value) == f"c.yaml: {message}"
    assert caught.value.hint == "encode it in the pipeline, or set `tidegate.role: other`"
