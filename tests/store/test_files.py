"""Atomic writes: the old file or the new one, never a part and never a leftover."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.store.files import overwrite, sha256_bytes, sha256_file, sync_path, write_atomic


@pytest.fixture
def umask() -> Iterator[None]:
    """Puts back the umask that a test changed."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("data", [b"", b"\x00\xff", "", "ü 😀\n", b"x" * 3_000_000])
def test_the_file_holds_what_was_written(tmp_path: Path, data: bytes | str) -> None:
    path = tmp_path / "made" / "on" / "the" / "way" / "file.json"
    write_atomic(path, data)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert [child.name for child in path.parent.iterdir()] == ["file.json"]


def test_a_longer_file_is_replaced_whole(tmp_path: Path) -> None:
    write_atomic(tmp_path / "f", "long" * 100)
    write_atomic(tmp_path / "f", "short")
    assert (tmp_path / "f").read_text() == "short"


def test_who_has_the_old_file_open_goes_on_reading_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "f", "old")
    with (tmp_path / "f").open() as reader:
        write_atomic(tmp_path / "f", "new")
        assert reader.read() == "old"


@pytest.mark.parametrize("failure", [OSError(5, "input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, failure: BaseException
) -> None:
    write_atomic(tmp_path / "f", "old")

    def interrupted(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(type(failure)):
        write_atomic(tmp_path / "f", "new")
    assert {child.name: child.read_text() for child in tmp_path.iterdir()} == {"f": "old"}


def test_an_interrupted_first_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(tmp_path / "f", "new")
    assert list(tmp_path.iterdir()) == []


@given(texts=st.lists(st.text("ab ", max_size=9).map(lambda text: text * 999), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_what_is_overwritten_last_is_there(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("overwrite")
    for text in texts:
        overwrite(folder / "f", text)
        assert (folder / "f").read_text() == text
        assert [child.name for child in folder.iterdir()] == ["f"]


def test_an_overwrite_cut_short_leaves_the_new_text_and_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(handle: int, size: int) -> None:
        raise KeyboardInterrupt

    overwrite(tmp_path / "f", "[1, 2, 3]")
    monkeypatch.setattr(os, "ftruncate", killed)
    with pytest.raises(KeyboardInterrupt):
        overwrite(tmp_path / "f", "[]")
    assert (tmp_path / "f").read_text() == "[]       "


def test_a_file_that_cannot_be_written_to_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    overwrite(tmp_path / "f", "old")
    monkeypatch.setattr(os, "open", refused)
    overwrite(tmp_path / "f", "new")
    assert (tmp_path / "f").read_text() == "new"


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "f", "new")
    assert [child.name for child in tmp_path.iterdir()] == ["f"]


def test_the_bytes_are_durable_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "f", "old")
    synced: list[tuple[str, str]] = []

    def record(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        synced.append((kind, (tmp_path / "f").read_text()))

    monkeypatch.setattr(os, "fsync", record)
    write_atomic(tmp_path / "f", "new")
    assert synced == [("file", "old"), ("folder", "new")]
    synced.clear()
    write_atomic(tmp_path / "f", "newer", durable=False)
    assert synced == [("file", "new")]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_the_umask_is_honored_and_kept(tmp_path: Path, umask: None, mask: int, mode: int) -> None:
    os.umask(mask)
    write_atomic(tmp_path / "f", "x")
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode
    assert os.umask(mask) == mask


def test_only_a_folder_that_is_there_can_be_made_durable(tmp_path: Path) -> None:
    sync_path(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_path(tmp_path / "missing")


def test_the_digest_of_nothing_is_the_published_one(tmp_path: Path) -> None:
    published = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / "empty").touch()
    assert sha256_bytes(b"") == sha256_file(tmp_path / "empty") == published


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.binary(max_size=300), times=st.sampled_from([1, 3, 10_000]))
def test_a_file_has_the_digest_of_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, times: int
) -> None:
    path = tmp_path_factory.mktemp("digest") / "f"
    path.write_bytes(data * times)
    assert sha256_file(path) == sha256_bytes(data * times) == hashlib.sha256(data * times).hexdigest()
