"""What tidegate asks of git, in repositories of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.errors import TidegateError
from tidegate.store.git import first_commit, head_commit, is_dirty, is_inside

Git = Callable[..., str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one file, outside any repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "file").write_text("one")
    return folder


@pytest.fixture
def git(root: Path) -> Git:
    """`git("log")` asks git itself."""

    def run(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has told git who they are."""
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        monkeypatch.delenv(f"GIT_{name}", raising=False)
    monkeypatch.delenv("EMAIL", raising=False)


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which git is not installed."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_a_folder_outside_git_has_no_commit_and_no_changes(root: Path) -> None:
    assert (head_commit(root), is_dirty(root), is_inside(root)) == ("", False, False)


def test_a_missing_folder_is_not_inside_a_repository(root: Path) -> None:
    gone = root / "gone"
    assert (head_commit(gone), is_dirty(gone), is_inside(gone)) == ("", False, False)


def test_a_repository_without_a_commit_has_none(root: Path, git: Git) -> None:
    git("init", "--quiet")
    assert (head_commit(root), is_inside(root)) == ("", True)


def test_the_first_commit_holds_everything_that_is_not_ignored(root: Path, git: Git) -> None:
    (root / ".gitignore").write_text("secret\n")
    (root / "secret").write_text("s")
    (root / "sub").mkdir()
    (root / "sub" / "ü").write_text("u")
    commit = first_commit(root, "Begin")
    assert commit == head_commit(root) == git("rev-parse", "HEAD")
    assert len(commit) == 40
    assert git("log", "--format=%s") == "Begin"
    assert git("-c", "core.quotePath=false", "ls-files").splitlines() == [".gitignore", "file", "sub/ü"]
    assert git("branch", "--show-current") == "main"
    assert head_commit(root / "sub") == commit


def test_a_repository_that_is_there_is_kept(root: Path, git: Git) -> None:
    first = first_commit(root, "Begin")
    (root / "more").write_text("2")
    second = first_commit(root, "Go on")
    assert git("rev-parse", f"{second}~1") == first


def test_only_tracked_files_make_a_checkout_dirty(root: Path) -> None:
    first_commit(root, "Begin")
    (root / "untracked").write_text("x")
    assert not is_dirty(root)
    (root / "file").write_text("two")
    assert is_dirty(root)
    (root / "file").write_text("one")
    assert not is_dirty(root)
    (root / "file").unlink()
    assert is_dirty(root)


def test_a_staged_file_makes_a_checkout_dirty(root: Path, git: Git) -> None:
    first_commit(root, "Begin")
    (root / "new").write_text("x")
    git("add", "new")
    assert is_dirty(root)


def test_a_folder_that_the_repository_around_it_ignores_is_not_inside(root: Path) -> None:
    (root / ".gitignore").write_text("scratch/\n")
    for name in ("scratch", "kept"):
        (root / name).mkdir()
    first_commit(root, "Begin")
    assert is_inside(root)
    assert is_inside(root / "kept")
    assert not is_inside(root / "scratch")


def test_without_an_identity_the_commit_is_made_as_tidegate(root: Path, git: Git, no_identity: None) -> None:
    first_commit(root, "Begin")
    assert git("log", "--format=%an %ae %cn") == "tidegate tidegate@localhost tidegate"


def test_a_configured_identity_makes_the_commit(root: Path, git: Git, no_identity: None) -> None:
    git("init", "--quiet")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.com")
    first_commit(root, "Begin")
    assert git("log", "--format=%an %ae") == "Ada ada@example.com"


def test_what_git_refuses_is_said_in_its_last_line(root: Path) -> None:
    first_commit(root, "Begin")
    (root / ".git" / "index.lock").touch()
    (root / "file").write_text("two")
    with pytest.raises(TidegateError) as caught:
        first_commit(root, "Again")
    assert str(caught.value).startswith("git add: ")
    assert caught.value.hint == f"git -C {root} status"


def test_a_commit_of_nothing_is_refused(root: Path, git: Git) -> None:
    git("init", "--quiet")
    git("config", "user.email", "ada@example.com")
    first_commit(root, "Begin")
    with pytest.raises(TidegateError, match=r"^git commit: "):
        first_commit(root, "Again")


def test_a_refusal_names_the_git_command_whoever_commits(root: Path) -> None:
    first_commit(root, "Begin")
    with pytest.raises(TidegateError, match=r"^git commit: "):
        first_commit(root, "Again")


def test_without_git_there_is_no_commit_and_the_first_one_says_so(root: Path, no_git: None) -> None:
    assert (head_commit(root), is_dirty(root), is_inside(root)) == ("", False, False)
    with pytest.raises(TidegateError) as caught:
        first_commit(root, "Begin")
    assert str(caught.value) == "git init: git is not installed"
