"""Projects in which `ci` has something to run."""

import subprocess
from pathlib import Path

import pytest

from tidegate.flow.ci.inputs import read_tree
from tidegate.flow.ci.step import Room, Watcher
from tidegate.project import load_config


@pytest.fixture
def write():
    """`write(root, "a/b.py", "text")` with the folders on the way."""

    def write(root: Path, name: str, text: str) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return write


@pytest.fixture
def git():
    """`git(root, "add", ".")`."""

    def git(root: Path, *words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return git


@pytest.fixture
def repository(project: Path, git) -> Path:
    """The small project, committed but for its state and its big files."""
    (project / ".gitignore").write_text("/.tidegate/\n")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "start")
    return project


@pytest.fixture
def configure():
    """Append a table `[ci]` to tidegate.toml."""

    def configure(root: Path, text: str) -> None:
        path = root / "tidegate.toml"
        path.write_text(f"{path.read_text().partition('[ci]')[0]}\n[ci]\n{text}\n")

    return configure


@pytest.fixture
def room():
    """What a step of a run in this project is given."""

    def room(root: Path, watcher: Watcher | None = None) -> Room:
        return Room(root, load_config(root), read_tree(root), watcher or Watcher())

    return room
