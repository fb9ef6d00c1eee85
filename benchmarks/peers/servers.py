"""How each server is installed, set up at its best, and asked."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from peers.load import HERE, Server, Target

TOOLS = HERE.parents[1] / ".tools" / "bench"
# later versions of uvloop take MLServer's models down with them
NEEDS = {
    "mlserver": ["mlserver", "mlserver-sklearn", "uvloop<0.22"],
    "mlflow": ["mlflow", "scikit-learn"],
    "bentoml": ["bentoml", "scikit-learn"],
    "litserve": ["litserve", "scikit-learn"],
}
OURS = "tidegate"
BATCHED_FROM = 8
FIRST_PORT = 18_600
TRUST = [
    "numpy.dtype",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._tree.Tree",
]


class Place(NamedTuple):
    """Where servers are set up: a folder, and ports that nobody else has."""

    folder: Path
    ports: Iterator[int]

    def port(self) -> int:
        return next(self.ports)


def python(tool: str) -> Path:
    """The interpreter of a tool's environment, which is made on first use."""
    if tool == OURS:
        return Path(sys.executable)
    venv = TOOLS / tool
    if not (venv / "made").exists():
        print(f"installing {tool}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "-q", *NEEDS[tool]], check=True)
        (venv / "made").touch()
    return venv / "bin" / "python"


def version_of(tool: str) -> str:
    code = f"import importlib.metadata as m; print('{tool}', m.version('{tool}'))"
    return subprocess.run(
        [str(python(tool)), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def set_up(tool: str, place: Place, models: Sequence[str]) -> list[Target]:
    """The targets of a tool; their servers are not running yet."""
    makers: dict[str, Callable[[Place, Sequence[str]], list[Target]]] = {
        OURS: _tidegate, "mlserver": _mlserver, "mlflow": _mlflow, "bentoml": _bentoml, "litserve": _litserve,
    }  # fmt: skip
    return makers[tool](place, models)


def _train(tool: str, form: str, folder: Path) -> None:
    for model in ("lr", "rf"):
        words = [str(python(tool)), str(HERE / "train.py"), model, form, str(folder / model)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


# tidegate: each model as ONNX with one worker and with two, and as scikit-learn in its child process

FORMS = (("ONNX", "onnx", 1), ("ONNX, 2 workers", "onnx", 2), ("scikit-learn", "skops", 1))


def _tidegate(place: Place, models: Sequence[str]) -> list[Target]:
    return [_project(place, model, *form) for form in FORMS for model in models]


def _project(place: Place, model: str, title: str, form: str, workers: int) -> Target:
    name, port = f"tidegate-{model}-{form}{'-2' * (workers > 1)}", place.port()
    root = place.folder / name
    _tell(place.folder, "init", str(root), "--example", "digits")
    shutil.rmtree(root / "data" / "raw")
    shutil.copy(HERE / "train.py", root / "train.py")
    (root / "dvc.yaml").write_text(json.dumps({"stages": {"train": _stage(model, form)}}))
    (root / "tidegate.toml").write_text(_settings(form, port, workers))
    for words in (["repro"], ["gate"], ["plan"], ["apply"]):
        _tell(root, *words)
    words = [str(_bin(OURS)), "serve"]
    server = Server(name, words, root, {}, port, root / ".tidegate" / "log")
    path, fewest = "/v2/models/digits/infer", 8 if workers > 1 else 1
    return Target(f"tidegate, {title}", OURS, model, server, path, _tensor, _first_output, fewest)


def _stage(model: str, form: str) -> dict[str, Any]:
    folder = "model/artifacts"
    outs = ["data/processed/train.csv", "data/processed/test.csv", "experiments/metrics/evaluation.csv"]
    cmd = f"{sys.executable} train.py {model} {form} {folder}"
    return {"cmd": cmd, "deps": ["train.py"], "outs": [*outs, f"{folder}/model.{form}"]}


def _settings(form: str, port: int, workers: int) -> str:
    return f"""\
[project]
name = "digits"
[model]
path = "model/artifacts/model.{form}"
convert = "never"
[runtime]
trust = {json.dumps(TRUST)}
[[gate.rule]]
kind = "min"
value = 0.8
[serve]
address = "127.0.0.1:{port}"
workers = {workers}
"""


def _tell(folder: Path, *words: str) -> None:
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(_bin(OURS)), *words], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"tidegate {' '.join(words)} in {folder}:\n{done.stdout}{done.stderr}")


# MLServer: models in its own process, which is faster here than a worker; no metrics; the batches it can make


def _mlserver(place: Place, models: Sequence[str]) -> list[Target]:
    folder = place.folder / "mlserver"
    _train("mlserver", "joblib", folder)
    ports = [place.port() for _ in range(3)]
    names = ("http_port", "grpc_port", "metrics_port")
    quiet = {"host": "127.0.0.1", "debug": False, "parallel_workers": 0, "metrics_endpoint": None}
    (folder / "settings.json").write_text(json.dumps({**quiet, **dict(zip(names, ports, strict=True))}))
    for model in models:
        shutil.copytree(folder / model, folder / f"{model}-batched")
        for name, extra in (
            (model, {}),
            (f"{model}-batched", {"max_batch_size": 64, "max_batch_time": 0.002}),
        ):
            uri = {"parameters": {"uri": "./model.joblib"}}
            settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel", **uri, **extra}
            (folder / name / "model-settings.json").write_text(json.dumps(settings))
    server = Server("mlserver", [str(_bin("mlserver")), "start", "."], folder, {}, ports[0])
    plain = [
        Target("mlserver", "mlserver", model, server, f"/v2/models/{model}/infer", _tensor, _first_output)
        for model in models
    ]
    return [one for target in plain for one in (target, _batching(target))]


# MLflow: one process a model; with two, every request waits 40 ms for Nagle's algorithm


def _mlflow(place: Place, models: Sequence[str]) -> list[Target]:
    _train("mlflow", "mlflow", place.folder / "mlflow")
    return [_mlflow_model(place, model) for model in models]


def _mlflow_model(place: Place, model: str) -> Target:
    folder, port = place.folder / "mlflow" / model, place.port()
    words = ["models", "serve", "-m", "model", "-h", "127.0.0.1", "-p", str(port), "--env-manager", "local"]
    environ = {
        "PATH": f"{_bin('mlflow').parent}{os.pathsep}{os.environ['PATH']}",
        "UVICORN_ACCESS_LOG": "false",
    }
    server = Server(f"mlflow-{model}", [str(_bin("mlflow")), *words, "-w", "1"], folder, environ, port)
    return Target(
        "mlflow",
        "mlflow",
        model,
        server,
        "/invocations",
        lambda rows: {"inputs": rows},
        lambda reply: reply["predictions"],
    )


# BentoML: two workers, no access log, no metrics


def _bentoml(place: Place, models: Sequence[str]) -> list[Target]:
    folder, port = place.folder / "bentoml", place.port()
    _train("bentoml", "joblib", folder)
    shutil.copy(HERE / "bento.py", folder / "bento.py")
    words = ["serve", "bento:Digits", "--host", "127.0.0.1", "--port", str(port)]
    environ = {"MODELS": str(folder), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "home")}
    server = Server("bentoml", [str(_bin("bentoml")), *words], folder, environ, port)
    plain = [
        Target(
            "bentoml", "bentoml", model, server, f"/{model}", lambda rows: {"rows": rows}, lambda reply: reply
        )
        for model in models
    ]
    return [one for target in plain for one in (target, _batching(target))]


# LitServe: two workers and two servers of its interface; batching is a setting of a whole server


def _litserve(place: Place, models: Sequence[str]) -> list[Target]:
    folder = place.folder / "litserve"
    _train("litserve", "joblib", folder)
    return [_lit(place, model, is_batched=is_batched) for model in models for is_batched in (False, True)]


def _lit(place: Place, model: str, *, is_batched: bool) -> Target:
    folder, port = place.folder / "litserve", place.port()
    extra = ["batched"] if is_batched else []
    words = [
        str(python("litserve")),
        str(HERE / "lit.py"),
        str(folder / model / "model.joblib"),
        str(port),
        *extra,
    ]
    server = Server(f"litserve-{model}{'-batched' * is_batched}", words, folder, {}, port)
    return Target(
        f"litserve{', batching' * is_batched}",
        "litserve",
        model,
        server,
        "/predict",
        lambda rows: {"rows": rows},
        lambda reply: reply,
        BATCHED_FROM if is_batched else 1,
    )


def _batching(target: Target) -> Target:
    """The same with batching, where that is another path of the server."""
    path = target.path.replace(target.model, f"{target.model}-batched")
    return target._replace(title=f"{target.title}, batching", path=path, fewest=BATCHED_FROM)


def _bin(tool: str) -> Path:
    return python(tool).with_name(tool)


def _tensor(rows: list[list[float]]) -> Any:
    """An inference request of the Open Inference Protocol."""
    cells = [cell for row in rows for cell in row]
    return {"inputs": [{"name": "input", "shape": [len(rows), 64], "datatype": "FP64", "data": cells}]}


def _first_output(reply: Any) -> list[Any]:
    return reply["outputs"][0]["data"]
