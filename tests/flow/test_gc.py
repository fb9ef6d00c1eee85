import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tidegate.data.cache import add_path
from tidegate.errors import ConflictError, TidegateError, UsageError
from tidegate.flow.gc import Sweep, check_scope, collect_garbage
from tidegate.pipeline.project import open_project
from tidegate.pipeline.reproduce import reproduce
from tidegate.store.refs import Revisions

NOW = Sweep(grace_s=0)


def track(root: Path, at: str) -> None:
    with open_project(root) as project:
        hashed = add_path(project.cache, at)
    nfiles = f"  nfiles: {hashed.nfiles}\n" if hashed.nfiles else ""
    text = (
        f"outs:\n- md5: {hashed.md5}\n  size: {hashed.size}\n{nfiles}  hash: md5\n  path: {Path(at).name}\n"
    )
    (root / f"{at}.dvc").write_text(text)


def objects(root: Path) -> set[bytes]:
    return {path.read_bytes() for path in (root / ".dvc/cache/files").rglob("*") if path.is_file()}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """`one` was `old`, which the tag v1 has."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / "one").write_text("old\n")
    track(tmp_path, "one")
    for words in (("init", "-q"), ("add", "one.dvc", ".dvc/config"), ("commit", "-qm", "x"), ("tag", "v1")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / "one").write_text("new\n")
    track(tmp_path, "one")
    return tmp_path


def test_what_nothing_uses_goes_and_the_bytes_are_told(repo: Path):
    (done,) = collect_garbage(repo, NOW._replace(dry=True))
    assert len(done.keys) == 1 and done.total_bytes == 4 and objects(repo) == {b"old\n", b"new\n"}
    assert collect_garbage(repo, NOW) == (done,)
    assert objects(repo) == {b"new\n"}


@pytest.mark.parametrize(
    "revisions",
    [Revisions(tags=True), Revisions(branches=True), Revisions(commits=True), Revisions(names=("v1",))],
)
def test_commits_keep_what_they_use(repo: Path, revisions: Revisions):
    assert collect_garbage(repo, NOW._replace(revisions=revisions))[0].keys == ()


def test_young_objects_stay(repo: Path):
    (done,) = collect_garbage(repo, Sweep())
    assert done.keys == () and done.young == 1


def test_a_save_under_way_keeps_what_came_since(repo: Path):
    folder = repo / ".dvc/cache/tidegate/staging/x"
    folder.mkdir(parents=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (repo / "late").write_text("late\n")
        with open_project(repo) as project:
            add_path(project.cache, "late")
        collect_garbage(repo, Sweep(grace_s=1e-9))
    finally:
        os.close(handle)
    assert b"late\n" in objects(repo)


def test_files_of_a_directory_whose_list_is_lost_are_not_swept(repo: Path):
    (repo / "d").mkdir()
    (repo / "d/x").write_text("x\n")
    track(repo, "d")
    next((repo / ".dvc/cache/files").rglob("*.dir")).unlink()
    with pytest.raises(ConflictError, match="list of files"):
        collect_garbage(repo, NOW)
    assert b"x\n" in objects(repo)
    collect_garbage(repo, NOW._replace(force=True))
    assert b"x\n" not in objects(repo)


def test_nothing_goes_when_a_commit_cannot_be_read(repo: Path):
    (repo / "dvc.yaml").write_text("stages: [")
    for words in (("add", "dvc.yaml"), ("commit", "-qm", "broken"), ("tag", "bad")):
        subprocess.run(["git", "-C", str(repo), *words], check=True)
    (repo / "dvc.yaml").unlink()
    sweep = NOW._replace(revisions=Revisions(tags=True))
    with pytest.raises(TidegateError, match="commit"):
        collect_garbage(repo, sweep)
    assert objects(repo) == {b"old\n", b"new\n"}
    told: list[str] = []
    collect_garbage(repo, sweep._replace(skip_failed=True, note=told.append))
    assert objects(repo) == {b"old\n", b"new\n"} and len(told) == 1


def test_runs_go_only_when_asked_and_all_their_outs_are_gone(repo: Path):
    (repo / "dvc.yaml").write_text("stages:\n  s:\n    cmd: cp one out\n    deps: [one]\n    outs: [out]\n")
    reproduce(repo)
    (repo / "dvc.yaml").unlink()
    (repo / "dvc.lock").unlink()
    (repo / "one").write_text("else\n")
    track(repo, "one")
    runs = repo / ".dvc/cache/runs"
    cache, swept = collect_garbage(repo, NOW._replace(runs=True, dry=True))
    assert len(swept.keys) == 1 and len(cache.keys) == 2
    collect_garbage(repo, NOW)
    assert any(path.is_file() for path in runs.rglob("*"))
    collect_garbage(repo, NOW._replace(runs=True))
    assert not any(path.is_file() for path in runs.rglob("*"))


@pytest.mark.parametrize(
    ("sweep", "workspace"),
    [
        (Sweep(), False),
        (Sweep(remote="r"), True),
        (Sweep(cloud=True, not_in_remote=True), True),
        (Sweep(revisions=Revisions(tags=True, number=2)), False),
    ],
)
def test_a_scope_that_makes_no_sense_is_refused(sweep: Sweep, workspace: bool):
    with pytest.raises(UsageError):
        check_scope(sweep, workspace=workspace)
