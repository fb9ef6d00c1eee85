import pytest

from tidegate.data.cache import (
    ensure_dvc,
    has_object,
    object_path,
    open_cache,
    remove_path,
    restore_object,
    save_object,
)
from tidegate.data.hash import Files, hash_path
from tidegate.data.statcache import StatCache
from tidegate.errors import UnavailableError


@pytest.fixture
def cache(tmp_path):
    ensure_dvc(tmp_path)
    (tmp_path / "d" / "deep").mkdir(parents=True)
    (tmp_path / "d" / "deep" / "x").write_text("deep")
    (tmp_path / "f").write_text("file")
    (tmp_path / "f").chmod(0o755)
    return open_cache(Files(tmp_path, StatCache(tmp_path / ".tidegate" / "stat.json")))


def saved(cache, path):
    hashed = hash_path(cache.files, path)
    save_object(cache, path, hashed)
    return hashed


@pytest.mark.parametrize("path", ["f", "d"])
def test_what_was_saved_can_be_restored(cache, path):
    hashed = saved(cache, path)
    assert has_object(cache, hashed.md5)
    remove_path(cache.files.root / path)
    assert restore_object(cache, path, hashed)
    assert hash_path(cache.files, path) == hashed


def test_objects_are_read_only_and_leave_no_temporary_file(cache):
    md5s = [saved(cache, path).md5 for path in ("f", "d")]
    assert {object_path(cache, md5).stat().st_mode & 0o777 for md5 in md5s} == {0o444}
    assert not [path for path in cache.folder.rglob("*") if path.name.startswith(".")]


def test_a_copy_that_was_killed_is_made_again(cache):
    target = object_path(cache, hash_path(cache.files, "f").md5)
    target.parent.mkdir(parents=True)
    leftover = target.with_name(f".{target.name}.tmp")
    leftover.write_text("half")
    leftover.chmod(0o444)
    saved(cache, "f")
    assert target.read_text() == "file"
    assert not leftover.exists()


def test_many_files_are_saved_as_well(cache):
    for number in range(100):
        (cache.files.root / "d" / str(number)).write_text(str(number))
    assert has_object(cache, saved(cache, "d").md5)


def test_a_directory_with_a_lost_file_counts_as_missing(cache):
    hashed, inner = saved(cache, "d"), hash_path(cache.files, "d/deep/x")
    object_path(cache, inner.md5).unlink()
    assert not has_object(cache, hashed.md5)
    assert not restore_object(cache, "d", hashed)
    assert (cache.files.root / "d" / "deep" / "x").exists()


@pytest.mark.parametrize("path", ["f", "d"])
def test_a_damaged_object_is_deleted_and_not_restored(cache, path):
    hashed = saved(cache, path)
    damaged = object_path(cache, hashed.md5)
    damaged.chmod(0o644)
    damaged.write_text("[]")
    assert not restore_object(cache, path, hashed)
    assert not damaged.exists()


def test_content_that_changes_while_it_is_saved_is_not_saved(cache, monkeypatch):
    hashed = hash_path(cache.files, "f")
    monkeypatch.setattr(
        "shutil.copyfile", lambda source, target: (source.write_text("new!!"), target.touch())
    )
    with pytest.raises(UnavailableError):
        save_object(cache, "f", hashed)
    assert not has_object(cache, hashed.md5)


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ("", ".dvc/cache"),
        ("[cache]\n    dir = ../shared\n", ".dvc/../shared"),
        ("[cache]\n    type = copy\n", ".dvc/cache"),
    ],
)
def test_the_configured_cache_directory_is_used(cache, config, folder):
    (cache.files.root / ".dvc" / "config").write_text(config)
    assert open_cache(cache.files).folder == cache.files.root / folder


@pytest.mark.parametrize(("in_git", "config"), [(True, ""), (False, "[core]\n    no_scm = True\n")])
def test_dvc_is_initialized_once_and_told_whether_there_is_git(tmp_path, in_git, config):
    if in_git:
        (tmp_path / ".git").mkdir()
    ensure_dvc(tmp_path)
    assert (tmp_path / ".dvc" / "config").read_text() == config
    (tmp_path / ".dvc" / "config").write_text("mine")
    ensure_dvc(tmp_path)
    assert (tmp_path / ".dvc" / "config").read_text() == "mine"
