"""list: files and data of a repository, here and over there."""

import subprocess
from pathlib import Path

import pytest

from tidegate.cli.list_ import table
from tidegate.errors import NotFoundError, UnavailableError
from tidegate.flow.listing import Asked, Node, list_repository, list_tree
from tidegate.flow.track import Adding, add


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with data, code and an ignored file; a second commit takes the data away."""
    root = tmp_path / "repo"
    (root / "data" / "sub").mkdir(parents=True)
    (root / "lib").mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "data" / "sub" / "y").write_text("yy")
    (root / "lib" / "run.sh").write_text("#!/bin/sh\n")
    (root / "lib" / "run.sh").chmod(0o755)
    (root / ".dvcignore").write_text("*.tmp\n")
    (root / "a.tmp").write_text("hidden")
    add(root, Adding(("data",)))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    git(root, "tag", "one")
    git(root, "rm", "-q", "data.dvc")
    git(root, "commit", "-qm", "two")
    monkeypatch.chdir(tmp_path)
    return root


def test_the_workspace_is_listed_without_what_is_ignored(root: Path) -> None:
    found = list_repository(str(root), Asked(recursive=True))
    names = [path for path in found if not path.startswith(".tidegate/")]
    assert names == [".dvcignore", ".gitignore", "data/sub/y", "lib/run.sh"]
    assert found["lib/run.sh"] == Node(isexec=True, size=10)


def test_a_commit_has_its_own_data(root: Path) -> None:
    now = list_repository(str(root), Asked(rev="main"))
    then = list_repository(str(root), Asked(rev="one"))
    assert "data" not in now
    assert (then["data"].isout, then["data"].isdir, then["data"].size) == (True, True, 2)
    assert list(list_repository(str(root), Asked("data", rev="one", recursive=True))) == ["sub/y"]


def test_only_data_on_request(root: Path) -> None:
    assert list(list_repository(str(root), Asked(rev="one", dvc_only=True))) == ["data"]
    assert list(list_repository(str(root), Asked("lib", rev="one", dvc_only=True))) == []


def test_a_single_file_is_listed_by_its_name(root: Path) -> None:
    assert list(list_repository(str(root), Asked("data/sub/y", rev="one"))) == ["y"]
    with pytest.raises(NotFoundError, match="no such file"):
        list_repository(str(root), Asked("data/none", rev="one"))


def test_a_tree_ends_at_its_depth(root: Path) -> None:
    tree = list_tree(str(root), Asked(rev="one", depth=1))
    assert [(one.name, one.inside) for one in tree.inside if one.name == "data"] == [("data", ())]
    whole = list_tree(str(root), Asked("data", rev="one"))
    assert [inner.name for one in whole.inside for inner in one.inside] == ["y"]


def test_an_address_is_listed_through_a_clone(root: Path) -> None:
    found = list_repository(f"file://{root}", Asked("lib"))
    assert list(found) == ["run.sh"]
    with pytest.raises(UnavailableError):
        list_repository("file:///no/such/place", Asked())


def test_columns_are_aligned() -> None:
    rows = [("big", Node(size=123456, md5="a" * 32)), ("dir", Node(isdir=True)), ("small", Node(size=7))]
    assert list(table(rows, with_size=True, with_hash=True)) == [
        f"121k  {'a' * 32}  big",
        f"      -{' ' * 31}  dir",
        f"   7  -{' ' * 31}  small",
    ]
