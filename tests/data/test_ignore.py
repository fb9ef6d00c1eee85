from pathlib import Path

import pytest

from tidegate.data.ignore import ignore_rules, ignored_below, is_ignored
from tidegate.data.statcache import StatCache
from tidegate.errors import UsageError


def write(root: Path, **patterns: str) -> None:
    for folder, text in patterns.items():
        path = root if folder == "top" else root / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / ".dvcignore").write_text(text)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("x.tmp", True),
        ("keep.tmp", False),
        ("x.log", True),
        ("x.csv", False),
        ("old/", True),
        ("old", False),
        (".git/", True),
        (".git", True),
        (".dvc/", True),
        (".dvc", False),
        ("deep/.tidegate/", True),
    ],
)
def test_the_last_match_of_the_deepest_file_wins(tmp_path: Path, path: str, ignored: bool):
    write(tmp_path, top="*.tmp\n*.log\nold/\n", data="!keep.tmp\n")
    judge = ignored_below(tmp_path, "data/raw")
    assert judge is not None
    assert judge(path) is ignored


def test_a_pattern_with_a_slash_counts_from_its_own_folder(tmp_path: Path):
    write(tmp_path, data="/raw/secret\n")
    judge = ignored_below(tmp_path, "data/raw")
    assert judge is not None
    assert judge("secret")
    assert not judge("raw/secret")


def test_without_patterns_no_judge_is_needed(tmp_path: Path):
    write(tmp_path, top="# only words\n\n")
    assert ignored_below(tmp_path, "d") is None


@pytest.mark.parametrize("folder", ["../elsewhere", "/elsewhere", ".."])
def test_outside_the_repository_nothing_is_ignored(tmp_path: Path, folder: str):
    write(tmp_path, top="*\n")
    judge = ignored_below(tmp_path, folder)
    assert judge is not None
    assert not judge(".git/")
    assert not is_ignored(tmp_path, f"{folder}/x")


@pytest.mark.parametrize("folder", ["old", "old/inner", "nested", "nested/inner"])
def test_in_an_ignored_folder_or_another_repository_everything_is_ignored(tmp_path: Path, folder: str):
    write(tmp_path, top="old/\n", old="!inner/\n")
    (tmp_path / "nested" / ".dvc").mkdir(parents=True)
    judge = ignored_below(tmp_path, folder)
    assert judge is not None
    assert judge("x")


def test_another_repository_below_is_ignored_beside_patterns(tmp_path: Path):
    write(tmp_path, top="*.tmp\n")
    (tmp_path / "d" / "nested" / ".dvc").mkdir(parents=True)
    judge = ignored_below(tmp_path, "d")
    assert judge is not None
    assert judge("nested/")
    assert not judge("other/")


def test_what_lies_in_an_ignored_folder_cannot_be_taken_back(tmp_path: Path):
    write(tmp_path, top="/old/\n!/old/keep\n")
    assert is_ignored(tmp_path, "old/keep")
    assert is_ignored(tmp_path, "old/")
    assert not is_ignored(tmp_path, "new/old/keep")


def test_a_walk_extends_the_rules_folder_by_folder(tmp_path: Path):
    write(tmp_path, top="*.tmp\n", a="!b.tmp\n")
    rules = ignore_rules(tmp_path)
    assert rules.hides("a/b.tmp")
    assert rules.within("nothing") == rules
    inner = rules.within("a")
    assert not inner.hides("a/b.tmp")
    assert not inner.hides("a/deep/b.tmp")
    assert inner.hides("b.tmp")


def test_an_ignored_dvcignore_does_not_count(tmp_path: Path):
    write(tmp_path, top=".dvcignore\n", a="*.tmp\n")
    assert not is_ignored(tmp_path, "a/x.tmp")


@pytest.mark.parametrize("remembered", [None, [["not", "a"]], 5, [[True, False, "("]]])
def test_translated_patterns_are_remembered_and_nonsense_is_translated_again(tmp_path: Path, remembered):
    write(tmp_path, top="*.tmp\n")
    memory = StatCache(tmp_path / "stat.json")
    key = memory.key_of(tmp_path / ".dvcignore")
    if remembered is not None:
        memory.put_settled("ignore", ".dvcignore", key=key, value=remembered)
    assert is_ignored(tmp_path, "x.tmp", memory)
    memory.put_settled("ignore", ".dvcignore", key=key, value=[[True, False, "^y$"]])
    assert is_ignored(tmp_path, "y", memory)


@pytest.mark.parametrize("content", [b"ok\n!\n", b"\xff\n"])
def test_a_file_that_holds_no_patterns_is_an_error_at_its_line(tmp_path: Path, content: bytes):
    (tmp_path / ".dvcignore").write_bytes(content)
    with pytest.raises(UsageError, match=r"^\.dvcignore(:2)?: "):
        ignore_rules(tmp_path)
