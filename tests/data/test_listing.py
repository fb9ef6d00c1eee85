import os
from pathlib import Path

import pytest

from tidegate.data.listing import ChangedError, find_files, steadily
from tidegate.errors import UnavailableError, UsageError


def test_files_are_listed_in_the_order_of_their_whole_paths(tmp_path: Path):
    for path in ("d/a/x", "d/a.b", "d/a-b", "d/Z"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    assert [one.path for one in find_files(tmp_path, "d")] == ["Z", "a-b", "a.b", "a/x"]
    assert find_files(tmp_path, "d")[0].size == 1


@pytest.mark.parametrize("target", ["nowhere", "x"])
def test_a_broken_link_is_named(tmp_path: Path, target: str):
    (tmp_path / "d" / "in").mkdir(parents=True)
    (tmp_path / "d" / "in" / "x").symlink_to(target)
    with pytest.raises(UsageError, match="d/in/x: broken link"):
        find_files(tmp_path, "d")


@pytest.mark.parametrize("at", ["d", "../beside"])
def test_an_ignore_file_inside_is_named(tmp_path: Path, at: str):
    (tmp_path / "root" / at).mkdir(parents=True)
    (tmp_path / "root" / at / ".dvcignore").write_text(".dvcignore" if at != "d" else "*.tmp")
    with pytest.raises(UsageError, match=f"{at}/.dvcignore: .dvcignore inside"):
        find_files(tmp_path / "root", at)


@pytest.mark.parametrize("at", [".", ""])
def test_the_root_itself_is_a_directory_like_others(tmp_path: Path, at: str):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "a" / ".dvc").mkdir(parents=True)
    for path in ("x", "x.tmp", ".dvc/config", "a/y"):
        (tmp_path / path).write_text("")
    assert [one.path for one in find_files(tmp_path, at)] == ["x", "x.tmp"]
    (tmp_path / ".dvcignore").write_text("*.tmp\n.dvcignore\n")
    assert [one.path for one in find_files(tmp_path, at)] == ["x"]
    (tmp_path / ".dvcignore").write_text("*.tmp\n")
    with pytest.raises(UsageError, match=r"^\.dvcignore: "):
        find_files(tmp_path, at)


def test_nothing_there_is_unavailable(tmp_path: Path):
    with pytest.raises(UnavailableError, match="nothing: vanishes"):
        find_files(tmp_path, "nothing")


def test_another_look_is_taken_until_things_rest():
    looks = iter([ChangedError(), FileNotFoundError(), None])

    def look() -> str:
        if error := next(looks):
            raise error
        return "seen"

    assert steadily("d", look) == "seen"


def test_what_the_system_cannot_read_is_unavailable():
    def look() -> None:
        raise OSError(5, os.strerror(5), "d/x")

    with pytest.raises(UnavailableError, match="d: `d/x`: Input/output error"):
        steadily("d", look)
