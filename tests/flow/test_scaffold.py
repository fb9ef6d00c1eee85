"""`init`: what it writes, what it leaves alone, and that the same call finishes what a killed one began."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tidegate.cli.init import TEMPLATES
from tidegate.errors import UsageError
from tidegate.flow.repro import repro
from tidegate.flow.scaffold import project_name, scaffold
from tidegate.flow.suspects import list_suspects
from tidegate.project import Ci, load_config


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def content(root: Path) -> dict[str, bytes]:
    files = (
        path for path in root.rglob("*") if path.is_file() and ".git" not in path.relative_to(root).parts
    )
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_an_empty_folder_becomes_a_repository_with_one_commit(tmp_path: Path) -> None:
    done = scaffold(tmp_path / "churn model", TEMPLATES)
    assert (done.name, done.kept, done.committed) == ("churn-model", (), True)
    assert len(git(tmp_path / "churn model", "log", "--oneline").splitlines()) == 1
    assert git(tmp_path / "churn model", "status", "--short") == ""
    assert load_config(tmp_path / "churn model").project.name == "churn-model"


def test_again_it_writes_nothing(tmp_path: Path) -> None:
    scaffold(tmp_path, TEMPLATES)
    before = content(tmp_path)
    done = scaffold(tmp_path, TEMPLATES)
    assert (done.written, done.committed) == ((), False)
    assert content(tmp_path) == before


def test_in_a_repository_it_keeps_every_file_and_commits_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/train.py").write_text("print('mine')\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "mine")
    done = scaffold(tmp_path, TEMPLATES)
    assert set(done.kept) == {"README.md", "src/train.py"}
    assert not done.committed
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert git(tmp_path, "log", "--format=%s").splitlines() == ["mine"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "src").write_text("a file\n")
    with pytest.raises(UsageError, match="src"):
        scaffold(tmp_path, TEMPLATES)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("digits", "digits"), ("My Model!", "My-Model"), ("...", "model"), ("a_b-c.1", "a_b-c.1")],
)
def test_the_project_has_the_folders_name_in_allowed_characters(
    tmp_path: Path, folder: str, name: str
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    assert project_name(tmp_path / folder if folder != "..." else Path("/")) == name


def test_what_a_killed_init_left_of_the_images_is_made_anew(tmp_path: Path) -> None:
    from PIL import Image

    partial = tmp_path / "data/raw/.images.partial"
    partial.mkdir(parents=True)
    (partial / "0000.png").write_bytes(b"half a file")
    scaffold(tmp_path, TEMPLATES, example="digits")
    images = sorted((tmp_path / "data/raw/images").iterdir())
    assert len(images) == 1797
    assert not partial.exists()
    with Image.open(images[0]) as image:
        assert (image.size, image.mode) == ((8, 8), "L")


def test_the_workflow_runs_on_pushes_and_pull_requests_of_main(tmp_path: Path) -> None:
    scaffold(tmp_path, TEMPLATES, example="digits")
    workflow = yaml.safe_load((tmp_path / ".github/workflows/ci.yml").read_text())
    triggers = workflow[True]
    assert (triggers["push"]["branches"], triggers["pull_request"]["branches"]) == (["main"], ["main"])
    text = (tmp_path / ".github/workflows/ci.yml").read_text()
    steps = (
        "actions/checkout@",
        "actions/setup-python@",
        "tidegate ci",
        "actions/upload-artifact@",
        "docker build",
    )
    assert all(step in text for step in steps)


def test_the_workflow_keeps_the_report_and_the_ledger_but_never_the_signing_key(tmp_path: Path) -> None:
    scaffold(tmp_path, TEMPLATES, example="digits")
    steps = yaml.safe_load((tmp_path / ".github/workflows/ci.yml").read_text())["jobs"]["ci"]["steps"]
    restored, saved = (step["with"] for step in steps if "actions/cache" in step.get("uses", ""))
    assert restored["path"] == saved["path"]
    assert restored["path"].split() == [
        ".dvc/cache", ".tidegate/ledger.db", ".tidegate/bundles", ".tidegate/keys/trusted",
    ]  # fmt: skip
    assert steps[-1]["with"]["path"] == Ci().report


@pytest.mark.slow
def test_the_example_scores_every_class_so_that_suspect_labels_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaffold(tmp_path, TEMPLATES, example="digits")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    repro(tmp_path)
    found = list_suspects(tmp_path)
    assert found.rows == 898
    assert 0 < len(found.found) < 90
    assert all(one.given != one.suggested for one in found.found)
