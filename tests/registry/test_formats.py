"""The forms of models: told by the suffix, recorded in the bundle, tried on an example before anybody asks."""

import json
import pickle
import stat

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.errors import CorruptError, UsageError
from tidegate.project import Runtime
from tidegate.registry.formats import (
    FORMATS,
    SUFFIXES,
    RuntimeRecord,
    artifact_part,
    artifacts_of,
    format_of,
    read_record,
    render_record,
)
from tidegate.registry.load import open_bundle
from tidegate.registry.model import load_model
from tidegate.registry.parity import (
    as_rows,
    count_different,
    example_rows,
    largest_difference,
    make_example,
    require_same,
)
from tidegate.registry.sign import SIGNATURE

NUMBERS = Contract("small", (Column("x0", "number"), Column("x1", "number")))
ROWS = np.random.default_rng(5).normal(scale=3, size=(64, 2))


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("m/model.onnx", "onnx"),
        ("model.skops", "skops"),
        ("model.json", "xgboost"),
        ("model.UBJ", "xgboost"),
        ("a.b/model.txt", "lightgbm"),
        ("model.pkl", "pickle"),
        ("model.joblib", "joblib"),
    ],
)
def test_the_suffix_says_the_form(path, form) -> None:
    assert format_of(path) == form
    assert format_of(path, "src/own.py:Own") == "predictor"


@pytest.mark.parametrize("path", ["model", "model.pt", "model.onxx", "folder/"])
def test_an_unknown_suffix_is_an_error(path) -> None:
    with pytest.raises(
        UsageError, match=r"^model.path: unknown kind of model `.+`, (did you mean|expected one of)"
    ):
        format_of(path)


def test_every_suffix_leads_to_a_form() -> None:
    assert set(SUFFIXES.values()) | {"predictor"} == set(FORMATS)


def test_a_bundle_without_a_record_holds_onnx(packed, model) -> None:
    bundle = packed(model())
    assert read_record(bundle) == RuntimeRecord("onnx", "model.onnx", "", {})
    assert load_model(bundle).predict(ROWS)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"format": "onnx", "name": "x", "source": "", "versions": {}, "more": 1}']
)
def test_a_record_that_is_none_is_corrupt(packed_with, data) -> None:
    with pytest.raises(CorruptError, match=r"^bundle \w{12}: runtime.json is none"):
        load_model(packed_with(NUMBERS, {"runtime.json": data}))


def test_a_record_of_an_unknown_form_is_corrupt(packed_with) -> None:
    record = render_record(RuntimeRecord("shell", "x", "", {}))
    with pytest.raises(CorruptError, match=r"^bundle \w{12}: runtime.json names the unknown format `shell`$"):
        load_model(packed_with(NUMBERS, {"runtime.json": record}))


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8), st.binary(max_size=3)
    )
)
def test_artifacts_keep_their_paths_in_a_bundle_without_folders(files) -> None:
    parts = {artifact_part(path): data for path, data in files.items()}
    assert artifacts_of({**parts, "predictor.py": b""}) == files
    assert all("/" not in name for name in parts)


def with_example(model: bytes, *, answers=None, scores=None) -> dict[str, bytes]:
    """The files of a model with an example; what it said may be told wrongly."""
    cells = example_rows(ROWS)
    said, scored = np.zeros(8, dtype=int), np.zeros((8, 3))
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    said, scored = session.run(None, {"input": as_rows(cells, has_text=False).astype("float32")})
    told = (said.tolist() if answers is None else answers, scored if scores is None else scores)
    example = make_example(cells, told, tolerance=1e-5)
    record = RuntimeRecord("onnx", "model.onnx", "model.onnx", {"onnxruntime": "1.0"}, example=example)
    return {"model.onnx": model, "runtime.json": render_record(record)}


@pytest.mark.parametrize("labels", [(), ("cat", "dog", "eel")])
def test_a_model_that_answers_its_example_as_before_is_loaded(packed_with, model, labels) -> None:
    bundle = packed_with(NUMBERS, with_example(model()), labels)
    assert len(load_model(bundle).predict(ROWS)[0]) == 64
    assert load_model(bundle, named=False)


@pytest.mark.parametrize("labels", [(), ("cat", "dog", "eel")])
def test_a_model_that_answers_its_example_otherwise_is_refused(packed_with, model, labels) -> None:
    right = with_example(model())
    wrong = msgspec.json.decode(right["runtime.json"])
    wrong["example"]["answers"][2] = (wrong["example"]["answers"][2] + 1) % 3
    bundle = packed_with(NUMBERS, {**right, "runtime.json": json.dumps(wrong).encode()}, labels)
    with pytest.raises(UsageError) as caught:
        load_model(bundle)
    assert "1 of 8 answers to its own example differ, row 3 was" in caught.value.message
    assert caught.value.message.endswith("refusing to serve it")
    assert caught.value.hint == "made with onnxruntime 1.0"


def test_a_model_whose_scores_are_others_is_refused(packed_with, model) -> None:
    bundle = packed_with(NUMBERS, with_example(model(), scores=np.full((8, 3), 0.4)))
    with pytest.raises(UsageError, match=r"a score of its own example is 0\.\d+ off, refusing to serve it$"):
        load_model(bundle)


def test_an_example_holds_few_rows_of_many_columns() -> None:
    assert len(example_rows(np.ones((100, 2)))) == 8
    assert len(example_rows(np.ones((100, 5000)))) == 4
    assert len(example_rows(np.ones((100, 100_000)))) == 1
    assert len(example_rows(np.ones((3, 2)))) == 3


def test_what_is_no_number_survives_an_example_as_null() -> None:
    cells = example_rows(np.array([[np.nan, np.inf]]))
    assert cells == ((None, None),)
    assert np.isnan(as_rows(cells, has_text=False)).all()
    said = ([float("nan")], np.array([[np.inf, 0.5]]))
    example = make_example(cells, said, tolerance=0.0)
    require_same(msgspec.json.decode(msgspec.json.encode(example), type=type(example)), said, ())


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ([1, 2], [1, 2], 0),
        ([1, 2], ["1", 3], 1),
        (["a"], ["b"], 1),
        ([1.0], [1.0 + 1e-6], 0),
        ([1.0], [1.0 + 1e-4], 1),
        ([1e9], [1e9 + 10], 0),
        ([float("nan")], [float("nan")], 0),
        ([float("nan")], [1.0], 1),
        ([None], [None], 0),
        ([None], [1], 1),
    ],
)
def test_classes_must_be_the_same_and_numbers_close(one, other, differ) -> None:
    assert count_different(one, other, tolerance=1e-5) == differ


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ([[0.1, 0.2]], [[0.1, 0.5]], 0.3),
        ([[np.nan]], [[np.nan]], 0),
        ([[np.nan]], [[0.5]], np.inf),
        ([[0.5]], [[0.5, 0.5]], np.inf),
        (np.empty((4, 0)), np.empty((4, 0)), 0),
    ],
)
def test_scores_are_compared_one_by_one(one, other, apart) -> None:
    assert largest_difference(np.array(one), np.array(other)) == pytest.approx(apart)


class Bomb:
    """Leaves a mark where its pickle is read."""

    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.fixture
def bomb(packed_with, tmp_path):
    """A bundle of a pickle that leaves `mark` when it is read."""
    record = render_record(RuntimeRecord("pickle", "model.pkl", "model.pkl", {}))
    policy = b'[project]\nname = "x"\n[runtime]\nallow_pickle = true\n'
    data = pickle.dumps(Bomb(tmp_path / "mark"))
    return packed_with(NUMBERS, {"model.pkl": data, "runtime.json": record, "policy.toml": policy})


def test_a_pickle_is_refused_unread_whatever_the_bundles_own_policy_says(bomb, tmp_path) -> None:
    with pytest.raises(
        UsageError, match=r"^bundle \w{12}: its model is a pickle, which runs code when it is loaded$"
    ):
        load_model(bomb)
    assert not (tmp_path / "mark").exists()


def test_a_pickle_without_a_trusted_signature_is_refused_unread(bomb, bundles, keys, tmp_path) -> None:
    folder = bundles / bomb.digest
    folder.chmod(folder.stat().st_mode | stat.S_IWUSR)
    (folder / SIGNATURE).unlink()
    unsigned = open_bundle(bundles, bomb.digest, keys=keys, require=False)
    with pytest.raises(UsageError, match="which is code, and no trusted key signed it"):
        load_model(unsigned, settings=Runtime(allow_pickle=True))
    assert not (tmp_path / "mark").exists()


def test_a_pickle_is_read_where_the_deployment_allows_it_and_a_trusted_key_signed(bomb, tmp_path) -> None:
    with pytest.raises(
        UsageError, match=r"its model cannot be loaded, a TextIOWrapper has no method `predict`"
    ):
        load_model(bomb, settings=Runtime(allow_pickle=True))
    assert (tmp_path / "mark").exists()


def test_a_predictor_without_a_trusted_signature_is_refused(packed_with, bundles, keys) -> None:
    record = render_record(RuntimeRecord("predictor", "Own", "own.py", {}))
    bundle = packed_with(NUMBERS, {"predictor.py": b"raise SystemExit", "runtime.json": record})
    (bundles / bundle.digest / SIGNATURE).unlink()
    with pytest.raises(
        UsageError, match="its model is a predictor, which is code, and no trusted key signed it"
    ):
        load_model(open_bundle(bundles, bundle.digest, keys=keys, require=False))
