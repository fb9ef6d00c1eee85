"""`.dvcignore`: which files DVC, and so tidegate, does not see inside a directory."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

IGNORE_FILE = ".dvcignore"
_ALWAYS = frozenset({".git", ".hg", ".dvc", ".tidegate"})

Ignored = Callable[[str], bool]


def ignored_below(root: Path, folder: str) -> Ignored:
    """A judge of paths inside `folder` (both relative to `root`): is it ignored? A directory ends with `/`.

    The files that count are those from the root down to the folder; within one the last match wins, and a
    deeper file overrides a higher one, as in git.
    """
    specs = [(above, spec) for above in _parents(folder) if (spec := _read(root / above / IGNORE_FILE))]
    if not specs:
        return _is_always_ignored

    def is_ignored(path: str) -> bool:
        if _is_always_ignored(path):
            return True
        verdicts = (_verdict(spec, above, path) for above, spec in reversed(specs))
        return bool(next((verdict for verdict in verdicts if verdict is not None), False))

    return is_ignored


def _is_always_ignored(path: str) -> bool:
    return path.endswith("/") and path[:-1].rpartition("/")[2] in _ALWAYS


def _parents(folder: str) -> list[str]:
    """The root and every directory above `folder`, highest first; none when it lies outside."""
    parts = folder.split("/")
    if ".." in parts or folder.startswith("/"):
        return []
    return ["", *("/".join(parts[:depth]) for depth in range(1, len(parts)))]


def _read(path: Path) -> Any:
    """The patterns of one file; None without any, so that pathspec is imported only when needed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if not any(line.strip() and not line.startswith("#") for line in lines):
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


def _verdict(spec: Any, above: str, path: str) -> bool | None:
    relative = os.path.relpath(path, above) + "/" * path.endswith("/") if above else path
    verdict: bool | None = spec.check_file(relative).include
    return verdict
