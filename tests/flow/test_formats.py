"""`tidegate plan` with a model that is not ONNX: converted and told, or kept and served from its own process."""

from pathlib import Path

import numpy as np

from tidegate.domain import Decision
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.release import Plan, apply, read_plan
from tidegate.project import load_config
from tidegate.registry.load import open_bundle
from tidegate.registry.model import load_model
from tidegate.store.layout import Layout

OWN = """
import numpy as np
from tidegate import Predictor

class Slope(Predictor):
    def load(self, folder):
        self.slope = float((folder / "slope.txt").read_text())

    def predict(self, rows):
        return (self.slope * (rows["x1"] - rows["x0"]) > 0).astype(int)
"""


def planned(root: Path, model: str) -> Plan:
    text = (root / "tidegate.toml").read_text()
    (root / "tidegate.toml").write_text(f"{text}\n[model]\n{model}\n")
    judge(root)
    made = plan(root)
    assert not isinstance(made, Decision)
    assert read_plan(root / ".tidegate/run/plan.json") == made
    return made


def test_a_plan_says_how_often_the_conversion_answers_otherwise(project) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(1).uniform(0, 16, (200, 2))
    trained = LogisticRegression().fit(rows, (rows[:, 1] > rows[:, 0]).astype(int))
    skops.io.dump(trained, project / "model.skops")
    made = planned(project, 'path = "model.skops"')
    assert made.notes[0].startswith("model.skops -> ONNX (float32), 0 of 400 answers differ, largest score")
    assert apply(project).release
    assert plan(project).action == "nothing"


def test_a_class_of_the_projects_own_is_released_with_its_artifacts(project) -> None:
    (project / "own.py").write_text(OWN)
    (project / "artifacts").mkdir()
    (project / "artifacts/slope.txt").write_text("1.0")
    made = planned(project, 'path = "artifacts"\npredictor = "own.py:Slope"')
    assert made.notes == ("own.py:Slope, Python in a process of its own",)
    layout = Layout(project)
    bundle = open_bundle(layout.bundles, made.bundle, keys=layout.keys, require=True)
    model = load_model(bundle, settings=load_config(project).runtime)
    assert model.predict(np.array([[1.0, 2.0], [2.0, 1.0]]))[0] == [1, 0]
    model.close()
