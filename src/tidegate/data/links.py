"""Four ways to put a file at a second place, with or without copying its bytes."""

import errno
import os
import stat
from functools import cache

from tidegate.errors import UnavailableError

LINK_KINDS = ("reflink", "hardlink", "symlink", "copy")
# kinds that make two paths share one file, which therefore must be read-only
SHARING = frozenset({"hardlink", "symlink"})

_FICLONE = 0x40049409
_CHUNK = 1 << 20
_UNSUPPORTED = frozenset(
    {
        errno.EPERM,
        errno.ENOTSUP,
        errno.EXDEV,
        errno.ENOTTY,
        errno.ENOSYS,
        errno.EINVAL,
        errno.EAGAIN,
        errno.EMLINK,
    }
)


def link(source: str, target: str, *, kind: str) -> None:
    """Make `target`, which must not exist, of the file `source`.

    A copy gets the mode of a new file. Instead of a hard link, an empty file is copied, as DVC does, and one
    that has too many of them already as well.
    """
    if kind == "hardlink" and os.stat(source).st_size == 0:  # noqa: PTH116 -- this runs for every file
        kind = "copy"
    try:
        _LINKERS[kind](source, target)
    except OSError as error:
        if kind == "copy" or error.errno not in _UNSUPPORTED:
            raise
        copy_file(source, target)


def copy_file(source: str, target: str, mode: int = 0o666) -> None:
    """Copy the bytes into the new file `target`, inside the kernel where it can."""
    reader = os.open(source, os.O_RDONLY)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            _pump(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def working_kind(kinds: tuple[str, ...], source: str, *, target: str) -> str:
    """The first kind that works from where `source` will be made to where `target` will be; both are deleted.

    Raises UnavailableError when none does.
    """
    for kind in kinds:
        if kind == "copy" or _works(kind, source, target):
            return kind
    found = f"none of {', '.join(kinds)} works between cache and project"
    raise UnavailableError("cache.type", found, hint="dvc config cache.type copy")


@cache
def is_same_disk(one: str, *, other: str) -> bool:
    """Whether files can be renamed from one folder to the other; two mounts of one disk say no as well.

    Renaming what does not exist fails for that reason only after the system has compared the mounts.
    """
    missing = os.urandom(16).hex()
    try:
        os.rename(f"{one}/{missing}", f"{other}/{missing}")  # noqa: PTH104
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _works(kind: str, source: str, target: str) -> bool:
    os.close(os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _LINKERS[kind](source, target)
    except OSError:
        return False
    else:
        os.unlink(target)  # noqa: PTH108
        return True
    finally:
        os.unlink(source)  # noqa: PTH108


def _reflink(source: str, target: str) -> None:
    import fcntl

    reader = os.open(source, os.O_RDONLY)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.ioctl(writer, _FICLONE, reader)
        except OSError:
            os.unlink(target)  # noqa: PTH108
            raise
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _hardlink(source: str, target: str) -> None:
    """Python's own following of links is broken on some platforms."""
    if stat.S_ISLNK(os.lstat(source).st_mode):
        source = os.path.realpath(source)
    os.link(source, target)


def _symlink(source: str, target: str) -> None:
    os.symlink(os.path.abspath(source), target)  # noqa: PTH100, PTH211


def _pump(reader: int, writer: int) -> None:
    """Copy the beginning, which is all of a small file, by hand: for those the kernel's way is slower.

    Where one way stops the other goes on, as both move the offsets of the files.
    """
    first = os.read(reader, _CHUNK)
    write_all(writer, first)
    if len(first) < _CHUNK:
        return
    try:
        while os.copy_file_range(reader, writer, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    while chunk := os.read(reader, _CHUNK):
        write_all(writer, chunk)


def write_all(writer: int, data: bytes) -> None:
    """Write all of the bytes, however many calls it takes."""
    written = os.write(writer, data)
    if written < len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(writer, view[written:])


_LINKERS = {"reflink": _reflink, "hardlink": _hardlink, "symlink": _symlink, "copy": copy_file}
