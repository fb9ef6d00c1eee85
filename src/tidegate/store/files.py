"""Whole files or none: atomic writes and digests."""

import os
from pathlib import Path

_PAGE = 4096


def write_atomic(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Replace `path` with `data` so that a reader, or a crash, sees the old file or the new one.

    Without `durable` a power cut soon after may bring the old one back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        with temporary.open("xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_path(path.parent)


def overwrite(path: Path, text: str) -> None:
    """Like `write_atomic` for a process that is killed, but not for a power cut, and without making a new file.

    For a small text with one writer at a time, in which blanks at the end mean nothing.
    """
    data = text.encode()
    try:
        handle = os.open(path, os.O_RDWR)
    except (FileNotFoundError, PermissionError):
        replace(path, data)
        return
    try:
        size = os.fstat(handle).st_size
        is_small = max(size, len(data)) <= _PAGE
        if is_small:
            # no signal interrupts the write of a page, and blanks hide the rest of what was there
            os.pwrite(handle, data.ljust(size), 0)
            if size > len(data):
                os.ftruncate(handle, len(data))
    finally:
        os.close(handle)
    if not is_small:
        replace(path, data)


def replace(path: Path, data: bytes) -> None:
    """Put a new file in the place of `path`: whole or not at all, but not durable over a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)


def sync_path(path: Path | str) -> None:
    """Make a file's bytes durable, or the names in a folder, such as after a rename."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_bytes(data: bytes) -> str:
    """The digest of `data`."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The digest of a file's bytes."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
