"""diff: what differs between tracked data, told without touching anything."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import NotFoundError, UsageError
from tidegate.flow.diff import diff
from tidegate.flow.track import Adding, add


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a tracked directory and a tracked file in its only commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "x").write_text("x")
    (tmp_path / "data" / "sub" / "y").write_text("y")
    (tmp_path / "f").write_text("f")
    add(tmp_path, Adding(("data", "f")))
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def paths(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    return {state: [row["path"] for row in found] for state, found in rows.items() if found}


def test_nothing_differs(root: Path) -> None:
    assert diff(root) == {}
    assert diff(root, "HEAD", "HEAD") == {}


def test_nothing_to_compare_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    assert diff(tmp_path) == {}


def test_files_of_directories_are_told_one_by_one(root: Path) -> None:
    (root / "data" / "x").write_text("x2")
    (root / "data" / "new").write_text("n")
    (root / "data" / "sub" / "y").unlink()
    assert paths(diff(root)) == {
        "added": ["data/new"],
        "deleted": ["data/sub/y"],
        "modified": ["data/", "data/x"],
    }


def test_the_same_content_elsewhere_was_renamed(root: Path) -> None:
    (root / "f").rename(root / "g")
    (root / "f.dvc").unlink()
    (root / "data").rename(root / "moved")
    (root / "data.dvc").unlink()
    add(root, Adding(("g", "moved")))
    assert paths(diff(root))["renamed"] == [
        {"old": "data/", "new": "moved/"},
        {"old": "data/sub/y", "new": "moved/sub/y"},
        {"old": "data/x", "new": "moved/x"},
        {"old": "f", "new": "g"},
    ]


def test_a_file_that_becomes_a_directory(root: Path) -> None:
    (root / "f").unlink()
    (root / "f").mkdir()
    (root / "f" / "inner").write_text("i")
    assert paths(diff(root)) == {"added": ["f/inner"], "modified": ["f"]}


def test_objects_that_are_gone_are_named_only_against_the_workspace(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache" / "files")
    assert paths(diff(root)) == {"not in cache": ["data/", "f"]}
    assert diff(root, "HEAD", "HEAD") == {}


def test_below_a_directory_whose_list_is_gone_nothing_is_told(root: Path) -> None:
    (root / "data" / "x").write_text("x2")
    shutil.rmtree(root / ".dvc" / "cache" / "files")
    assert paths(diff(root)) == {"modified": ["data/"], "not in cache": ["data/", "f"]}
    assert paths(diff(root, words=["data/x"])) == {}


def test_targets_are_read_from_where_the_person_stands(root: Path) -> None:
    (root / "data" / "x").write_text("x2")
    (root / "f").write_text("f2")
    assert paths(diff(root, words=["x"], here="data")) == {"modified": ["data/x"]}
    assert paths(diff(root, words=["../f"], here="data")) == {"modified": ["f"]}
    with pytest.raises(NotFoundError, match="tracked on neither side"):
        diff(root, words=["../none"], here="data")


def test_an_unknown_revision_is_an_error(root: Path) -> None:
    with pytest.raises(UsageError, match="unknown revision"):
        diff(root, "v9")
