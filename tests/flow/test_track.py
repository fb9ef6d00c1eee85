import os
import subprocess
from pathlib import Path

import pytest

from tidegate.errors import ConflictError, NotFoundError, UsageError
from tidegate.flow.bring import Bringing, bring
from tidegate.flow.commit import Committing, commit, unprotect
from tidegate.flow.follow import Watch
from tidegate.flow.remove import Removing, remove
from tidegate.flow.track import Adding, add
from tidegate.pipeline.project import open_project
from tidegate.pipeline.reproduce import reproduce, states

PIPELINE = """\
stages:
  make:
    foreach: [a, b]
    do:
      cmd: cp raw out-${item}
      deps: [raw]
      outs: ['out-${item}']
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository with a directory of two files and a script."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    for path, text in {"data/one": "1", "data/in/two": "2", "run.sh": "#!/bin/sh\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


def yes(text: str) -> bool:
    return True


def no(text: str) -> bool:
    return False


def objects(root: Path) -> set[str]:
    return {
        path.parent.name + path.name for path in (root / ".dvc/cache/files/md5").rglob("*") if path.is_file()
    }


def test_what_is_added_is_tracked_cached_hidden_from_git_and_left_in_place(root: Path):
    done = add(root, Adding(("data", "run.sh")))
    assert [(one.at, one.file, one.changed) for one in done.added] == [
        ("data", "data.dvc", True),
        ("run.sh", "run.sh.dvc", True),
    ]
    assert set(done.to_git) == {"data.dvc", "run.sh.dvc", ".gitignore"}
    assert (root / ".gitignore").read_text() == "/data\n/run.sh\n"
    assert len(objects(root)) == 4
    assert done.added[1].hashed.isexec
    assert os.access(root / "run.sh", os.X_OK)
    assert states(root) == {}


def test_nothing_unchanged_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch):
    # what was written within the clock's grain proves nothing yet
    for _ in range(5):
        add(root, Adding(("data",)))

    def refuse(*args: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr("tidegate.data.cache._read", refuse)
    monkeypatch.setattr("tidegate.data.cache.md5_while", refuse)
    before = (root / "data.dvc").stat()
    assert not add(root, Adding(("data",))).added[0].changed
    assert (root / "data.dvc").stat() == before


def test_the_watcher_is_told_of_each_file(root: Path):
    sizes: list[int] = []
    add(root, Adding(("data", "run.sh")), watch=Watch(stored=sizes.append))
    assert sorted(sizes) == [1, 1, 10]


def test_when_one_of_several_cannot_be_added_none_is(root: Path):
    with pytest.raises(NotFoundError, match="nothing"):
        add(root, Adding(("data", "nothing")))
    assert not (root / "data.dvc").exists()
    assert not (root / ".gitignore").exists()


def test_a_dvc_file_that_tracks_something_else_is_taken_over_only_by_force(root: Path):
    (root / "data.dvc").write_text(f"desc: says\nouts:\n- md5: {'d4' * 16}\n  hash: md5\n  path: x\n")
    with pytest.raises(ConflictError, match=r"data\.dvc"):
        add(root, Adding(("data",)))
    add(root, Adding(("data",), force=True))
    text = (root / "data.dvc").read_text()
    assert "desc: says" in text
    assert "path: data" in text


def test_a_dvc_file_that_git_would_ignore_is_refused(root: Path):
    (root / ".gitignore").write_text("*.dvc\n")
    with pytest.raises(ConflictError, match="ignored by git"):
        add(root, Adding(("data",)))


def test_a_directory_that_holds_stages_is_refused(root: Path):
    (root / "data/dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(ConflictError, match="describes stages"):
        add(root, Adding(("data",)))


def test_one_path_of_a_tracked_directory_needs_its_list_of_files(root: Path):
    add(root, Adding(("data",), commit=False))
    (root / "data/new").write_text("new")
    with pytest.raises(NotFoundError, match="list of files"):
        add(root, Adding(("data/new",)))
    add(root, Adding(("data",)))
    with pytest.raises(NotFoundError, match="does not exist"):
        add(root, Adding(("data/nothing",)))
    assert not add(root, Adding(("data/in",))).added[0].changed


def test_executable_files_inside_a_directory_stay_so_when_one_path_is_added(root: Path):
    (root / "data/one").chmod(0o755)
    add(root, Adding(("data",)))
    (root / "data/in/tool").write_text("x")
    (root / "data/in/tool").chmod(0o755)
    add(root, Adding(("data/in",)))
    from tidegate.data.checkout import checkout, discard

    with open_project(root) as project:
        discard(project.cache, "data")
        checkout(project.cache, "data", project.lock["data.dvc"].outs["data"])
    assert os.access(root / "data/one", os.X_OK)
    assert os.access(root / "data/in/tool", os.X_OK)
    assert not os.access(root / "data/in/two", os.X_OK)


def test_a_copy_never_replaces_what_is_there_unless_forced(root: Path, tmp_path: Path):
    (root / "mine").write_text("mine")
    with pytest.raises(ConflictError, match="exists already"):
        bring(root, Adding(("run.sh",)), Bringing("mine"))
    assert (root / "mine").read_text() == "mine"
    bring(root, Adding(("run.sh",), force=True), Bringing("mine"))
    assert os.access(root / "mine", os.X_OK)
    assert states(root) == {}


def test_a_copy_into_a_tracked_directory_is_refused(root: Path):
    add(root, Adding(("data",)))
    with pytest.raises(UsageError, match="tracked as a whole"):
        bring(root, Adding(("run.sh",)), Bringing("data"))


def test_urls_are_left_to_imports(root: Path):
    with pytest.raises(UsageError, match="URL"):
        bring(root, Adding(("https://example.org/x",)), Bringing("x"))


def test_changes_are_committed_only_with_a_yes_or_by_force(root: Path):
    add(root, Adding(("data",)))
    (root / "data/one").write_text("changed")
    before = (root / "data.dvc").read_text()
    with pytest.raises(ConflictError, match="without a yes"):
        commit(root, Committing(), confirm=no)
    assert (root / "data.dvc").read_text() == before
    assert commit(root, Committing(("data",)), confirm=yes).stages == {"data.dvc": ("data",)}
    assert states(root) == {}
    (root / "data/one").write_text("again")
    commit(root, Committing(force=True), confirm=no)
    assert states(root) == {}


def test_committing_what_did_not_change_brings_lost_objects_back(root: Path):
    add(root, Adding(("data",)))
    for path in (root / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file():
            path.unlink()
    assert states(root) != {}
    done = commit(root, Committing(("data.dvc",)), confirm=no)
    assert done.stages == {"data.dvc": ()}
    assert done.to_git == ()
    assert states(root) == {}


def test_a_stage_whose_out_is_not_there_cannot_be_committed(root: Path):
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "raw").write_text("raw")
    with pytest.raises(NotFoundError, match="out-a"):
        commit(root, Committing(force=True), confirm=yes)


def test_the_stages_of_a_group_go_together_or_not_at_all(root: Path):
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "raw").write_text("raw")
    reproduce(root)
    with pytest.raises(UsageError, match="one of 2 stages"):
        remove(root, Removing(("make@a",)))
    done = remove(root, Removing(("make",)))
    assert done.keys == ("make@a", "make@b")
    assert not (root / "dvc.yaml").exists()
    assert not (root / "dvc.lock").exists()
    assert not (root / ".gitignore").exists()
    assert (root / "out-a").exists()


def test_unsaved_content_is_moved_aside_when_outs_are_removed(root: Path):
    add(root, Adding(("data",)))
    (root / "data/one").write_text("not saved")
    done = remove(root, Removing(("data.dvc",), outs=True))
    assert not (root / "data").exists()
    assert (done.aside["data"] / "data/one").read_text() == "not saved"
    assert set(done.to_git) == {"data.dvc", ".gitignore"}


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_unprotected_files_can_be_edited_without_harm_to_the_cache(root: Path, kind: str):
    (root / ".dvc/config").write_text(f"[cache]\n    type = {kind}\n")
    add(root, Adding(("data",)))
    assert not (root / "data/one").stat().st_mode & 0o200
    assert unprotect(root, ["data"]) == ("data",)
    (root / "data/one").write_text("edited")
    assert commit(root, Committing(), confirm=yes).stages == {"data.dvc": ("data",)}
    with pytest.raises(NotFoundError, match="nothing"):
        unprotect(root, ["nothing"])
