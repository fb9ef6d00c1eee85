"""import-url, import and update: what they refuse, what they keep, and what they leave alone."""

import subprocess
from pathlib import Path

import pytest

from tidegate.errors import ConflictError, NotFoundError, UnavailableError, UsageError
from tidegate.flow.follow import Watch
from tidegate.flow.imports import Importing, import_repo, import_url
from tidegate.flow.update import Updating, update, with_updates
from tidegate.pipeline.imports import fetch_import, reimport
from tidegate.pipeline.project import open_project


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data outside of the project."""
    folder = tmp_path / "store"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_text("a")
    (folder / "inner" / "b").write_text("b")
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another repository without DVC."""
    other = tmp_path / "other"
    (other / "lib").mkdir(parents=True)
    (other / "lib" / "code.py").write_text("1\n")
    git(other, "init", "-q", "-b", "main")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "one")
    return other


def commit(other: Path, text: str) -> str:
    (other / "lib" / "code.py").write_text(text)
    git(other, "commit", "-qam", text.strip())
    return git(other, "rev-parse", "HEAD")


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_a_directory_is_copied_tracked_and_kept_out_of_git(root: Path, folder: Path) -> None:
    done = import_url(root, str(folder), Importing("data", "sub"))
    assert [(one.at, one.file) for one in done.imported] == [("sub/data", "sub/data.dvc")]
    assert done.to_git == ("sub/data.dvc", "sub/.gitignore")
    assert files(root / "sub" / "data") == {"a": "a", "inner/b": "b"}
    assert (root / "sub" / ".gitignore").read_text() == "/data\n"
    assert not list((root / ".tidegate" / "staging").iterdir())


def test_a_relative_path_is_recorded_as_seen_from_the_dvc_file(root: Path, folder: Path) -> None:
    (root / "sub").mkdir()
    import_url(root, "../store/a", Importing("sub/copy"))
    assert "path: ../../store/a\n" in (root / "sub" / "copy.dvc").read_text()
    (folder / "a").write_text("a2")
    assert update(root, Updating(("sub/copy.dvc",))).imported[0].changed
    assert (root / "sub" / "copy").read_text() == "a2"


def test_what_is_there_is_only_replaced_by_force(root: Path, folder: Path) -> None:
    (root / "a").write_text("mine")
    with pytest.raises(ConflictError, match="exists already"):
        import_url(root, str(folder / "a"), Importing())
    assert (root / "a").read_text() == "mine"
    assert not (root / "a.dvc").exists()
    import_url(root, str(folder / "a"), Importing(force=True))
    assert (root / "a").read_text() == "a"


def test_a_source_that_is_not_there_leaves_nothing(root: Path, other: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        import_url(root, "/no/such/file", Importing())
    with pytest.raises(NotFoundError, match=r"did you mean `lib/code\.py`"):
        import_repo(root, "lib/cod.py", {"url": str(other)}, Importing())
    with pytest.raises(UnavailableError):
        import_repo(root, "x", {"url": "file:///no/such/repository"}, Importing())
    with pytest.raises(UsageError, match="unknown revision"):
        import_repo(root, "lib", {"url": str(other), "rev": "v9"}, Importing())
    with pytest.raises(UsageError, match="is not supported"):
        import_url(root, "gopher://host/x", Importing())
    assert sorted(path.name for path in root.iterdir()) == [".dvc", ".git", ".tidegate"]


def test_only_the_commit_of_another_repository_is_read(root: Path, other: Path) -> None:
    (other / "lib" / "code.py").write_text("dirty\n")
    import_repo(root, "lib", {"url": str(other)}, Importing())
    assert files(root / "lib") == {"code.py": "1\n"}


def test_update_follows_and_keeps_local_changes_aside(root: Path, other: Path) -> None:
    import_repo(root, "lib/code.py", {"url": str(other)}, Importing())
    head = commit(other, "2\n")
    (root / "code.py").write_text("edited\n")
    notes: list[str] = []
    done = update(root, Updating(("code.py",)), watch=Watch(notes.append))
    assert done.imported[0].changed
    assert (root / "code.py").read_text() == "2\n"
    assert f"rev_lock: {head}" in (root / "code.py.dvc").read_text()
    aside = [path for path in (root / ".tidegate" / "aside").rglob("*") if path.is_file()]
    assert [path.read_text() for path in aside] == ["edited\n"]
    assert "not saved" in notes[0]


def test_an_update_without_change_touches_nothing(root: Path, folder: Path) -> None:
    import_url(root, str(folder), Importing("data"))
    before = {path: path.stat().st_mtime_ns for path in root.glob("data*")}
    done = update(root, Updating(("data.dvc",)))
    assert [one.changed for one in done.imported] == [False]
    assert {path: path.stat().st_mtime_ns for path in root.glob("data*")} == before


def test_a_lost_copy_comes_back_from_the_cache(root: Path, folder: Path) -> None:
    import_url(root, str(folder / "a"), Importing())
    (root / "a").unlink()
    update(root, Updating(("a.dvc",)))
    assert (root / "a").read_text() == "a"


def test_all_imports_below_a_directory(root: Path, folder: Path) -> None:
    (root / "sub").mkdir()
    for name in ("one", "two"):
        import_url(root, str(folder / "a"), Importing(f"sub/{name}"))
    (folder / "a").write_text("changed")
    done = update(root, Updating(("sub",), recursive=True))
    assert sorted(one.at for one in done.imported if one.changed) == ["sub/one", "sub/two"]


def test_update_refuses_what_is_no_import(root: Path, folder: Path) -> None:
    (root / "d.dvc").write_text(
        "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  hash: md5\n  path: d\n"
    )
    with pytest.raises(UsageError, match="is no import"):
        update(root, Updating(("d.dvc",)))
    import_url(root, str(folder / "a"), Importing())
    with pytest.raises(UsageError, match="only for imports from repositories"):
        update(root, Updating(("a.dvc",), rev="main"))


def test_a_newer_commit_is_told_beside_other_states(root: Path, other: Path) -> None:
    import_repo(root, "lib", {"url": f"file://{other}"}, Importing())
    states = {"lib.dvc": [{"changed outs": {"lib": "deleted"}}]}
    assert with_updates(root, {}, ["lib.dvc"]) == {}
    commit(other, "2\n")
    newer = {"changed deps": {f"lib (file://{other})": "update available"}}
    assert with_updates(root, states, ["lib.dvc"]) == {"lib.dvc": [newer, *states["lib.dvc"]]}


def test_reimport_brings_what_changed_and_gives_the_entry(root: Path, folder: Path) -> None:
    import_url(root, str(folder), Importing("data"))
    file = root / "data.dvc"
    file.write_text(file.read_text().replace("frozen: true\n", ""))
    (folder / "a").write_text("new")
    with open_project(root) as project:
        entry = reimport(project, project.stages["data.dvc"])
    assert files(root / "data")["a"] == "new"
    assert entry.outs["data"].md5 == entry.deps[str(folder)].md5


def test_fetching_an_import_fills_only_the_cache(root: Path, other: Path) -> None:
    import_repo(root, "lib", {"url": str(other)}, Importing(extent="no_download"))
    with open_project(root) as project:
        hashed = fetch_import(project, project.stages["lib.dvc"])
        assert project.cache.folder.joinpath("files/md5", hashed.md5[:2], hashed.md5[2:]).exists()
    assert not (root / "lib").exists()


def test_to_remote_keeps_nothing_here(root: Path, folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "remote"
    (root / ".dvc" / "config").write_text(f"[core]\n    remote = r\n['remote \"r\"']\n    url = {store}\n")
    done = import_url(root, str(folder), Importing("data", extent="to_remote"))
    assert not (root / "data").exists()
    hashed = done.imported[0].hashed
    assert hashed is not None
    assert hashed.nfiles == 2
    assert len(files(store)) == 3
