"""Starting is cheap: what the common commands import, counted in modules instead of milliseconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "cryptography", "duckdb", "fastapi", "flask", "httpx", "jinja2", "mlflow", "numpy", "onnxruntime",
    "pandas", "requests", "rich", "scipy", "sklearn", "starlette", "uvicorn",
}  # fmt: skip
BUDGET = 250
PROBE = """
import json, sys
from tidegate.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
sys.stderr.write(json.dumps({"code": code or 0, "modules": sorted(sys.modules)}))
"""
STAGE = "stages:\n  copy:\n    cmd: cp in.txt out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of one stage that has run."""
    root = tmp_path_factory.mktemp("budget")
    (root / "dvc.yaml").write_text(STAGE)
    (root / "in.txt").write_text("1\n")
    (root / "tidegate.toml").write_text('[project]\nname = "budget"\n')
    _modules(root, "repro")
    return root


def _modules(root: Path, *words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = json.loads(done.stderr.splitlines()[-1])
    assert found["code"] == 0, done.stdout + done.stderr
    return set(found["modules"])


def _bare() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", "import json, sys; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("words", ["--version", "--help", "repro", "status"])
def test_common_commands_import_nothing_heavy(project: Path, words: str) -> None:
    modules = _modules(project, words)
    assert HEAVY & {name.partition(".")[0] for name in modules} == set()


@pytest.mark.parametrize("words", ["--version", "--help", "repro", "status"])
def test_common_commands_stay_within_the_budget_of_modules(project: Path, words: str) -> None:
    assert len(_modules(project, words) - _bare()) <= BUDGET


@pytest.mark.parametrize("words", ["repro", "status"])
def test_the_no_change_path_needs_neither_msgspec_nor_dataclasses_nor_the_ledger(
    project: Path, words: str
) -> None:
    modules = _modules(project, words)
    assert modules & {"msgspec", "dataclasses", "sqlite3", "tidegate.store.ledger"} == set()
