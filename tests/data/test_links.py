import errno
import os
import stat

import pytest

from tidegate.data import links
from tidegate.data.links import LINK_KINDS, copy_file, is_same_disk, link, working_kind, write_all
from tidegate.errors import UnavailableError

KINDS = ("hardlink", "symlink", "copy")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"content")
    path.chmod(0o444)
    return path


def refuse(*_):
    raise OSError(errno.EXDEV, "another disk")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_link_shows_the_same_content(source, kind):
    target = source.with_name("target")
    link(str(source), str(target), kind=kind)
    assert target.read_bytes() == b"content"
    assert target.is_symlink() == (kind == "symlink")
    assert (target.lstat().st_ino == source.stat().st_ino) == (kind == "hardlink")


def test_a_copy_is_as_writable_as_any_new_file(source):
    before = os.umask(0o027)
    try:
        link(str(source), str(source.with_name("target")), kind="copy")
    finally:
        os.umask(before)
    assert stat.S_IMODE(source.with_name("target").stat().st_mode) == 0o640


def test_an_empty_file_is_copied_instead_of_hard_linked(source):
    source.chmod(0o644)
    source.write_bytes(b"")
    link(str(source), str(source.with_name("target")), kind="hardlink")
    assert source.stat().st_nlink == 1
    assert source.with_name("target").read_bytes() == b""


def test_a_file_with_too_many_links_is_copied(source, monkeypatch):
    def full(*_):
        raise OSError(errno.EMLINK, "too many links")

    monkeypatch.setattr(os, "link", full)
    link(str(source), str(source.with_name("target")), kind="hardlink")
    assert source.with_name("target").read_bytes() == b"content"


def test_other_faults_are_not_hidden_by_a_copy(source, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="disk full"):
        link(str(source), str(source.with_name("target")), kind="hardlink")


def test_a_link_to_a_link_leads_to_the_file(source):
    source.with_name("other").symlink_to(source)
    link(str(source.with_name("other")), str(source.with_name("target")), kind="hardlink")
    assert source.with_name("target").stat().st_ino == source.stat().st_ino
    assert not source.with_name("target").is_symlink()


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20])
@pytest.mark.parametrize("in_kernel", [True, False])
def test_copies_are_complete_whatever_their_size(tmp_path, monkeypatch, size, in_kernel):
    if not in_kernel:
        monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "a").write_bytes(os.urandom(size))
    copy_file(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_full_disk_while_copying_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "copy_file_range", full)
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))
    with pytest.raises(OSError, match="disk full"):
        copy_file(str(tmp_path / "a"), str(tmp_path / "b"))


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:3]))
    handle = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT)
    write_all(handle, b"0123456789")
    os.close(handle)
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_copy_never_replaces_a_file(source):
    with pytest.raises(FileExistsError):
        copy_file(str(source), str(source))


def first_of(kinds, tmp_path):
    return working_kind(kinds, str(tmp_path / "probe"), target=str(tmp_path / "linked"))


def test_the_first_kind_that_works_is_taken_and_leaves_no_trace(tmp_path):
    assert first_of(("symlink", "copy"), tmp_path) == "symlink"
    assert first_of(LINK_KINDS, tmp_path) in ("reflink", "hardlink")
    assert list(tmp_path.iterdir()) == []


def test_kinds_that_do_not_work_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setitem(links._LINKERS, "hardlink", refuse)
    assert first_of(("hardlink", "symlink"), tmp_path) == "symlink"
    assert first_of(("hardlink", "copy"), tmp_path) == "copy"


def test_no_kind_that_works_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(links._LINKERS, "hardlink", refuse)
    with pytest.raises(UnavailableError, match="none of hardlink works"):
        first_of(("hardlink",), tmp_path)


def test_one_disk_is_told_from_another_by_trying(tmp_path):
    assert is_same_disk(str(tmp_path), other=str(tmp_path))
    assert not is_same_disk(str(tmp_path), other="/dev/shm")
    assert list(tmp_path.iterdir()) == []
