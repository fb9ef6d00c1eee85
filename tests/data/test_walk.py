import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.data.walk import scan, tree_key


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "deep").write_text("1")
    (tmp_path / "b" / "two").write_text("22")
    (tmp_path / "one").write_text("333")
    return tmp_path


def names(top: Path, ignored: Callable[[str], bool] | None = None) -> list[str]:
    return sorted(f"{prefix}{row[0]}" for prefix, rows in scan(str(top), ignored) for row in rows)


def test_every_file_is_found_with_its_stat(top: Path):
    assert names(top) == ["b/c/deep", "b/two", "one"]
    (_, rows), *_ = scan(str(top))
    seen = (top / "one").stat()
    assert rows == [("one", 3, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_mode)]


@pytest.mark.parametrize("name", [".git", ".hg", ".dvc", ".tidegate"])
def test_folders_of_other_tools_and_a_file_named_git_are_left_out(top: Path, name: str):
    (top / name).mkdir()
    (top / name / "x").write_text("")
    (top / "b" / ".git").write_text("gitdir: elsewhere")
    assert names(top) == ["b/c/deep", "b/two", "one"]


@pytest.mark.parametrize("is_file", [True, False])
def test_another_repository_inside_is_left_out_but_not_the_top_itself(top: Path, is_file: bool):
    marks = (top / ".dvc", top / "b" / ".dvc")
    for mark in marks:
        mark.write_text("") if is_file else mark.mkdir()
    assert names(top) == [".dvc", "one"] if is_file else ["one"]


def test_a_judge_replaces_what_is_left_out_otherwise(top: Path):
    (top / ".git").mkdir()
    (top / ".git" / "x").write_text("")
    assert names(top, lambda path: path in {"b/c/", "one"}) == [".git/x", "b/two"]


def test_links_to_files_are_followed_those_to_folders_and_nowhere_are_not(top: Path):
    (top / "file").symlink_to("b/two")
    (top / "folder").symlink_to("b")
    (top / "nowhere").symlink_to("nothing")
    assert names(top) == ["b/c/deep", "b/two", "file", "nowhere", "one"]
    rows = {row[0]: row for row in dict(scan(str(top)))[""]}
    assert rows["file"][1] == 2
    assert rows["nowhere"][1:] == (0, 0, 0, 0, 0)


def _rewrite(top: Path) -> None:
    before = (top / "one").stat()
    (top / "one").write_text("444")
    os.utime(top / "one", ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(top: Path) -> None:
    before = (top / "one").stat()
    (top / "new").write_text("444")
    os.utime(top / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (top / "new").replace(top / "one")


@pytest.mark.parametrize(
    "change",
    [
        _rewrite,
        _replace,
        lambda top: (top / "one").chmod(0o755),
        lambda top: (top / "one").unlink(),
        lambda top: (top / "one").rename(top / "uno"),
        lambda top: (top / "one").rename(top / "b" / "one"),
        lambda top: (top / "b" / "c" / "new").write_text(""),
    ],
)
def test_every_change_gives_another_key(top: Path, change: Callable[[Path], object]):
    before = tree_key(str(top))
    assert tree_key(str(top)) == before
    _next_tick(top)
    change(top)
    assert tree_key(str(top)) != before


def test_empty_folders_and_what_is_ignored_do_not_show(top: Path):
    before = tree_key(str(top), lambda path: path == "skip")
    (top / "skip").write_text("")
    (top / "empty").mkdir()
    assert tree_key(str(top), lambda path: path == "skip") == before


def test_a_key_does_not_depend_on_where_the_folder_lies(top: Path, tmp_path: Path):
    assert tree_key(f"{top}/b") == tree_key(str(tmp_path / "b" / "c" / ".."))


def test_a_key_tells_count_and_newest_change(top: Path):
    newest = max((top / name).stat().st_ctime_ns for name in ("one", "b/two", "b/c/deep"))
    assert tree_key(str(top)).split(" ")[:3] == ["3", str(newest), str(newest)]


def test_names_that_are_no_text_count_as_well(top: Path):
    before = tree_key(str(top))
    (top / os.fsdecode(b"\xff")).touch()
    assert tree_key(str(top)) != before


def test_walking_imports_nothing_heavy(checkout: Path):
    code = "import os, sys; before = set(sys.modules); import walk; print(*set(sys.modules) - before)"
    env = {"PYTHONPATH": str(checkout / "src" / "tidegate" / "data")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"walk", "_blake2", "__future__", "marshal"}


def _next_tick(top: Path) -> None:
    """Until the file system's clock has moved on."""
    start = (top / "one").stat().st_ctime_ns
    probe = top.parent / f"{top.name}.probe"
    for _ in range(100_000):
        probe.write_text("")
        if probe.stat().st_ctime_ns > start:
            break
    probe.unlink()
