import subprocess

import pytest

from tidegate.data.hash import Files
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError, UsageError
from tidegate.pipeline.index import load_index
from tidegate.pipeline.source import revision, workspace


def git(root, *words):
    subprocess.run(["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)


def write(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def here(root):
    return workspace(Files(root, StatCache(root / "stat.json")))


STAGE = "stages:\n  {}:\n    cmd: x\n    outs: [{}]\n"
FILES = {
    "dvc.yaml": STAGE.format("top", "big"),
    "big/dvc.yaml": STAGE.format("inside", "o"),
    "b/dvc.yaml": STAGE.format("b", "o"),
    "a/deep/dvc.yaml": STAGE.format("deep", "o"),
    "a/data.dvc": "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  hash: md5\n  path: data\n",
    "hidden/dvc.yaml": STAGE.format("hidden", "o"),
    "ignored/dvc.yaml": STAGE.format("ignored", "o"),
    "other/.dvc/config": "",
    "other/dvc.yaml": STAGE.format("other", "o"),
    ".dvcignore": "hidden\n",
    ".gitignore": "ignored/\n",
}


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    write(tmp_path, FILES)
    return tmp_path


def test_files_are_found_top_down_without_outs_ignored_and_foreign_directories(repository):
    assert load_index(here(repository)).files == ("dvc.yaml", "a/data.dvc", "a/deep/dvc.yaml", "b/dvc.yaml")


def test_a_commit_is_read_like_the_workspace(repository):
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "one")
    (repository / "b" / "dvc.yaml").unlink()
    (repository / "dvc.yaml").write_text("stages: {}\n")
    index = load_index(revision(repository, "HEAD"))
    assert {"top", "b/dvc.yaml:b", "a/deep/dvc.yaml:deep", "a/data.dvc"} <= set(index.stages)
    assert index.lock["a/data.dvc"].outs["data"].md5 == "d41d8cd98f00b204e9800998ecf8427e"
    assert "b/dvc.yaml:b" not in load_index(here(repository)).stages


def test_an_unknown_revision_and_an_absent_file_are_named(repository):
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "one")
    with pytest.raises(UsageError, match="nowhere: unknown revision"):
        revision(repository, "nowhere")
    with pytest.raises(NotFoundError, match=r"none\.yaml: no such file in commit HEAD"):
        revision(repository, "HEAD").read("none.yaml")


def test_faults_name_the_file_they_are_in(repository):
    (repository / "b" / "dvc.yaml").write_text("stages:\n  b:\n    cmd: x\n    outs: [../big]\n")
    with pytest.raises(
        UsageError, match=r"b/dvc\.yaml:4:12: out `../big` of stage `b/dvc.yaml:b` is also an out"
    ):
        load_index(here(repository))
