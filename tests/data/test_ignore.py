import pytest

from tidegate.data.ignore import ignored_below


def write(root, **patterns):
    for folder, text in patterns.items():
        path = root if folder == "top" else root / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / ".dvcignore").write_text(text)


@pytest.mark.parametrize(
    ("path", "is_dir", "ignored"),
    [
        ("data/raw/x.tmp", False, True),
        ("data/raw/keep.tmp", False, False),
        ("data/raw/x.log", False, True),
        ("data/raw/x.csv", False, False),
        ("data/raw/old", True, True),
        ("data/raw/old", False, False),
        ("data/raw/.git", True, True),
        ("data/raw/.dvc", True, True),
        ("data/raw/.git", False, False),
    ],
)
def test_the_last_match_of_the_deepest_file_wins(tmp_path, path, is_dir, ignored):
    write(tmp_path, top="*.tmp\n*.log\nold/\n", data="!keep.tmp\n")
    assert ignored_below(tmp_path, "data/raw")(path + "/" * is_dir) is ignored


def test_a_pattern_with_a_slash_counts_from_its_own_folder(tmp_path):
    write(tmp_path, data="/raw/secret\n")
    judge = ignored_below(tmp_path, "data/raw")
    assert judge("data/raw/secret")
    assert not judge("data/raw/raw/secret")


@pytest.mark.parametrize("folder", ["d", "../elsewhere", "/elsewhere"])
def test_comments_and_folders_outside_ignore_nothing(tmp_path, folder):
    write(tmp_path, top="# only words\n\n")
    assert not ignored_below(tmp_path, folder)(f"{folder}/x")
