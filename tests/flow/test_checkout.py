import subprocess
from pathlib import Path

import pytest

from tidegate.data.cache import add_path
from tidegate.errors import NotFoundError
from tidegate.flow.checkout import How, checkout_outs
from tidegate.flow.wanted import Scope
from tidegate.pipeline.project import open_project


def track(root: Path, at: str) -> None:
    with open_project(root) as project:
        hashed = add_path(project.cache, at)
    nfiles = f"  nfiles: {hashed.nfiles}\n" if hashed.nfiles else ""
    text = (
        f"outs:\n- md5: {hashed.md5}\n  size: {hashed.size}\n{nfiles}  hash: md5\n  path: {Path(at).name}\n"
    )
    (root / f"{at}.dvc").write_text(text)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / "data/in").mkdir(parents=True)
    for name in ("a", "b", "in/c"):
        (tmp_path / "data" / name).write_text(f"{name}\n")
    (tmp_path / "one").write_text("one\n")
    track(tmp_path, "data")
    track(tmp_path, "one")
    return tmp_path


def test_nothing_changes_where_all_is_right(repo: Path):
    done = checkout_outs(repo)
    assert done == type(done)()


def test_files_are_counted_and_local_changes_kept_aside(repo: Path):
    (repo / "data/a").write_text("mine\n")
    (repo / "data/b").unlink()
    (repo / "data/new").write_text("new\n")
    done = checkout_outs(repo)
    assert done.modified == ("data/",) and done.files == (1, 1, 1)
    (place,) = [folder for _, folder in done.aside]
    assert (place / "data/a").read_text() == "mine\n" and (place / "data/new").read_text() == "new\n"
    assert (repo / "data/a").read_text() == "a\n"


def test_force_keeps_nothing(repo: Path):
    (repo / "one").write_text("mine\n")
    done = checkout_outs(repo, how=How(force=True))
    assert done.modified == ("one",) and not done.aside


def test_a_part_of_a_directory_leaves_the_rest(repo: Path):
    (repo / "data/a").unlink()
    (repo / "data/in/c").unlink()
    assert checkout_outs(repo, Scope(("data/in",))).modified == ("data/",)
    assert (repo / "data/in/c").exists() and not (repo / "data/a").exists()
    assert checkout_outs(repo, Scope(("a",), here="data")).modified == ("./",)
    assert (repo / "data/a").read_text() == "a\n"


def test_a_path_that_was_never_recorded_is_named(repo: Path):
    (failed,) = checkout_outs(repo, Scope(("data/nothing",))).failed
    assert "not in the recorded directory" in failed[1]
    with pytest.raises(NotFoundError):
        checkout_outs(repo, Scope(("nothing",)))


def test_an_out_without_its_objects_stays_as_it_is(repo: Path):
    objects = [path for path in (repo / ".dvc/cache/files").rglob("*") if path.is_file()]
    next(path for path in objects if path.read_bytes() == b"b\n").unlink()
    (repo / "data/b").write_text("mine\n")
    (repo / "one").unlink()
    done = checkout_outs(repo)
    assert [path for path, _ in done.failed] == ["data/"] and done.added == ("one",)
    assert (repo / "data/b").read_text() == "mine\n"


def test_an_out_that_no_stage_has_any_more_goes_when_it_is_unchanged(repo: Path):
    checkout_outs(repo)
    (repo / "one.dvc").unlink()
    (repo / "data.dvc").unlink()
    (repo / "data/a").write_text("mine\n")
    done = checkout_outs(repo)
    assert done.deleted == ("one",) and done.files.deleted == 1
    assert (repo / "data/a").read_text() == "mine\n"
    assert checkout_outs(repo).deleted == ()


def test_an_out_that_git_took_over_stays(repo: Path):
    checkout_outs(repo)
    (repo / "one.dvc").unlink()
    for words in (("init", "-q"), ("add", "one")):
        subprocess.run(["git", "-C", str(repo), *words], check=True)
    assert checkout_outs(repo).deleted == ()


def test_a_stage_that_never_ran_fails_only_where_its_out_is_missing(repo: Path):
    (repo / "dvc.yaml").write_text("stages:\n  s:\n    cmd: x\n    outs: [out]\n")
    assert [path for path, _ in checkout_outs(repo).failed] == ["out"]
    (repo / "out").write_text("mine\n")
    assert checkout_outs(repo).failed == ()
    assert (repo / "out").read_text() == "mine\n"
