"""`tidegate.Predictor`: steps before and after the model, artifacts, rows by the names of their columns."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate import Predictor
from tidegate.data.contract import Column, Contract, render_contract
from tidegate.data.contract.rules import Check, Items
from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.project import Config, parse_config
from tidegate.registry.convert import Shipped, ship_model
from tidegate.registry.load import open_bundle
from tidegate.registry.model import LoadedModel, load_model
from tidegate.registry.pack import pack

GRID = Column("grid", "array", checks=(Check("items", Items("number", (2, 2))),))
CONTRACT = Contract("own", (Column("age", "number", is_required=False), Column("city", "string"), GRID))
OWN = '''
"""A predictor with everything that it may have."""
import json
import numpy as np
from tidegate import Predictor
from cities import distance

class Own(Predictor):
    def load(self, folder):
        self.weights = json.loads((folder / "deep/er/weights.json").read_text())

    def preprocess(self, rows):
        assert {name: (a.dtype.kind, a.shape[1:]) for name, a in rows.items()} == {
            "age": ("f", ()), "city": ("O", ()), "grid": ("f", (2, 2))}
        far = np.array([distance(city) for city in rows["city"]])
        return np.nan_to_num(rows["age"]), far, rows["grid"][:, 1, 0]

    def predict(self, rows):
        age, far, corner = rows
        points = self.weights["age"] * age + far + corner
        return points > 10, np.stack([10 - points, points - 10], axis=1)

    def postprocess(self, found):
        answers, scores = found
        return ["old" if one else "young" for one in answers], scores

class Plain:
    pass
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose model is a class of its own with artifacts in folders."""
    (tmp_path / "src").mkdir()
    (tmp_path / "model/deep/er").mkdir(parents=True)
    (tmp_path / "src/own.py").write_text(OWN)
    (tmp_path / "model/cities.py").write_text(
        "def distance(city):\n    return 0 if city is None else len(city)\n"
    )
    (tmp_path / "model/deep/er/weights.json").write_text('{"age": 1.5}')
    cells = ["age,city,grid[0][0],grid[0][1],grid[1][0],grid[1][1]", "1,Ulm,0,0,2,0", ",Bonn,0,0,20,0"]
    (tmp_path / "test.csv").write_text("\n".join(cells) + "\n")
    return tmp_path


def config_of(predictor: str = "src/own.py:Own", path: str = "model") -> Config:
    tables = '[project]\nname = "own"\n[data]\nheldout = "test.csv"\n[model]\n'
    return parse_config(f'{tables}path = "{path}"\npredictor = "{predictor}"\n')


def ship(root: Path, config: Config) -> Shipped:
    return ship_model(config, root, contract=render_contract(CONTRACT).encode())


def load(root: Path, shipped: Shipped) -> LoadedModel:
    parts = {**shipped.parts, "contract.odcs.yaml": render_contract(CONTRACT).encode(), "labels.json": b"[]"}
    digest = pack(root / "bundles", root / "keys", parts, name="own")
    return load_model(open_bundle(root / "bundles", digest, keys=root / "keys", require=True))


def test_what_is_before_and_after_the_model_ships_and_runs_with_it(root) -> None:
    shipped = ship(root, config_of())
    assert shipped.notes == ("src/own.py:Own, Python in a process of its own",)
    assert sorted(shipped.parts) == [
        "artifact.cities.py",
        "artifact.deep%2Fer%2Fweights.json",
        "predictor.py",
        "runtime.json",
    ]
    model = load(root, shipped)
    rows = np.array([[2.0, "Ulm", 0, 0, 0, 0], [None, None, 0, 0, 11, 0]], dtype=object)
    answers, scores = model.predict(rows)
    assert answers == ["young", "old"]
    assert scores.tolist() == [[4, -4], [-1, 1]]
    assert model.inputs == (
        TensorSpec("age", "FP64", (-1, 1), 0),
        TensorSpec("city", "BYTES", (-1, 1), 1),
        TensorSpec("grid", "FP64", (-1, 2, 2), 2),
    )
    assert model.outputs == (TensorSpec("predictions", "BYTES", (-1,)), TensorSpec("scores", "FP64", (-1, 2)))
    assert (model.platform, model.is_remote) == ("python_predictor", True)
    model.close()


def test_an_artifact_may_be_one_file(root) -> None:
    (root / "src/own.py").write_text(
        "from tidegate import Predictor\nimport numpy as np\n"
        "class One(Predictor):\n"
        "    def load(self, folder):\n        self.word = (folder / 'word.bin').read_text()\n"
        "    def predict(self, rows):\n        return [self.word] * len(rows['age'])\n"
    )
    (root / "word.bin").write_text("hello")
    shipped = ship(root, config_of("src/own.py:One", "word.bin"))
    assert "artifact.word.bin" in shipped.parts
    model = load(root, shipped)
    assert model.predict(np.array([[1.0, "x", 0, 0, 0, 0]], dtype=object))[0] == ["hello"]
    model.close()


def test_a_class_that_answers_otherwise_than_when_it_was_bundled_is_refused(root) -> None:
    shipped = ship(root, config_of())
    changed = {**shipped.parts, "artifact.deep%2Fer%2Fweights.json": b'{"age": 100}'}
    with pytest.raises(
        UsageError, match="1 of 2 answers to its own example differ, row 1 was 'young' and is 'old'"
    ):
        load(root, shipped._replace(parts=changed))


@pytest.mark.parametrize("name", ["Plain", "Missing", "np"])
def test_a_class_of_another_kind_is_refused(root, name) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^model: its model cannot be loaded, predictor.py has no class `{name}` of tidegate",
    ):
        ship(root, config_of(f"src/own.py:{name}"))


@pytest.mark.parametrize("predictor", ["own.py", "own:Own", "own.py:1x", ":Own", "a:b.py:Own"])
def test_a_predictor_is_named_by_file_and_class(predictor) -> None:
    with pytest.raises(UsageError, match=r"model\.predictor"):
        config_of(predictor)


def test_a_step_left_out_changes_nothing() -> None:
    class Mean(Predictor):
        def predict(self, rows):
            return rows["a"].mean(axis=1)

    assert Mean().answer({"a": np.array([[1.0, 3.0]])}).tolist() == [2.0]
    with pytest.raises(NotImplementedError, match="a predictor needs a method `predict`"):
        Predictor().answer({})


def test_the_package_says_what_it_has_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute `Nothing`"):
        _ = tidegate.Nothing


def test_importing_the_class_is_cheap() -> None:
    ours = "m for m in sys.modules if m.startswith(('tidegate', 'numpy'))"
    code = f"import sys; from tidegate import Predictor; print(*sorted({ours}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tidegate", "tidegate.domain", "tidegate.domain.predictor"]
