"""Upkeep of `.gitignore`: what DVC's cache holds stays out of git, by a line beside each path.

Callers hold the repository's lock: two processes adding lines to one file at once would lose one.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from subprocess import CompletedProcess

GITIGNORE = ".gitignore"
_LITERAL = "--literal-pathspecs"
_Edit = Callable[[bytes, list[str]], bytes]


def ignore_paths(root: Path, ats: Sequence[str]) -> list[str]:
    """Make git ignore these paths (relative to `root`): a line `/name` for each that it does not ignore yet.

    Returns the `.gitignore` files that changed. Outside git, and in a folder that is not there yet, nothing
    happens.
    """
    unlisted = [at for at in dict.fromkeys(ats) if not _is_listed(root, at)]
    return _edit_all(root, _seen_by_git(root, unlisted), _add_lines)


def unignore_paths(root: Path, ats: Sequence[str]) -> list[str]:
    """Take back the lines that `ignore_paths` or DVC wrote for these paths; an emptied file is deleted.

    Returns the `.gitignore` files that changed or went.
    """
    return _edit_all(root, list(dict.fromkeys(ats)), _drop_lines)


def tracked_by_git(root: Path, ats: Sequence[str]) -> list[str]:
    """Those of these paths that git tracks, as a file or by a file inside; DVC must not track them too."""
    listed = _ask_git(root, _LITERAL, "ls-files", "-z", "--", *ats) if ats else None
    if listed is None or listed.returncode:
        return []
    files = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [at for at in ats if any(name == at or name.startswith(f"{at}/") for name in files)]


def ignored_by_git(root: Path, ats: Sequence[str]) -> list[str]:
    """Those of these paths that git ignores; none where it cannot say."""
    names = [os.fsencode(at) for at in ats]
    if not names:
        return []
    asked = _ask_git(root, "check-ignore", "--no-index", "--stdin", "-z", send=b"\0".join(names) + b"\0")
    ignored = set(asked.stdout.split(b"\0")) if asked is not None and asked.returncode == 0 else set[bytes]()
    return [at for at, name in zip(ats, names, strict=True) if name in ignored]


def git_add(root: Path, paths: Sequence[str]) -> None:
    """Stage files (relative to `root`), the deletion of those that are gone; nothing happens outside git.

    Raises TidegateError when git refuses.
    """
    if not paths or not _is_work_tree(root):
        return
    there = [path for path in paths if os.path.lexists(root / path)]
    gone = [path for path in paths if path not in there]
    if there:
        _told(root, "add", "--", *there)
    if gone:
        _told(root, "rm", "--cached", "--quiet", "--ignore-unmatch", "--", *gone)


def escape_pattern(name: str) -> str:
    """A name as a pattern that matches only itself, escaped as DVC does."""
    return "".join(f"\\{letter}" if letter in "\\[]!*#?" else letter for letter in name)


def _seen_by_git(root: Path, ats: list[str]) -> list[str]:
    """Those paths that git does not ignore; none when it cannot say, which is outside a repository."""
    names = [os.fsencode(f"{at}/" if (root / at).is_dir() else at) for at in ats]
    if not names:
        return []
    # git answers with status 1 when it ignores none of them
    asked = _ask_git(root, "check-ignore", "--no-index", "--stdin", "-z", send=b"\0".join(names) + b"\0")
    if asked is None or asked.returncode not in (0, 1):
        # one path git cannot judge, such as inside a submodule, fails them all
        alone = ats if len(ats) > 1 and _is_work_tree(root) else []
        return [at for one in alone for at in _seen_by_git(root, [one])]
    ignored = set(asked.stdout.split(b"\0"))
    return [at for at, name in zip(ats, names, strict=True) if name not in ignored]


def _is_listed(root: Path, at: str) -> bool:
    """Whether the line is there already, which costs far less to find out than what git makes of it."""
    folder, _, name = at.rpartition("/")
    path = root / folder / GITIGNORE
    return path.is_file() and _line(name) in path.read_bytes().splitlines()


def _edit_all(root: Path, ats: list[str], edit: _Edit) -> list[str]:
    """Apply `edit` to the `.gitignore` beside each path, once a folder; the files that came out different."""
    by_folder: dict[str, list[str]] = {}
    for at in ats:
        folder, _, name = at.rpartition("/")
        by_folder.setdefault(folder, []).append(name)
    changed = []
    for folder, names in by_folder.items():
        file = f"{folder}/{GITIGNORE}" if folder else GITIGNORE
        if (root / folder).is_dir() and _edit_file(root / file, names, edit):
            changed.append(file)
    return changed


def _edit_file(path: Path, names: list[str], edit: _Edit) -> bool:
    from tidegate.store.files import write_atomic

    before = path.read_bytes() if path.exists() else b""
    after = edit(before, names)
    if after == before:
        return False
    if after:
        # through a link, so that a shared file stays shared
        write_atomic(path.resolve(), after, durable=False)
    else:
        path.unlink()
    return True


def _add_lines(text: bytes, names: list[str]) -> bytes:
    known = set(text.splitlines())
    lines = [line for line in map(_line, names) if line not in known]
    gap = b"\n" if text and lines and not text.endswith(b"\n") else b""
    return text + gap + b"".join(line + b"\n" for line in lines)


def _drop_lines(text: bytes, names: list[str]) -> bytes:
    """DVC leaves escaped lines behind; here both forms go."""
    unwanted = {form.strip() for name in names for form in (_line(name), os.fsencode(f"/{name}"))}
    return b"".join(line for line in text.splitlines(keepends=True) if line.strip() not in unwanted)


def _line(name: str) -> bytes:
    return os.fsencode(f"/{escape_pattern(name)}")


def _is_work_tree(root: Path) -> bool:
    asked = _ask_git(root, "rev-parse", "--is-inside-work-tree")
    return asked is not None and asked.stdout.strip() == b"true"


def _told(root: Path, *words: str) -> None:
    done = _ask_git(root, _LITERAL, *words)
    if done is not None and done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        fatal = next((line for line in lines if line.startswith("fatal: ")), lines[0])
        raise TidegateError(f"git {words[0]}", fatal.removeprefix("fatal: "), hint="git status")


def _ask_git(root: Path, *words: str, send: bytes = b"") -> "CompletedProcess[bytes] | None":
    """The finished call; None where git is not installed."""
    import subprocess

    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=send, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return None
