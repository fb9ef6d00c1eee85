"""Archives: one for the same files, read by every tar, and no other is taken."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import CorruptError
from tidegate.registry.archive import CHUNK, make_head, read_archive, write_archive

FILES = {"manifest.json": b"{}", "empty": b"", "block": b"b" * 512, "large": b"l" * (CHUNK + 3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.fixture
def archive(folder: Path) -> bytes:
    return written(folder, FILES)


def written(folder: Path, names) -> bytes:
    target = io.BytesIO()
    write_archive(target, [folder / name for name in names])
    return target.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    return {item.name: b"".join(item.pieces) for item in read_archive(io.BytesIO(data), "x.tar")}


def made_by_tarfile(change=lambda info: None, **options) -> bytes:
    """An archive of one file as Python's own writer would make it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT, **options) as tar:
        info = tarfile.TarInfo("a")
        info.size = 3
        change(info)
        tar.addfile(info, io.BytesIO(b"abc"))
    return target.getvalue()


def test_what_was_written_is_read_back_in_its_order(archive: bytes) -> None:
    assert list(read(archive).items()) == list(FILES.items())


def test_the_same_files_give_the_same_archive_whenever_and_wherever(folder: Path, archive: bytes) -> None:
    for name in FILES:
        (folder / name).chmod(0o600)
    assert written(folder, FILES) == archive


def test_the_usual_program_reads_it_too(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(archive)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "x.tar", "-C", out], check=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == FILES


def test_pythons_own_writer_makes_the_same_bytes_when_told_everything() -> None:
    assert read(made_by_tarfile()) == {"a": b"abc"}


def test_every_changed_byte_outside_the_files_contents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    data = written(tmp_path, ["a", "b"])
    assert len(data) == tarfile.RECORDSIZE
    for at in (*range(512), *range(515, len(data), 7)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(CorruptError):
            read(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda info: setattr(info, "mtime", 1),
        lambda info: setattr(info, "mode", 0o4755),
        lambda info: setattr(info, "uid", 1000),
        lambda info: setattr(info, "uname", "root"),
        lambda info: setattr(info, "type", tarfile.GNUTYPE_SPARSE),
        lambda info: setattr(info, "type", tarfile.CONTTYPE),
        lambda info: (setattr(info, "type", tarfile.SYMTYPE), setattr(info, "linkname", "/etc/passwd")),
        lambda info: (setattr(info, "type", tarfile.LNKTYPE), setattr(info, "linkname", "b")),
        lambda info: setattr(info, "type", tarfile.DIRTYPE),
        lambda info: setattr(info, "type", tarfile.CHRTYPE),
        lambda info: setattr(info, "type", tarfile.FIFOTYPE),
    ],
    ids=["time", "mode", "owner", "name", "sparse", "cont", "symlink", "link", "folder", "device", "pipe"],
)
def test_whatever_is_no_plain_file_is_refused(change) -> None:
    with pytest.raises(CorruptError, match="not an archive that `tidegate bundle export` writes"):
        read(made_by_tarfile(change))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"no archive at all" * 40,
        b"\xff" * 512,
        bytes(512),
        bytes(1024),
        made_by_tarfile()[:-1],
        made_by_tarfile() + b"\0",
        made_by_tarfile()[:514],
        made_by_tarfile()[:700],
        made_by_tarfile()[:1024],
    ],
)
def test_what_is_cut_or_longer_or_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        read(data)
    assert caught.value.where == "x.tar"


@pytest.mark.parametrize("name", ["n" * 101, "ü" * 51, f"{'d' * 60}/{'n' * 60}"])
def test_a_name_too_long_for_the_format_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match=r"name is too long|^d+/n+$"):
        make_head(name, 1)


@given(st.binary(max_size=2048))
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes) -> None:
    with pytest.raises(CorruptError):
        read(data)
