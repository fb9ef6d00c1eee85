"""The files of a tracked directory, and the refusal of what has no hash."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tidegate.data.ignore import IGNORE_FILE, ignore_rules, ignored_below, is_outside
from tidegate.data.statcache import StatCache
from tidegate.data.walk import scan
from tidegate.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from tidegate.data.walk import Folder

_TRIES = 3
_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}

T = TypeVar("T")


class Found(NamedTuple):
    """A file inside a directory: its path from there, its size and the key of its stat."""

    path: str
    size: int
    key: str


class ChangedError(Exception):
    """A file is no longer what it was when it was listed; looking again helps, unless it never rests."""


def steadily(at: str, look: Callable[[], T]) -> T:
    """What `look` finds, in another try when files change meanwhile; UnavailableError when they never rest."""
    for _ in range(_TRIES):
        try:
            return look()
        except (ChangedError, FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            message = f"no permission to read `{error.filename}`, expected to be able to"
            raise UsageError(at, message, hint="change its mode, or list it in .dvcignore") from None
        except OSError as error:
            message = f"`{error.filename}`: {error.strerror}, expected to read it"
            raise UnavailableError(at, message) from None
    raise UnavailableError(at, "vanishes or changes while it is read, expected it at rest")


def find_files(root: Path, at: str, memory: StatCache | None = None) -> list[Found]:
    """Every file in a directory that DVC tracks, sorted: links to files followed, links to directories left out.

    Raises UsageError for a broken link, a name that is no text, anything but a file, and for a `.dvcignore`
    inside, which DVC refuses as well.
    """
    top = os.path.join(root, at)  # noqa: PTH118
    return steadily(at, lambda: found_in(root, at, scan(top, ignored_below(root, at, memory))))


def found_in(root: Path, at: str, folders: "Iterable[Folder]") -> list[Found]:
    """The files in what `walk.scan` found at `at`; ChangedError when one vanished meanwhile."""
    found = [
        Found(f"{prefix}{name}", size, f"{size} {mtime} {ctime} {ino}")
        for prefix, rows in folders
        for name, size, mtime, ctime, ino, mode in rows
        if stat.S_ISREG(mode) or refuse_special(root, _below(at, f"{prefix}{name}"), mode)
    ]
    found.sort()
    if any(one.path.endswith(IGNORE_FILE) for one in found):
        found = _judge_inner_ignore(root, at, found)
    _refuse_undecodable(at, found)
    return found


def refuse_special(root: Path, at: str, mode: int) -> bool:
    """Raise for anything but a file; mode 0 stands for what leads nowhere. False is never returned."""
    if stat.S_ISREG(mode):
        return True
    if mode == 0:
        if (root / at).is_symlink():
            raise UsageError(at, "broken link, expected one to a file")
        raise ChangedError(at)
    kind = _KINDS.get(stat.S_IFMT(mode), "special file")
    raise UsageError(at, f"is a {kind}, expected a file or a directory")


def _judge_inner_ignore(root: Path, at: str, found: list[Found]) -> list[Found]:
    """A `.dvcignore` inside a tracked directory is an error, except that one which hides itself is obeyed."""
    hidden = set() if is_outside(at) else _hidden_within(root, at, found)
    left = [one for one in found if one.path not in hidden]
    for one in left:
        if one.path.rpartition("/")[2] == IGNORE_FILE:
            message = f"{IGNORE_FILE} inside a tracked directory, expected it above"
            raise UsageError(_below(at, one.path), message, hint=f"move its patterns to ./{IGNORE_FILE}")
    return left


def _hidden_within(root: Path, at: str, found: list[Found]) -> set[str]:
    rules = ignore_rules(root)
    folders = [
        folder for one in found for folder, name in [_split(_below(at, one.path))] if name == IGNORE_FILE
    ]
    for folder in sorted(folders, key=lambda folder: folder.count("/")):
        rules = rules if rules.hides_deep(f"{folder}/") else rules.within(folder)
    return {one.path for one in found if rules.hides_deep(_below(at, one.path))}


def _below(at: str, path: str) -> str:
    return path if at in ("", ".") else f"{at}/{path}"


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _refuse_undecodable(at: str, found: list[Found]) -> None:
    try:
        "".join([one.path for one in found]).encode()
    except UnicodeEncodeError:
        bad = next(one.path for one in found if os.fsencode(one.path) != one.path.encode(errors="replace"))
        message = f"file name {os.fsencode(bad)!r} is no UTF-8, which DVC cannot record"
        raise UsageError(at, message, hint="rename the file") from None
