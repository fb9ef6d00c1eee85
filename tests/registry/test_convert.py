"""From the artifact of a project to the parts of a bundle: ONNX where it says the same, told where it does not."""

import json
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from tidegate.data.contract import Column, Contract, render_contract
from tidegate.errors import NotFoundError, UsageError
from tidegate.project import Config, parse_config
from tidegate.registry.convert import Shipped, ship_model
from tidegate.registry.formats import RuntimeRecord
from tidegate.registry.load import open_bundle
from tidegate.registry.model import LoadedModel, load_model
from tidegate.registry.pack import pack

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(300, 3))
Y = (X @ [1.0, -2.0, 0.5] > 0).astype(int)
NAMES = ("a", "b", "c")
TREE = "sklearn.tree._tree.Tree"
WHOLE = Contract("small", tuple(Column(name, "number") for name in NAMES))


class Case:
    """A project's folder with a held-out table, and what becomes of an artifact in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contract = WHOLE
        self.write(NAMES, X.tolist())

    def write(self, names: Sequence[str], rows: Sequence[Sequence[object]], path: str = "test.csv") -> None:
        lines = [",".join(names), *(",".join("" if c is None else str(c) for c in row) for row in rows)]
        (self.root / path).write_text("\n".join(lines) + "\n")

    def config(self, path: str, *, runtime: str = "", **model: object) -> Config:
        keys = "\n".join(f"{name} = {json.dumps(value)}" for name, value in model.items())
        tables = '[project]\nname = "small"\n[data]\nheldout = "test.csv"\n[model]\nreference = "train.csv"\n'
        return parse_config(f'{tables}path = "{path}"\n{keys}\n[runtime]\n{runtime}\n')

    def ship(self, config: Config) -> Shipped:
        return ship_model(config, self.root, contract=render_contract(self.contract).encode())

    def load(self, shipped: Shipped, config: Config) -> LoadedModel:
        """The model of the bundle of these parts."""
        own = {"contract.odcs.yaml": render_contract(self.contract).encode(), "labels.json": b"[]"}
        bundles, keys = self.root / "bundles", self.root / "keys"
        digest = pack(bundles, keys, {**shipped.parts, **own}, name="small")
        return load_model(open_bundle(bundles, digest, keys=keys, require=True), settings=config.runtime)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def record_of(shipped: Shipped) -> RuntimeRecord:
    return msgspec.json.decode(shipped.parts["runtime.json"], type=RuntimeRecord)


@pytest.fixture
def skops_of(case) -> Callable[[object], None]:
    """Write a model where the project has it."""
    import skops.io

    return lambda model: skops.io.dump(model, case.root / "model.skops")


def test_onnx_ships_as_it_came_with_its_first_answers(case, model) -> None:
    data = model(width=2)
    (case.root / "model.onnx").write_bytes(data)
    case.contract = Contract("small", (Column("a", "number"), Column("b", "number")))
    config = case.config("model.onnx")
    shipped = case.ship(config)
    record = record_of(shipped)
    assert shipped.parts.keys() == {"model.onnx", "runtime.json"}
    assert shipped.parts["model.onnx"] == data
    assert shipped.notes == ("model.onnx, ONNX as it came",)
    assert (record.format, record.table, record.tried) == ("onnx", "test.csv", ())
    assert record.example
    assert len(record.example.rows) == len(record.example.answers) == 8
    assert record.example.rows[0] == tuple(X[0, :2])
    assert case.load(shipped, config).predict(X[:, :2])


def test_a_linear_model_becomes_onnx_and_the_plan_says_how_close_it_is(case, skops_of) -> None:
    from sklearn.linear_model import LogisticRegression

    trained = LogisticRegression().fit(X, Y)
    skops_of(trained)
    config = case.config("model.skops")
    shipped = case.ship(config)
    (note,) = shipped.notes
    assert shipped.parts.keys() == {"model.onnx", "runtime.json"}
    assert note.startswith(
        "model.skops -> ONNX (float32), 0 of 300 answers differ, largest score difference "
    )
    assert float(note.rpartition(" ")[2]) <= 1e-5
    record = record_of(shipped)
    assert [one.precision for one in record.tried] == ["float32", "float64"]
    assert (record.format, record.source) == ("onnx", "model.skops")
    assert record.versions.keys() == {"python", "scikit-learn", "onnxruntime"}
    assert case.load(shipped, config).predict(X)[0] == trained.predict(X).tolist()
    assert case.ship(config) == shipped


def test_a_model_that_float32_cannot_tell_apart_ships_in_float64(case, skops_of) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # the distance between neighbors of float32 is 8 here
    rows = X * 4 + 1e8
    skops_of(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, Y))
    case.write(NAMES, rows.tolist())
    config = case.config("model.skops")
    shipped = case.ship(config)
    first, second = record_of(shipped).tried
    assert shipped.notes[0].startswith("model.skops -> ONNX (float64), 0 of 300 answers differ")
    assert first.differ > 0
    assert second.differ == 0
    model = case.load(shipped, config)
    assert model.inputs[0].datatype == "FP64"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, None),
        ({"convert": "require"}, "model.convert: model.txt stays LightGBM, as ONNX float32: "),
        ({"max_disagreements": 0.99, "tolerance": 0.999}, None),
    ],
    ids=["auto", "require", "allowed"],
)
def test_a_model_that_disagrees_stays_as_it_came_unless_the_project_allows_for_it(
    case, settings, found
) -> None:
    import lightgbm

    rows = X * 4 + 1e8
    own = {"n_estimators": 3, "num_leaves": 7, "verbose": -1, "n_jobs": 1}
    trained = lightgbm.LGBMClassifier(**own).fit(rows, Y)
    trained.booster_.save_model(case.root / "model.txt")
    case.write(NAMES, rows.tolist())
    config = case.config("model.txt", **settings)
    if found:
        with pytest.raises(
            UsageError, match=f"^{found}[1-9][0-9]* of 300 answers differ, .*; float64: "
        ) as caught:
            case.ship(config)
        assert "max_disagreements" in caught.value.hint
        return
    shipped = case.ship(config)
    model = case.load(shipped, config)
    if settings:
        assert "-> ONNX (float32)" in shipped.notes[0]
        assert not shipped.notes[0].startswith("model.txt -> ONNX (float32), 0 of")
        return
    assert shipped.parts.keys() == {"model.txt", "runtime.json"}
    assert "stays LightGBM, as ONNX float32: " in shipped.notes[0]
    assert model.predict(rows)[0] == trained.predict(rows).tolist()
    assert model.platform == "lightgbm_booster"
    model.close()


@pytest.mark.parametrize(
    ("kind", "suffix"), [("binary", "json"), ("multiclass", "ubj"), ("regression", "ubj")]
)
def test_xgboost_ships_as_onnx_and_as_it_came_with_the_same_answers(case, kind, suffix) -> None:
    import xgboost

    target = {"binary": Y, "multiclass": Y + (X[:, 0] > 1), "regression": X.sum(axis=1)}[kind]
    make = xgboost.XGBRegressor if kind == "regression" else xgboost.XGBClassifier
    trained = make(n_estimators=4, max_depth=3, n_jobs=1).fit(X, target)
    trained.save_model(case.root / f"model.{suffix}")
    for convert, form in (("require", "onnx"), ("never", "xgboost")):
        config = case.config(f"model.{suffix}", convert=convert)
        shipped = case.ship(config)
        model = case.load(shipped, config)
        answers, scores = model.predict(X)
        assert record_of(shipped).format == form
        assert np.allclose(answers, trained.predict(X), atol=1e-5)
        classes = 0 if kind == "regression" else len(set(target))
        assert scores.shape == (300, classes)
        assert [spec.name for spec in model.outputs] == ["predictions", *["scores"] * bool(classes)]
        model.close()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_lightgbm_ships_as_onnx_and_as_it_came_with_the_same_answers(case, kind) -> None:
    import lightgbm

    target = {"binary": Y, "multiclass": Y + (X[:, 0] > 1), "regression": X.sum(axis=1)}[kind]
    make = lightgbm.LGBMRegressor if kind == "regression" else lightgbm.LGBMClassifier
    trained = make(n_estimators=4, num_leaves=7, verbose=-1, n_jobs=1).fit(X, target)
    trained.booster_.save_model(case.root / "model.txt")
    for convert, form in (("require", "onnx"), ("never", "lightgbm")):
        config = case.config("model.txt", convert=convert)
        shipped = case.ship(config)
        model = case.load(shipped, config)
        assert record_of(shipped).format == form
        assert np.allclose(model.predict(X)[0], trained.predict(X), atol=1e-5)
        model.close()


def test_columns_in_another_order_than_the_model_was_trained_on_are_refused(case) -> None:
    import pandas
    import xgboost

    frame = pandas.DataFrame(X[:, ::-1], columns=list(reversed(NAMES)))
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(frame, Y).save_model(case.root / "model.ubj")
    with pytest.raises(UsageError, match="the model's column 1 is `c`, the contract's is `a`"):
        case.ship(case.config("model.ubj"))


def test_types_that_the_deployment_does_not_trust_are_refused_by_name(case, skops_of) -> None:
    from sklearn.tree import DecisionTreeClassifier

    skops_of(DecisionTreeClassifier(max_depth=3).fit(X, Y))
    with pytest.raises(UsageError) as caught:
        case.ship(case.config("model.skops"))
    assert caught.value.where == "model.skops"
    assert f"`runtime.trust` does not name: {TREE}" in caught.value.message
    assert caught.value.hint.startswith("add them to runtime.trust")
    trusting = case.config("model.skops", runtime=f'trust = ["{TREE}"]', convert="never")
    shipped = case.ship(trusting)
    assert case.load(shipped, trusting).platform == "sklearn_skops"
    with pytest.raises(UsageError, match="does not name"):
        case.load(shipped, case.config("model.skops"))


@pytest.mark.parametrize("convert", ["auto", "never"])
def test_text_and_missing_numbers_reach_a_pipeline_by_the_names_of_their_columns(
    case, skops_of, convert
) -> None:
    import pandas
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    cities = np.array(["Ulm", "Bonn", "Köln"])[np.arange(300) % 3]
    target = np.where((cities == "Ulm") ^ (X[:, 0] > 0), "yes", "no")
    frame = pandas.DataFrame({"age": X[:, 0], "city": cities})
    steps = [("number", SimpleImputer(), ["age"]), ("text", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    trained = make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(frame, target)
    skops_of(trained)
    case.contract = Contract("small", (Column("city", "string"), Column("age", "number", is_required=False)))
    case.write(("id", "age", "city"), [(n, X[n, 0] if n % 9 else None, cities[n]) for n in range(300)])
    config = case.config("model.skops", convert=convert, runtime='trust = ["numpy.dtype"]')
    shipped = case.ship(config)
    model = case.load(shipped, config)
    rows = np.array([["Ulm", 0.5], ["Bonn", -1.0], ["Ulm", None]], dtype=object)
    wanted = trained.predict(
        pandas.DataFrame({"age": [0.5, -1.0, None], "city": ["Ulm", "Bonn", "Ulm"]}).astype({"age": float})
    )
    assert model.predict(rows)[0] == wanted.tolist()
    assert [spec.name for spec in sorted(model.inputs, key=lambda spec: spec.start)] == ["city", "age"]
    assert model.outputs[0].datatype == "BYTES"
    assert ("-> ONNX" in shipped.notes[0]) is (convert == "auto")
    model.close()


def test_a_model_without_probabilities_gets_none_by_conversion(case, skops_of) -> None:
    from sklearn.svm import LinearSVC

    skops_of(LinearSVC().fit(X, Y))
    config = case.config("model.skops")
    shipped = case.ship(config)
    assert "-> ONNX (float32), 0 of 300 answers differ" in shipped.notes[0]
    assert case.load(shipped, config).predict(X)[1].shape == (300, 0)


def test_what_has_no_form_in_onnx_stays_and_the_reason_is_told(case, skops_of) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    skops_of(make_pipeline(FunctionTransformer(np.abs), LogisticRegression()).fit(X, Y))
    config = case.config("model.skops", runtime='trust = ["numpy.absolute"]')
    shipped = case.ship(config)
    assert "model.skops stays scikit-learn, as ONNX float32: " in shipped.notes[0]
    assert [bool(one.reason) for one in record_of(shipped).tried] == [True, True]


def test_a_pickle_becomes_onnx_where_the_deployment_allows_to_read_it(case) -> None:
    from sklearn.tree import DecisionTreeClassifier

    trained = DecisionTreeClassifier(max_depth=3).fit(X, Y)
    (case.root / "model.pkl").write_bytes(pickle.dumps(trained))
    with pytest.raises(
        UsageError, match=r"^model.pkl: its model is a pickle, which runs code when it is loaded$"
    ):
        case.ship(case.config("model.pkl"))
    shipped = case.ship(case.config("model.pkl", runtime="allow_pickle = true"))
    assert shipped.notes[0].startswith("model.pkl -> ONNX (float32), 0 of 300 answers differ")
    assert case.load(shipped, case.config("model.pkl")).predict(X)[0] == trained.predict(X).tolist()


def test_without_held_out_rows_the_model_is_tried_on_the_reference(case, model) -> None:
    (case.root / "model.onnx").write_bytes(model())
    case.contract = Contract("small", (Column("a", "number"), Column("b", "number")))
    (case.root / "test.csv").rename(case.root / "train.csv")
    assert record_of(case.ship(case.config("model.onnx"))).table == "train.csv"
    case.write(NAMES, [], "train.csv")
    with pytest.raises(UsageError, match=r"^train.csv: no rows, the model is tried on them$"):
        case.ship(case.config("model.onnx"))


@pytest.mark.parametrize("settings", [{}, {"predictor": "src/own.py:Own"}])
def test_an_artifact_that_is_not_there_is_named(case, settings) -> None:
    with pytest.raises(NotFoundError, match=r"no such file, a bundle needs it$"):
        case.ship(case.config("model.onnx", **settings))


def test_nothing_that_converts_is_imported_here(case, skops_of) -> None:
    from sklearn.linear_model import LogisticRegression

    skops_of(LogisticRegression().fit(X, Y))
    before = SimpleNamespace(modules=set(sys.modules))
    case.ship(case.config("model.skops"))
    assert not {"skl2onnx", "onnxmltools"} & (set(sys.modules) - before.modules)
