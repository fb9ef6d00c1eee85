import os
import sqlite3
import stat
from pathlib import Path

import pytest

from tidegate.data import cache as module
from tidegate.data.cache import (
    add_path,
    ensure_dvc,
    has_object,
    is_sound,
    missing_objects,
    object_path,
    open_cache,
    read_tree,
    unsound_objects,
)
from tidegate.data.hash import Files, Hashed, dir_object, hash_path, md5_bytes
from tidegate.data.md5 import DOS2UNIX, LARGE
from tidegate.data.objects import sound_table
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError, UnavailableError


@pytest.fixture
def cache(tmp_path):
    ensure_dvc(tmp_path)
    (tmp_path / "d" / "deep").mkdir(parents=True)
    (tmp_path / "d" / "deep" / "x").write_text("deep")
    (tmp_path / "d" / "run").write_text("run")
    (tmp_path / "d" / "run").chmod(0o755)
    (tmp_path / "f").write_text("file")
    (tmp_path / "f").chmod(0o755)
    return open_cache(Files(tmp_path, StatCache(tmp_path / ".tidegate" / "cache" / "stat.json")))


def damage(path, text="{}"):
    path.chmod(0o644)
    path.write_text(text)
    path.chmod(0o444)


def left_over(cache):
    return [
        path for path in (cache.folder / "tidegate").rglob("*") if path.is_file() and path.suffix != ".json"
    ]


@pytest.mark.parametrize("at", ["f", "d"])
def test_what_is_added_has_the_hash_that_the_path_has(cache, at):
    hashed = add_path(cache, at)
    assert hashed == hash_path(cache.files, at)
    assert has_object(cache, hashed)
    assert missing_objects(cache, hashed) == []


def test_a_large_file_is_added_as_well_as_a_small_one(cache):
    (cache.files.root / "large").write_bytes(b"\0\1" * LARGE)
    hashed = add_path(cache, "large")
    assert hashed.md5 == md5_bytes(b"\0\1" * LARGE)
    assert object_path(cache, hashed.md5).read_bytes() == b"\0\1" * LARGE


def test_the_tree_that_was_saved_can_be_read(cache):
    hashed = add_path(cache, "d")
    assert read_tree(cache, hashed) == [("deep/x", md5_bytes(b"deep")), ("run", md5_bytes(b"run"))]
    assert read_tree(cache, Hashed("a" * 32, 1)) == [("", "a" * 32)]


def test_objects_are_read_only_and_leave_no_temporary_file(cache):
    md5s = [add_path(cache, at).md5 for at in ("f", "d")]
    assert {object_path(cache, md5).stat().st_mode & 0o777 for md5 in md5s} == {0o444}
    assert left_over(cache) == []


def test_objects_are_read_only_whatever_the_umask(cache):
    before = os.umask(0o077)
    try:
        assert stat.S_IMODE(object_path(cache, add_path(cache, "f").md5).stat().st_mode) == 0o444
    finally:
        os.umask(before)


def test_saving_again_writes_nothing(cache):
    add_path(cache, "d")
    inodes = {path: path.stat().st_ino for path in cache.folder.rglob("*") if path.is_file()}
    add_path(cache, "d")
    assert {path: path.stat().st_ino for path in cache.folder.rglob("*") if path.is_file()} == inodes


def test_equal_files_are_stored_once(cache):
    for number in range(100):
        (cache.files.root / "d" / str(number)).write_text(str(number % 3))
    hashed = add_path(cache, "d")
    assert hashed.nfiles == 102
    files = [path for path in (cache.folder / "files").rglob("*") if path.is_file()]
    assert len(files) == 3 + 2 + 1


@pytest.mark.parametrize("size", [10, 2 * LARGE])
def test_content_that_never_rests_is_not_saved(cache, monkeypatch, size):
    path = cache.files.root / "f"
    path.write_bytes(b"x" * size)
    copy, write = module.copy_file, module._read

    def grow(*arguments, then):
        done = then(*arguments)
        with path.open("ab") as file:
            file.write(b"more")
        return done

    monkeypatch.setattr(module, "copy_file", lambda *arguments: grow(*arguments, then=copy))
    monkeypatch.setattr(module, "_read", lambda *arguments: grow(*arguments, then=write))
    with pytest.raises(UnavailableError, match="changes while it is read"):
        add_path(cache, "f")
    assert not (cache.folder / "files").exists()
    assert left_over(cache) == []


def test_nothing_cannot_be_added(cache):
    with pytest.raises(NotFoundError, match="gone: does not exist"):
        add_path(cache, "gone")


def test_what_a_killed_process_left_is_swept(cache):
    add_path(cache, "f")
    left = cache.folder / "tidegate" / "staging" / "dead" / "0"
    left.parent.mkdir()
    left.write_text("half")
    add_path(cache, "d")
    assert not left.parent.exists()


def test_what_another_process_is_making_is_left_alone(cache):
    with module._saving(cache, "f", kind="md5", link=False) as saving:
        making = Path(next(saving.names))
        making.touch()
        add_path(cache, "d")
        assert making.exists()


def test_a_directory_with_a_lost_file_counts_as_missing(cache):
    hashed = add_path(cache, "d")
    object_path(cache, md5_bytes(b"deep")).unlink()
    assert not has_object(cache, hashed)
    assert missing_objects(cache, hashed) == [md5_bytes(b"deep")]
    object_path(cache, hashed.md5).unlink()
    assert missing_objects(cache, hashed) == [hashed.md5]


@pytest.mark.parametrize(
    "listed",
    ["[{}]", "3", "[1]", "nonsense", '[{"relpath": "../x", "md5": "ab"}]', '[{"relpath": "x", "md5": "../ab"}]',
     '[{"relpath": "/x", "md5": "ab"}]', '[{"relpath": "a//x", "md5": "ab"}]'],
)  # fmt: skip
def test_a_tree_that_is_none_or_leads_outside_is_not_read(cache, listed):
    md5 = f"{md5_bytes(listed.encode())}.dir"
    object_path(cache, md5).parent.mkdir(parents=True)
    object_path(cache, md5).write_text(listed)
    assert read_tree(cache, Hashed(md5, 1, 1)) is None


@pytest.mark.parametrize("at", ["f", "d"])
def test_a_damaged_object_is_moved_aside_and_counts_as_missing(cache, at):
    hashed = add_path(cache, at)
    assert is_sound(cache, hashed.md5)
    damage(object_path(cache, hashed.md5))
    assert not is_sound(cache, hashed.md5)
    assert not object_path(cache, hashed.md5).exists()
    (aside,) = (cache.files.root / ".tidegate" / "aside").rglob(hashed.md5[2:])
    assert aside.read_text() == "{}"


def test_damage_is_seen_even_with_the_time_restored(cache):
    path = object_path(cache, add_path(cache, "f").md5)
    before = path.stat()
    damage(path, "elif")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not is_sound(cache, md5_bytes(b"file"))


def test_what_was_verified_is_not_read_again(cache, monkeypatch):
    md5 = add_path(cache, "f").md5
    sound_table(cache).unlink()
    assert is_sound(cache, md5)
    monkeypatch.setattr("tidegate.data.objects.md5_file", lambda *_: pytest.fail("was read again"))
    assert is_sound(cache, md5)
    os.link(object_path(cache, md5), cache.files.root / "linked")
    assert is_sound(cache, md5), "a link changes the ctime and nothing else"


@pytest.mark.parametrize("torn", [b"", b"SQLite format 3\0torn", b"no table at all" * 100])
def test_a_torn_table_of_what_was_verified_costs_only_time(cache, torn):
    hashed = add_path(cache, "d")
    sound_table(cache).write_bytes(torn)
    assert is_sound(cache, hashed.md5)
    (cache.files.root / "f").write_text("new")
    assert is_sound(cache, add_path(cache, "f").md5)


def test_a_busy_table_costs_only_time(cache, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr("sqlite3.connect", lambda path, timeout: connect(path, timeout=0))
    hashed = add_path(cache, "d")
    other = connect(sound_table(cache))
    other.execute("begin exclusive")
    assert is_sound(cache, hashed.md5)
    other.close()


def test_missing_objects_are_named_in_order(cache):
    hashed = add_path(cache, "f")
    assert unsound_objects(cache, ["b" * 32, hashed.md5, "a" * 32]) == ["b" * 32, "a" * 32]


def test_objects_of_dvc_2_lie_in_the_old_layout_and_are_hashed_its_way(cache):
    unix = md5_bytes(b"a\nb\n")
    path = object_path(cache, unix, kind=DOS2UNIX)
    assert path == cache.folder / unix[:2] / unix[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a\r\nb\r\n")
    assert has_object(cache, Hashed(unix, 6, kind=DOS2UNIX))
    assert is_sound(cache, unix, kind=DOS2UNIX)
    assert not is_sound(cache, unix)


def test_an_entry_of_dvc_2_is_saved_in_its_layout(cache):
    (cache.files.root / "d" / "dos").write_bytes(b"a\r\n")
    hashed = add_path(cache, "d", kind=DOS2UNIX)
    assert hashed == hash_path(cache.files, "d", kind=DOS2UNIX)
    assert has_object(cache, hashed)
    assert not (cache.folder / "files").exists()


def test_executable_files_of_a_directory_are_noted_until_there_are_none(cache):
    md5 = add_path(cache, "d").md5
    noted = cache.folder / "tidegate" / "exec" / f"{md5}.json"
    assert noted.read_text() == '["run"]'
    (cache.files.root / "d" / "run").chmod(0o644)
    assert add_path(cache, "d").md5 == md5
    assert not noted.exists()
    assert dir_object([]) == b"[]"


def test_a_shared_cache_lets_the_group_write(cache):
    (cache.files.root / ".dvc" / "config").write_text("[cache]\n    shared = group\n")
    shared = open_cache(cache.files)
    md5 = add_path(shared, "f").md5
    assert stat.S_IMODE(object_path(shared, md5).parent.stat().st_mode) == 0o2775
    assert stat.S_IMODE(object_path(shared, md5).stat().st_mode) == 0o444


@pytest.mark.parametrize(
    ("config", "folder", "links"),
    [
        ("", ".dvc/cache", ("reflink", "copy")),
        ("[cache]\n    dir = ../shared\n", "shared", ("reflink", "copy")),
        ('[cache]\n    type = "hardlink,copy"\n', ".dvc/cache", ("hardlink", "copy")),
    ],
)
def test_the_configured_cache_is_used(cache, config, folder, links):
    (cache.files.root / ".dvc" / "config").write_text(config)
    found = open_cache(cache.files)
    assert os.path.normpath(found.folder) == str(cache.files.root / folder)
    assert found.links == links


@pytest.mark.parametrize(("in_git", "config"), [(True, ""), (False, "[core]\n    no_scm = True\n")])
def test_dvc_is_initialized_once_and_told_whether_there_is_git(tmp_path, in_git, config):
    if in_git:
        (tmp_path / ".git").mkdir()
    ensure_dvc(tmp_path)
    assert (tmp_path / ".dvc" / "config").read_text() == config
    (tmp_path / ".dvc" / "config").write_text("mine")
    ensure_dvc(tmp_path)
    assert (tmp_path / ".dvc" / "config").read_text() == "mine"
