import hashlib
import json
import os
import time

import pytest

from tidegate.data.hash import Files, Hashed, dir_object, hash_path, list_tree
from tidegate.data.statcache import StatCache
from tidegate.errors import UsageError


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, StatCache(tmp_path / ".tidegate" / "cache" / "stat.json"))


def reopened(files):
    files.memory.save()
    return Files(files.root, StatCache(files.memory.path))


def age(path, seconds=60):
    """Let a file look untouched for a while; its ctime stays now, so only settled reads are remembered."""
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_a_file_has_the_md5_of_its_bytes(files):
    (files.root / "f").write_bytes(b"content")
    assert hash_path(files, "f") == Hashed(hashlib.md5(b"content").hexdigest(), 7)
    (files.root / "f").chmod(0o755)
    assert hash_path(files, "f").isexec


@pytest.mark.parametrize("path", ["nothing", "f/below"])
def test_what_is_not_there_has_no_hash(files, path):
    (files.root / "f").write_text("x")
    assert hash_path(files, path) is None


def test_a_directory_is_the_sorted_list_of_its_files(files):
    (files.root / "d" / "b").mkdir(parents=True)
    (files.root / "d" / "empty").mkdir()
    (files.root / "d" / "b" / "ü").write_text("2")
    (files.root / "d" / "a").write_text("1")
    entries = [("a", hashlib.md5(b"1").hexdigest()), ("b/ü", hashlib.md5(b"2").hexdigest())]
    assert list_tree(files, "d") == entries
    stored = dir_object(reversed(entries))
    assert json.loads(stored) == [{"md5": md5, "relpath": path} for path, md5 in entries]
    assert hash_path(files, "d") == Hashed(hashlib.md5(stored).hexdigest() + ".dir", 2, 2)


def test_an_empty_directory_has_the_hash_dvc_gives_it(files):
    (files.root / "d").mkdir()
    assert hash_path(files, "d") == Hashed("d751713988987e9331980363e24189ce.dir", 0, 0)


def test_links_to_files_are_followed_and_links_to_directories_left_out(files):
    (files.root / "d").mkdir()
    (files.root / "target").write_text("1")
    (files.root / "d" / "file").symlink_to(files.root / "target")
    (files.root / "d" / "loop").symlink_to(files.root / "d")
    assert [path for path, _ in list_tree(files, "d")] == ["file"]


@pytest.mark.parametrize("kind", ["broken link", ".dvcignore"])
def test_what_dvc_refuses_inside_a_directory_is_refused(files, kind):
    (files.root / "d").mkdir()
    if kind == "broken link":
        (files.root / "d" / "x").symlink_to("nowhere")
    else:
        (files.root / "d" / ".dvcignore").write_text("")
    with pytest.raises(UsageError, match=kind):
        hash_path(files, "d")


@pytest.mark.parametrize("path", ["f", "d"])
def test_a_change_is_seen_even_when_size_and_mtime_are_put_back(files, path):
    changed = files.root / ("f" if path == "f" else "d/x")
    changed.parent.mkdir(exist_ok=True)
    changed.write_text("one")
    age(changed)
    files = reopened(files)
    before = hash_path(files, path)
    files = reopened(files)
    changed.write_text("two")
    age(changed)
    assert hash_path(files, path).md5 != before.md5


def test_what_is_remembered_is_not_read_again(files, monkeypatch):
    (files.root / "f").write_text("one")
    later = time.time_ns() + 10**9
    monkeypatch.setattr("time.time_ns", lambda: later)
    before = hash_path(reopened_first := Files(files.root, StatCache(files.memory.path)), "f")
    reopened_first.memory.save()
    monkeypatch.setattr("tidegate.data.hash.md5_file", lambda path: pytest.fail("read again"))
    assert hash_path(reopened(files), "f") == before


def test_a_torn_memory_is_forgotten(tmp_path):
    (tmp_path / "stat.json").write_text('{"file f": [')
    assert StatCache(tmp_path / "stat.json").get("file", "f", "1 1 1 1") is None
