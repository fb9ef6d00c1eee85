"""The same digest means the very same inputs, committed or not."""

import pytest

from tidegate.flow.ci.inputs import digest_of, read_tree


def test_a_commit_of_what_lies_here_changes_nothing(repository, write, git):
    write(repository, "src/a.py", "a = 1\n")
    write(repository, "tidegate.toml", (repository / "tidegate.toml").read_text() + "\n")
    before = digest_of(read_tree(repository), "pytest")
    git(repository, "add", ".")
    assert digest_of(read_tree(repository), "pytest") == before
    git(repository, "commit", "--quiet", "-m", "more")
    assert digest_of(read_tree(repository), "pytest") == before


@pytest.mark.parametrize("name", ["tidegate.toml", "new file.py", "data/ä.csv"])
def test_any_change_of_a_file_that_git_knows_or_would_add_counts(repository, write, name):
    before = digest_of(read_tree(repository), "pytest")
    write(repository, name, "changed\n")
    changed = digest_of(read_tree(repository), "pytest")
    assert changed != before
    (repository / name).unlink()
    assert digest_of(read_tree(repository), "pytest") != changed


def test_another_command_is_another_check(repository):
    tree = read_tree(repository)
    assert digest_of(tree, "pytest") != digest_of(tree, "pytest -x")


@pytest.mark.parametrize("name", [".tidegate/x", "reports/tests.log", "src/__pycache__/a.pyc", "out/deep/x"])
def test_what_a_run_itself_writes_does_not_count(repository, write, name):
    (repository / ".gitignore").write_text("")
    before = digest_of(read_tree(repository), "", without=["reports", "out"])
    write(repository, name, "x")
    assert digest_of(read_tree(repository), "", without=["reports", "out"]) == before


def test_folders_with_a_like_name_do_count(repository, write):
    before = digest_of(read_tree(repository), "", without=["out"])
    write(repository, "output/x", "x")
    assert digest_of(read_tree(repository), "", without=["out"]) != before


def test_outside_git_repeats_are_not_recognized(project):
    assert digest_of(read_tree(project), "pytest") == ""


def test_a_link_to_nowhere_is_no_obstacle(repository):
    (repository / "link").symlink_to("nowhere")
    assert "link" not in read_tree(repository)
