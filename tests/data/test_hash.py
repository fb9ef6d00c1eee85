import contextlib
import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data import md5
from tidegate.data.hash import Files, Hashed, dir_object, hash_path, list_tree, md5_bytes, remember
from tidegate.data.md5 import LARGE
from tidegate.data.statcache import StatCache
from tidegate.errors import UnavailableError, UsageError


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, StatCache(tmp_path / ".tidegate" / "cache" / "stat.json"))


def reopened(files):
    files.memory.save()
    return Files(files.root, StatCache(files.memory.path))


@pytest.fixture
def clock(monkeypatch):
    """Set the clock ahead, so that what was just written counts as settled."""
    shift = [0]
    real = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: real() + shift[0])

    def ahead(seconds=10):
        shift[0] = seconds * 10**9

    return ahead


@pytest.fixture
def reads(monkeypatch):
    """The paths of the files that were read."""
    seen = []

    def md5_while(path, key, kind):
        seen.append(path)
        return real(path, key, kind)

    real = md5.md5_while
    monkeypatch.setattr("tidegate.data.hash.md5_while", md5_while)
    return seen


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


@pytest.mark.parametrize("path", ["f", "d"])
def test_what_is_remembered_is_not_read_again(files, clock, reads, path):
    tree(files.root, {"f": b"one", "d/a": b"1", "d/b/c": b"2"})
    clock()
    before = hash_path(files, path)
    assert reads
    reads.clear()
    files = reopened(files)
    assert hash_path(files, path) == before
    assert not reads


def test_only_the_changed_file_of_a_directory_is_read(files, clock, reads):
    tree(files.root, {f"d/{number}": b"%d" % number for number in range(50)})
    clock()
    hash_path(files, "d")
    reads.clear()
    (files.root / "d" / "7").write_bytes(b"new")
    files = reopened(files)
    assert hash_path(files, "d").md5 == reference(files.root / "d")
    assert reads == [str(files.root / "d" / "7")]


@pytest.mark.parametrize("path", ["f", "d"])
def test_what_was_read_within_the_clocks_grain_is_read_again(files, clock, reads, path):
    tree(files.root, {"f": b"one", "d/a": b"1"})
    clock(-10)
    hash_path(files, path)
    reads.clear()
    hash_path(reopened(files), path)
    assert len(reads) == 1


@pytest.mark.parametrize("path", ["f", "d"])
def test_what_was_written_and_noted_is_not_read(files, clock, reads, path):
    tree(files.root, {"f": b"one", "d/a": b"1", "d/b/c": b"2"})
    clock()
    entries = [("", md5_bytes(b"one"))] if path == "f" else [("a", md5_bytes(b"1")), ("b/c", md5_bytes(b"2"))]
    remember(files, path, [*entries, ("gone", "0" * 32)])
    known = hash_path(files := reopened(files), path)
    assert not reads
    assert known.md5 == (md5_bytes(b"one") if path == "f" else reference(files.root / "d"))
    age(files.root / ("f" if path == "f" else "d/a"))
    hash_path(files, path)
    assert len(reads) == 1


@pytest.mark.parametrize(("count", "worth"), [(999, False), (1000, True)])
def test_many_files_written_just_now_are_worth_a_moment(files, reads, monkeypatch, count, worth):
    contents = {f"d/{number}": b"%d" % number for number in range(count)}
    tree(files.root, contents)
    now = [max((files.root / path).stat().st_ctime_ns for path in contents) - 10**7]
    monkeypatch.setattr("time.time_ns", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.append(now.pop() + int(seconds * 1e9)))
    monkeypatch.setattr("tidegate.data.statcache._TICK_NS", 10**9)
    monkeypatch.setattr("tidegate.data.hash._PATIENCE_NS", 10**11)
    remember(files, "d", [(path[2:], md5_bytes(data)) for path, data in contents.items()])
    assert hash_path(files, "d").md5 == reference(files.root / "d")
    assert (not reads) is worth


def test_a_file_that_never_rests_is_unavailable_and_never_remembered(files, clock, monkeypatch):
    tree(files.root, {"f": b"0", "d/a": b"0"})
    clock()
    real = os.read

    def read(handle, size):
        data = real(handle, size)
        for path in ("f", "d/a"):
            with (files.root / path).open("ab") as file:
                file.write(b"more")
        return data

    monkeypatch.setattr("os.read", read)
    for path in ("f", "d"):
        with pytest.raises(UnavailableError, match="changes while it is read"):
            hash_path(files, path)
    monkeypatch.undo()
    files = reopened(files)
    assert hash_path(files, "f").md5 == md5_bytes((files.root / "f").read_bytes())
    assert hash_path(files, "d").md5 == reference(files.root / "d")


def test_a_file_that_vanishes_once_costs_another_look(files, monkeypatch):
    tree(files.root, {"d/a": b"1", "d/b": b"2"})
    real = md5.md5_while

    def vanish(path, key, kind):
        (files.root / "d" / "b").unlink(missing_ok=True)
        return real(path, key, kind)

    monkeypatch.setattr("tidegate.data.hash.md5_while", vanish)
    assert hash_path(files, "d").nfiles == 1


def test_a_whole_directory_that_vanishes_has_no_hash(files, monkeypatch):
    tree(files.root, {"d/a": b"1"})

    def vanish(path, key, kind):
        shutil.rmtree(files.root / "d")
        raise FileNotFoundError(path)

    monkeypatch.setattr("tidegate.data.hash.md5_while", vanish)
    assert hash_path(files, "d") is None


@pytest.mark.parametrize("path", ["d", "d/x"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_is_named_and_never_opened(files, path, kind):
    (files.root / "d").mkdir()
    if kind == "pipe":
        os.mkfifo(files.root / "d" / "x")
    else:
        with contextlib.chdir(files.root / "d"), socket.socket(socket.AF_UNIX) as server:
            server.bind("x")
    with pytest.raises(UsageError, match=f"d/x: is a {kind}"):
        hash_path(files, path)


def test_a_device_is_no_file(files):
    with pytest.raises(UsageError, match="is a device"):
        hash_path(files, "/dev/null")


def test_a_name_that_is_no_text_is_shown(files):
    (files.root / "d").mkdir()
    (files.root / "d" / os.fsdecode(b"bad\xff")).touch()
    with pytest.raises(UsageError, match=r"bad\\xff"):
        hash_path(files, "d")


@pytest.mark.parametrize("path", ["f", "d", "d/deep"])
def test_what_may_not_be_read_is_one_clear_error(files, path):
    tree(files.root, {"f": b"1", "d/deep/x": b"1"})
    (files.root / ("f" if path == "f" else "d/deep")).chmod(0)
    with as_nobody(files.root), pytest.raises(UsageError, match="no permission"):
        hash_path(Files(files.root, StatCache(files.root / "stat.json")), path)


@contextlib.contextmanager
def as_nobody(root):
    """Without the rights of root, when that is who runs the tests."""
    user = os.geteuid()
    above = [path for path in root.parents if user == 0 and path.stat().st_uid == 0 and len(path.parts) > 2]
    modes = {path: path.stat().st_mode for path in above}
    for path in above:
        path.chmod(0o755)
    if user == 0:
        os.chown(root, 65534, -1)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.parametrize("outside", ["../beside", "absolute"])
def test_paths_outside_the_root_have_a_hash_in_which_nothing_is_ignored(tmp_path, outside):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".dvcignore").write_text("*")
    tree(tmp_path / "beside", {"a": b"1", ".git/x": b"2"})
    at = outside if outside.startswith("..") else str(tmp_path / "beside")
    files = Files(tmp_path / "root", StatCache(tmp_path / "stat.json"))
    assert hash_path(files, at).md5 == reference(tmp_path / "beside")
    assert hash_path(files, f"{at}/a").md5 == md5_bytes(b"1")


def test_ignored_files_do_not_count_and_a_changed_ignore_file_is_seen(files, clock):
    tree(files.root, {"d/a": b"1", "d/a.tmp": b"2", ".dvcignore": b"*.tmp"})
    clock()
    assert hash_path(files, "d").nfiles == 1
    (files.root / ".dvcignore").write_bytes(b"*.log")
    assert hash_path(reopened(files), "d").nfiles == 2


def test_an_ignore_file_inside_that_hides_itself_is_obeyed(files):
    tree(
        files.root,
        {"d/a.tmp": b"1", "d/b/.dvcignore": b".dvcignore\n*.tmp\n", "d/b/x.tmp": b"2", "d/b/y": b"3"},
    )
    assert [path for path, _ in list_tree(files, "d")] == ["a.tmp", "b/y"]


@pytest.mark.parametrize("link", ["nowhere", "link"])
def test_a_link_that_leads_nowhere_has_no_hash(files, link):
    (files.root / "link").symlink_to(link)
    assert hash_path(files, "link") is None


def test_entries_of_dvc_2_hash_text_with_unix_line_ends(files):
    tree(files.root, {"d/text": b"a\r\nb\r\n", "d/binary": b"\0\r\n"})
    assert hash_path(files, "d/text", kind="md5-dos2unix") == Hashed(
        md5_bytes(b"a\nb\n"), 6, kind="md5-dos2unix"
    )
    entries = [("binary", md5_bytes(b"\0\r\n")), ("text", md5_bytes(b"a\nb\n"))]
    assert list_tree(files, "d", kind="md5-dos2unix") == entries
    expected = Hashed(f"{md5_bytes(dir_object(entries))}.dir", 9, 2, kind="md5-dos2unix")
    assert hash_path(files, "d", kind="md5-dos2unix") == expected
    assert hash_path(files, "d").md5 == reference(files.root / "d")


def test_several_large_files_are_hashed_like_small_ones(files):
    tree(files.root, {f"d/{name}": name.encode() * (LARGE + 7) for name in "abc"} | {"d/s": b"1", "d/e": b""})
    assert hash_path(files, "d").md5 == reference(files.root / "d")


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in {".", "..", ".git", ".dvc", ".hg", ".tidegate", ".dvcignore"}
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
edits = st.tuples(
    st.sampled_from(["write", "restore", "move", "delete", "add"]), st.integers(0, 99), st.binary(max_size=4)
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(paths, st.binary(max_size=4), max_size=8), st.lists(edits, max_size=5))
def test_any_tree_has_the_hash_of_its_listing_and_any_edit_is_seen(contents, changes):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = Files(root, StatCache(root / ".tidegate" / "stat.json"))
        (root / "d").mkdir()
        plant(root / "d", contents)
        for change in [None, *changes]:
            if change:
                edit(root / "d", *change)
            assert hash_path(files, "d").md5 == reference(root / "d")
            files = reopened(files)


def plant(top, contents):
    for path, data in contents.items():
        with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(data)


def edit(top, kind, number, data):
    """Change one file in a way that a careless look at the tree does not notice."""
    existing = sorted(path for path in top.rglob("*") if path.is_file())
    if kind == "add" or not existing:
        plant(top, {f"added{number}": data})
        return
    path = existing[number % len(existing)]
    before = path.stat()
    if kind == "delete":
        path.unlink()
    elif kind == "move":
        path.rename(path.with_name(f"moved{number}"))
    else:
        path.write_bytes((data + bytes(4))[: before.st_size] if kind == "restore" else data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def reference(top):
    """The md5 of a directory, computed in the plainest way."""
    files = [path for path in top.rglob("*") if path.is_file()]
    rows = [(path.relative_to(top).as_posix(), hashlib.md5(path.read_bytes()).hexdigest()) for path in files]
    listed = [{"md5": md5, "relpath": path} for path, md5 in sorted(rows)]
    return hashlib.md5(json.dumps(listed).encode()).hexdigest() + ".dir"


def tree(top, contents):
    for path, data in contents.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
