"""What can run code, or crash, when it reads a model is called in one place each, in a process of its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "tidegate"
RUNTIME = "registry/runtime"
# by module or function: the one file that may name it
LOADERS = {
    "pickle": f"{RUNTIME}/estimator.py",
    "joblib": f"{RUNTIME}/estimator.py",
    "skops": f"{RUNTIME}/estimator.py",
    "xgboost": f"{RUNTIME}/xgboosts.py",
    "lightgbm": f"{RUNTIME}/lightgbms.py",
    "onnxruntime": "registry/onnx.py",
    "cloudpickle": "",
    "dill": "",
    "marshal": "",
    "shelve": "",
    "torch": "",
    "tensorflow": "",
    "keras": "",
    "safetensors": "",
}
CALLS = {
    "InferenceSession": "registry/onnx.py",
    "register_custom_ops_library": "",
    "read_pickle": "",
    "exec_module": f"{RUNTIME}/custom.py",
    "unsafe_load": "",
}
# these read no model: a metric of the project's own at the desk, and the stat cache that this machine wrote
ELSEWHERE = {("exec_module", "gate/custom.py"), ("marshal", "data/walk.py")}


def _files() -> list[Path]:
    found = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in found if "scaffold" not in path.parts[:-1])


def _named(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported, by statement or by a text, and attributes that are used."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            yield from (one.value.partition(".")[0] for one in node.args if isinstance(one, ast.Constant))


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _breaches(path: Path, tree: ast.AST) -> list[str]:
    allowed = {**LOADERS, **CALLS}
    return [
        name
        for name in _named(tree)
        if name in allowed and str(path) != allowed[name] and (name, str(path)) not in ELSEWHERE
    ]


def _tree(path: Path) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text(encoding="utf-8"))


def test_no_other_file_names_a_loader() -> None:
    trees = {path: _tree(path) for path in _files()}
    found = [(str(path), name) for path, tree in trees.items() for name in _breaches(path, tree)]
    assert [(path, name) for path, name in found if not _is_for_types(name, trees[Path(path)])] == []


def _is_for_types(name: str, tree: ast.Module) -> bool:
    """Whether it is only imported for the type checker."""
    guarded = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    outside = ast.Module([node for node in tree.body if node not in guarded], [])
    return name not in set(_named(outside))


def test_no_array_is_read_with_pickle() -> None:
    calls = [node for path in _files() for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    assert "allow_pickle" not in {word.arg for call in calls for word in call.keywords}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib as j",
        "import torch.serialization",
        "def f():\n    from dill import load",
        "importlib.import_module('cloudpickle')",
        "__import__('pickle')",
        "onnx.InferenceSession(x)",
        "pandas.read_pickle(x)",
    ],
)
def test_every_way_to_a_loader_is_found(code: str) -> None:
    assert _breaches(Path("serve/engine.py"), ast.parse(code))


def test_every_allowed_place_is_used() -> None:
    for name, path in {**LOADERS, **CALLS}.items():
        assert not path or name in set(_named(_tree(Path(path)))), name
