"""The names and stats of all files below a directory, as cheaply as the system allows.

This runs before everything else in a command that finds nothing to do, so it imports next to nothing.
"""

import marshal
import os
import stat

try:
    from _blake2 import blake2b
except ImportError:  # a Python that takes it from OpenSSL
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Ignored = Callable[[str], bool]
    Row = tuple[str, int, int, int, int, int]
    Folder = tuple[str, list[Row]]

IGNORED_FOLDERS = frozenset({".git", ".hg", ".dvc", ".tidegate"})
IGNORED_FILES = frozenset({".git"})


def tree_key(top: str, ignored: "Ignored | None" = None) -> str:
    """One key of the names and stats of all files below `top`, in the form of a file's key.

    It differs whenever the files that `scan` finds differ in name, size, times, inode or mode.
    """
    return folders_key(scan(top, ignored))


def folders_key(folders: "Iterable[Folder]") -> str:
    """The key of what `scan` found: the count, the newest ctime, and a digest of everything."""
    digest = blake2b(digest_size=16)
    count = newest = 0
    for folder in folders:
        # version 2 writes equal values as equal bytes; later ones depend on who else holds an object
        digest.update(marshal.dumps(folder, 2))
        count += len(folder[1])
        newest = max([newest, *[row[3] for row in folder[1]]])
    return f"{count} {newest} {newest} {digest.hexdigest()}"


def scan(top: str, ignored: "Ignored | None" = None) -> "Iterator[Folder]":
    """Each directory below `top` that holds files, as its path (`""`, `"a/"`, `"a/b/"`) and its sorted rows.

    A row is name, size, mtime, ctime (both in ns), inode and mode of what a file or link leads to; all zero
    when it leads nowhere. Links to directories are left out. `ignored` judges paths from `top`, those of
    directories ending with `/`; without it, only what DVC always ignores inside a repository is left out:
    the folders of version control and other repositories of DVC.
    """
    inner = [""]
    while inner:
        prefix = inner.pop()
        rows, folders, is_nested = _read_folder(top, prefix, ignored)
        if is_nested and prefix and ignored is None:
            continue
        inner += [f"{prefix}{name}/" for name in sorted(folders, reverse=True)]
        if rows:
            rows.sort()
            yield prefix, rows


def _read_folder(top: str, prefix: str, ignored: "Ignored | None") -> "tuple[list[Row], list[str], bool]":
    handle = os.open(f"{top}/{prefix}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        # stats through the handle of the directory need not find their way down from the root
        with os.scandir(handle) as entries:
            return _read_entries(entries, prefix, ignored)
    finally:
        os.close(handle)


def _read_entries(
    entries: "Iterable[os.DirEntry[str]]", prefix: str, ignored: "Ignored | None"
) -> "tuple[list[Row], list[str], bool]":
    """The rows of the files, the names of the folders, and whether there is a `.dvc` among them."""
    rows, folders, is_nested = [], [], False
    for entry in entries:
        name = entry.name
        if name == ".dvc":
            is_nested = True
        if entry.is_dir(follow_symlinks=False):
            if not (ignored(f"{prefix}{name}/") if ignored else name in IGNORED_FOLDERS):
                folders.append(name)
        elif not (ignored(f"{prefix}{name}") if ignored else name in IGNORED_FILES):
            row = _row(entry, name)
            if not stat.S_ISDIR(row[5]):
                rows.append(row)
    return rows, folders, is_nested


def _row(entry: "os.DirEntry[str]", name: str) -> "Row":
    try:
        seen = entry.stat()
    except PermissionError:
        raise
    except OSError:  # gone, or a link to nowhere or in a circle
        return name, 0, 0, 0, 0, 0
    return name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_mode
