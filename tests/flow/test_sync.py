import shutil
import subprocess
from pathlib import Path

import pytest

from tidegate.data.cache import add_path
from tidegate.errors import NotFoundError
from tidegate.flow.fsck import Check, check_cache
from tidegate.flow.sync import Trade, cloud_status, fetch, pull, push
from tidegate.flow.wanted import Scope
from tidegate.pipeline.project import open_project
from tidegate.store.refs import Revisions


def track(root: Path, at: str, *, more: str = "") -> None:
    """What `add` records, without its other duties."""
    with open_project(root) as project:
        hashed = add_path(project.cache, at)
    name = Path(at).name
    fields = f"  size: {hashed.size}\n" + (f"  nfiles: {hashed.nfiles}\n" if hashed.nfiles else "")
    text = f"outs:\n- md5: {hashed.md5}\n{fields}  hash: md5\n  path: {name}\n{more}"
    (root / f"{at}.dvc").write_text(text)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("[core]\n    remote = r\n['remote \"r\"']\n    url = ../../remote\n")
    (root / "data/in").mkdir(parents=True)
    for name in ("a", "b", "in/c"):
        (root / "data" / name).write_text(f"{name}\n")
    (root / "one").write_text("one\n")
    track(root, "data")
    track(root, "one")
    return root


def stored(root: Path) -> set[str]:
    remote = root.parent / "remote"
    return {path.relative_to(remote).as_posix() for path in remote.rglob("*") if path.is_file()}


def empty(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")
    shutil.rmtree(root / "data")
    (root / "one").unlink()


def test_what_is_pushed_can_be_pulled_elsewhere(repo: Path):
    assert push(repo).moved == 5
    assert push(repo)[:3] == (0, 0, 5)
    empty(repo)
    fetched, done = pull(repo)
    assert fetched.moved == 5 and done.added == ("data/", "one") and done.files.added == 4
    assert (repo / "data/in/c").read_text() == "in/c\n"
    assert pull(repo)[0].moved == 0


def test_one_missing_object_is_named_and_the_rest_arrives(repo: Path):
    push(repo)
    (victim,) = [name for name in stored(repo) if (repo.parent / "remote" / name).read_bytes() == b"b\n"]
    (repo.parent / "remote" / victim).unlink()
    empty(repo)
    fetched, done = pull(repo)
    assert [lost.where for lost in fetched.lost] == ["data/b"]
    assert done.added == ("one",) and [path for path, _ in done.failed] == ["data/"]


def test_what_nobody_has_is_named_on_push(repo: Path):
    shutil.rmtree(repo / ".dvc/cache")
    lost = push(repo).lost
    assert {one.where for one in lost} == {"data", "one"}
    assert not stored(repo)


def test_a_damaged_object_is_not_pushed(repo: Path):
    (victim,) = [
        path
        for path in (repo / ".dvc/cache/files").rglob("*")
        if path.is_file() and path.read_bytes() == b"one\n"
    ]
    victim.chmod(0o644)
    victim.write_text("bad\n")
    assert [one.where for one in push(repo).lost] == ["one"]
    assert len(stored(repo)) == 4


def test_a_part_of_a_directory_is_fetched_alone(repo: Path):
    push(repo)
    empty(repo)
    assert fetch(repo, Scope(("data/in",))).moved == 2
    assert fetch(repo, Scope(("data/in/c",))).moved == 0


def test_outs_that_are_not_to_be_pushed_stay(repo: Path):
    track(repo, "one", more="  push: false\n")
    assert push(repo).moved == 4
    assert "one" not in cloud_status(repo)


def test_an_unknown_remote_is_refused_even_with_nothing_to_do(repo: Path):
    for name in ("data.dvc", "one.dvc"):
        (repo / name).unlink()
    with pytest.raises(NotFoundError, match="nope"):
        push(repo, trade=Trade(remote="nope"))


def test_the_cloud_differs_until_pushed(repo: Path):
    assert cloud_status(repo) == dict.fromkeys(("data", "data/a", "data/b", "data/in/c", "one"), "new")
    push(repo)
    assert cloud_status(repo) == {}
    assert cloud_status(repo, Scope(here="data")) == {}
    empty(repo)
    assert cloud_status(repo, Scope(("one",))) == {"one": "deleted"}
    assert cloud_status(repo) == dict.fromkeys(("data/a", "data/b", "data/in/c", "one"), "deleted")


def test_commits_are_read_beside_the_workspace(repo: Path):
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(repo), *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", "one.dvc", "data.dvc", ".dvc/config")
    git("commit", "-qm", "first")
    git("tag", "v1")
    (repo / "one").write_text("two\n")
    track(repo, "one")
    assert push(repo).moved == 5
    assert push(repo, Scope(revisions=Revisions(tags=True))).moved == 1
    assert push(repo, Scope(revisions=Revisions(commits=True, branches=True))).moved == 0


def test_a_cache_is_verified_and_healed(repo: Path):
    assert check_cache(repo).is_sound
    push(repo)
    (victim,) = [
        path
        for path in (repo / ".dvc/cache/files").rglob("*")
        if path.is_file() and path.read_bytes() == b"b\n"
    ]
    victim.chmod(0o644)
    victim.write_text("B\n")
    victim.chmod(0o444)
    found = check_cache(repo)
    assert not found.is_sound and found.objects == 5
    assert [one.needed_by for one in found.damaged] == [("data/b",)]
    assert found.aside and list(found.aside.rglob(victim.name))
    fetch(repo)
    victim.chmod(0o644)
    victim.write_text("B\n")
    healed = check_cache(repo, Check(fetch=True))
    assert healed.is_sound and healed.fetched == 1 and victim.read_bytes() == b"b\n"
