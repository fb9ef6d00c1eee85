import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data import gitignore
from tidegate.data.gitignore import escape_pattern, git_add, ignore_paths, tracked_by_git, unignore_paths
from tidegate.errors import TidegateError


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "repo"
    (made / "data" / "sub").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(made))
    return made


def staged(root: Path) -> list[str]:
    return git(root, "diff", "--cached", "--name-status").split("\n")[:-1]


def test_each_folder_gets_a_line_for_its_paths(root: Path):
    assert ignore_paths(root, ["model.bin", "data/x.csv", "data/sub", "data/x.csv"]) == [
        ".gitignore",
        "data/.gitignore",
    ]
    assert (root / ".gitignore").read_text() == "/model.bin\n"
    assert (root / "data" / ".gitignore").read_text() == "/x.csv\n/sub\n"
    assert ignore_paths(root, ["model.bin", "data/x.csv", "data/sub"]) == []


@pytest.mark.parametrize("rule", ["*.csv", "/data/x.csv", "data/", "x.csv\n!y.csv"])
def test_what_git_ignores_already_needs_no_line(root: Path, rule: str):
    (root / ".gitignore").write_text(rule)
    assert ignore_paths(root, ["data/x.csv"]) == []
    assert (root / ".gitignore").read_text() == rule
    assert not (root / "data" / ".gitignore").exists()


def test_a_rule_for_directories_covers_a_directory_that_is_there(root: Path):
    (root / ".gitignore").write_text("sub/\n")
    assert ignore_paths(root, ["data/sub"]) == []
    assert ignore_paths(root, ["data/other/sub"]) == []


def test_a_path_that_git_tracks_gets_its_line_all_the_same(root: Path):
    (root / "model.bin").write_text("m")
    git(root, "add", "model.bin")
    assert ignore_paths(root, ["model.bin"]) == [".gitignore"]


def test_outside_git_and_before_the_folder_is_there_nothing_happens(tmp_path: Path, root: Path):
    assert ignore_paths(tmp_path, ["x"]) == []
    assert ignore_paths(root, ["later/x"]) == []
    assert ignore_paths(root, []) == []
    assert tracked_by_git(tmp_path, ["x"]) == []
    git_add(tmp_path, ["x"])
    assert {path.name for path in tmp_path.iterdir()} == {"repo"}


def test_without_git_nothing_happens(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(root))
    assert ignore_paths(root, ["x"]) == []
    git_add(root, ["x"])


def test_the_last_line_is_ended_before_a_new_one(root: Path):
    (root / ".gitignore").write_bytes(b"# ours\r\n*.tmp")
    ignore_paths(root, ["a", "b"])
    assert (root / ".gitignore").read_bytes() == b"# ours\r\n*.tmp\n/a\n/b\n"


def test_a_path_that_git_cannot_judge_does_not_stop_the_others(root: Path):
    (root / "link").symlink_to("data")
    assert ignore_paths(root, ["model.bin", "link/x", "other.bin"]) == [".gitignore"]
    assert (root / ".gitignore").read_text() == "/model.bin\n/other.bin\n"


def test_lines_go_with_their_paths_and_the_empty_file_with_the_last(root: Path):
    names = ["a [1]", "b", "data/c"]
    ignore_paths(root, names)
    (root / "data" / ".gitignore").write_bytes(b"# kept\r\n /c \r\n/d\r\n")
    assert unignore_paths(root, names) == [".gitignore", "data/.gitignore"]
    assert not (root / ".gitignore").exists()
    assert (root / "data" / ".gitignore").read_bytes() == b"# kept\r\n/d\r\n"
    assert unignore_paths(root, [*names, "gone/x"]) == []


def test_a_linked_file_stays_a_link(root: Path):
    (root / "shared").write_text("*.tmp\n")
    (root / ".gitignore").symlink_to("shared")
    ignore_paths(root, ["a"])
    assert (root / ".gitignore").is_symlink()
    assert (root / "shared").read_text() == "*.tmp\n/a\n"


def test_tracked_paths_are_named_directories_by_a_file_inside(root: Path):
    (root / "data" / "sub" / "x").write_text("x")
    (root / "data2").write_text("x")
    git(root, "add", "data/sub/x")
    assert tracked_by_git(root, ["data", "data/sub/x", "data2", "*"]) == ["data", "data/sub/x"]
    assert tracked_by_git(root, []) == []


def test_files_are_staged_and_so_is_their_end(root: Path):
    for name in ("a*", "ab", "gone"):
        (root / name).write_text(name)
    git_add(root, ["a*", "gone"])
    assert staged(root) == ["A\ta*", "A\tgone"]
    (root / "gone").unlink()
    git_add(root, ["gone", "never"])
    assert staged(root) == ["A\ta*"]
    git_add(root, [])


def test_a_refusal_of_git_is_an_error_with_its_reason(root: Path):
    (root / ".git" / "index.lock").write_text("")
    (root / "a").write_text("a")
    with pytest.raises(TidegateError, match=r"^git add: Unable to create .*index.lock"):
        git_add(root, ["a"])


NAMES = st.text(
    st.characters(exclude_characters="\0/\n\r", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@given(
    name=NAMES.filter(lambda name: not name[-1].isspace() and name not in (".", "..", ".git", ".gitignore"))
)
def test_a_line_ignores_its_path_and_no_other(tmp_path_factory: pytest.TempPathFactory, name: str):
    root = tmp_path_factory.mktemp("repo")
    git(root, "init", "-q")
    assert ignore_paths(root, [name]) == [".gitignore"]
    assert ignore_paths(root, [name]) == []
    assert (root / ".gitignore").read_bytes() == os.fsencode(f"/{escape_pattern(name)}\n")
    assert ignore_paths(root, [f"{name}x"]) == [".gitignore"]
    assert unignore_paths(root, [name, f"{name}x"]) == [".gitignore"]
    assert list(root.iterdir()) == [root / ".git"]


def test_an_edit_that_fails_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch):
    (root / ".gitignore").write_text("*.tmp\n")

    def fail(text: bytes, names: list[str]) -> bytes:
        raise OSError

    monkeypatch.setattr(gitignore, "_add_lines", fail)
    with pytest.raises(OSError):
        ignore_paths(root, ["a"])
    assert (root / ".gitignore").read_text() == "*.tmp\n"
