import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.md5 import DOS2UNIX, LARGE, md5_bytes, md5_file, md5_while
from tidegate.data.statcache import key_of_stat


@pytest.mark.parametrize("size", [0, 1, 511, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 5])
def test_a_file_of_any_size_has_the_md5_of_its_bytes(tmp_path: Path, size: int):
    data = bytes(number % 251 for number in range(1000)) * (size // 1000 + 1)
    (tmp_path / "f").write_bytes(data[:size])
    assert md5_file(tmp_path / "f") == md5_bytes(data[:size]) == hashlib.md5(data[:size]).hexdigest()


def test_a_file_whose_size_says_nothing_is_read_to_its_end():
    assert md5_file("/proc/self/cmdline") == hashlib.md5(Path("/proc/self/cmdline").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        (b"", b""),
        (b"a\r\nb\rc\n", b"a\nb\rc\n"),
        (b"a\0\r\n", b"a\0\r\n"),
        # 30 % that is no text are still text
        (b"\x80" * 3 + b"12345\r\n", b"\x80" * 3 + b"12345\n"),
        (b"\x80" * 4 + b"12345\r\n", b"\x80" * 4 + b"12345\r\n"),
        # only the first 512 bytes of each MiB decide, and a line end across two of them stays
        (b"x" * 512 + b"\0\r\n", b"x" * 512 + b"\0\n"),
        (b"x" * (LARGE - 1) + b"\r\n\r\n", b"x" * (LARGE - 1) + b"\r\n\n"),
        (b"x" * (LARGE - 2) + b"\r\n\0\r\n", b"x" * (LARGE - 2) + b"\n\0\r\n"),
    ],
)
def test_line_ends_are_those_of_unix_where_dvc_2_saw_text(tmp_path: Path, data: bytes, hashed: bytes):
    (tmp_path / "f").write_bytes(data)
    assert md5_file(tmp_path / "f", DOS2UNIX) == md5_bytes(hashed)


def test_a_file_is_only_hashed_while_its_key_holds(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"12")
    key = key_of_stat(path.stat())
    assert md5_while(str(path), key) == md5_bytes(b"12")
    path.write_bytes(b"123")
    assert md5_while(str(path), key) is None


def test_a_pipe_in_a_files_place_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "f")
    assert md5_while(str(tmp_path / "f"), "5 1 1 1") is None


@given(st.binary(max_size=2000))
def test_bytes_have_their_md5(data: bytes):
    assert md5_bytes(data) == hashlib.md5(data).hexdigest()
