"""The built wheel, installed into empty environments, away from the checkout.

Only the newest versions of the dependencies are tried: resolving and installing the lowest ones takes longer
than the rest of the suite.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MAX_PACKAGES = 20
MAX_BYTES = 25_000_000
INSTALLER = {"pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack", "distutils"}


class Installed(NamedTuple):
    """A virtual environment that holds tidegate."""

    folder: Path

    def run(self, root: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the environment's `tidegate WORDS`; the checkout is out of its sight."""
        bin_folder = self.folder / "bin"
        kept = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
        }
        done = subprocess.run(
            [str(bin_folder / "tidegate"), *words],
            cwd=root,
            env=kept | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def install(self, what: str) -> None:
        """Install a requirement into the environment."""
        _checked(str(self.folder / "bin" / "python"), "-m", "pip", "install", "--quiet", what)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The wheel of this checkout."""
    out = tmp_path_factory.mktemp("dist")
    _checked(sys.executable, "-m", "build", "--outdir", str(out), str(checkout))
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel and no extra."""
    folder = tmp_path_factory.mktemp("core") / "venv"
    _checked(sys.executable, "-m", "venv", str(folder))
    installed = Installed(folder)
    installed.install(str(wheel))
    return installed


@pytest.fixture(scope="module")
def local(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with everything that the main job needs on one machine."""
    folder = tmp_path_factory.mktemp("local") / "venv"
    _checked(sys.executable, "-m", "venv", str(folder))
    installed = Installed(folder)
    installed.install(f"{wheel}[local,examples]")
    return installed


def _checked(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def _packages(installed: Installed) -> set[str]:
    found = installed.folder.glob("lib/python*/site-packages/*.dist-info")
    return {path.name.partition("-")[0].lower() for path in found} - INSTALLER


def _bytes(installed: Installed) -> int:
    """What the installation added, compiled files left out."""
    site = next(installed.folder.glob("lib/python*/site-packages"))
    tops = [path for path in site.iterdir() if path.name.partition("-")[0].lower() not in INSTALLER]
    files = [file for top in tops for file in ([top] if top.is_file() else top.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")


def test_the_core_is_small(core: Installed) -> None:
    assert len(_packages(core)) <= MAX_PACKAGES, sorted(_packages(core))
    assert _bytes(core) <= MAX_BYTES


def test_the_core_begins_a_project_and_shows_its_settings(core: Installed, tmp_path: Path) -> None:
    assert "tidegate" in core.run(tmp_path, "--version").stdout
    assert "Example:" in core.run(tmp_path, "--help").stdout
    core.run(tmp_path, "init")
    assert "[rollout]" in core.run(tmp_path, "config", "show").stdout


def test_the_core_runs_a_pipeline_and_verifies_its_ledger(core: Installed, tmp_path: Path) -> None:
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "bare"\n')
    (tmp_path / "dvc.yaml").write_text("stages:\n  make:\n    cmd: echo 1 > out.txt\n    outs: [out.txt]\n")
    core.run(tmp_path, "repro")
    core.run(tmp_path, "status")
    assert "1" in core.run(tmp_path, "audit", "verify").stdout


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("gate", "gate"),
        ("plan", "gate"),
        ("serve", "serve"),
        ("up", "serve"),
        ("init x --example digits", "examples"),
    ],
)
def test_a_command_that_lacks_packages_names_the_line_that_installs_them(
    core: Installed, tmp_path: Path, words: str, extra: str
) -> None:
    core.run(tmp_path, "init")
    error = core.run(tmp_path, *words.split(), expect=1).stderr
    assert f"pip install 'tidegate[{extra}]'" in error
    assert "Traceback" not in error


def test_the_main_job_runs_from_the_wheel(
    local: Installed, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    local.run(tmp_path, "init", "digits", "--example", "digits")
    root = tmp_path / "digits"
    local.run(root, "repro")
    rows = (root / "experiments/metrics/evaluation.csv").read_text().splitlines()
    assert rows[0].startswith("id,truth,prediction")
    assert len(rows) == 1 + 898
    assert "PASS" in local.run(root, "gate").stdout
    local.run(root, "plan")
    local.run(root, "apply")
    local.run(root, "audit", "verify")
    _serve_once(local, root, free_port())


def _serve_once(local: Installed, root: Path, port: int) -> None:
    settings = root / "tidegate.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    local.run(root, "up")
    try:
        assert "digits" in local.run(root, "ps").stdout
    finally:
        local.run(root, "down")
