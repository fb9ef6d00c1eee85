"""`.dvcignore`: which files DVC, and so tidegate, does not see.

The patterns are those of git. The file of a directory counts for everything below it; the last pattern that
matches wins; what lies in an ignored directory cannot be taken back in.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.statcache import StatCache, key_of_stat
from tidegate.errors import UsageError

IGNORE_FILE = ".dvcignore"

Ignored = Callable[[str], bool]

# DVC's own patterns, and the folder of tidegate's state, in the form of `_Group.regex`
_ALWAYS = (
    (True, True, r"(?:.+/)?(?:\.hg|\.git|\.dvc|\.tidegate)/"),
    (True, False, r"(?:.+/)?\.git(?:/|$)"),
)


class Group(NamedTuple):
    """Patterns in a row that say the same: do they hide what they match, and do they match only directories?"""

    hides: bool
    only_dirs: bool
    regex: re.Pattern[str]


class Rules(NamedTuple):
    """The patterns in force inside one directory of the repository at `root`, the last one first.

    A walk starts with `ignore_rules` and calls `within` for every directory that holds a `.dvcignore`.
    """

    root: str
    groups: tuple[Group, ...]
    memory: StatCache | None = None

    def hides(self, path: str) -> bool:
        """Whether a path from the root is ignored by itself; that of a directory ends with `/`."""
        is_dir = path.endswith("/")
        for hides, only_dirs, regex in self.groups:
            if only_dirs and not is_dir:
                continue
            if regex.match(path) or (is_dir and regex.match(path[:-1])):
                return hides
        return False

    def hides_deep(self, path: str) -> bool:
        """Whether a path from the root, or any directory above it, is ignored."""
        return any(map(self.hides, (*(f"{above}/" for above in parents(path.rstrip("/"))), path)))

    def within(self, folder: str) -> "Rules":
        """The rules inside a directory, which its own `.dvcignore`, if any, extends."""
        name = f"{folder}/{IGNORE_FILE}" if folder else IGNORE_FILE
        if self.hides(name):
            return self
        groups = _read_groups(self, name, folder)
        return self._replace(groups=(*reversed(groups), *self.groups)) if groups else self


def ignore_rules(root: Path | str, memory: StatCache | None = None) -> Rules:
    """The rules at the root of a repository; `memory` saves translating the patterns twice."""
    always = (Group(hides, only_dirs, re.compile(regex)) for hides, only_dirs, regex in _ALWAYS)
    return Rules(str(root), tuple(always), memory).within("")


def rules_above(root: Path | str, path: str, memory: StatCache | None = None) -> Rules:
    """The rules in force for a path: those of the root and of every directory above it."""
    rules = ignore_rules(root, memory)
    for folder in parents(path):
        rules = rules.within(folder)
    return rules


def is_ignored(root: Path | str, path: str, memory: StatCache | None = None) -> bool:
    """Whether patterns hide this path from the root; a directory ends with `/`; nothing outside is hidden."""
    if is_outside(path):
        return False
    return rules_above(root, path.rstrip("/"), memory).hides_deep(path)


def ignored_below(root: Path | str, folder: str, memory: StatCache | None = None) -> Ignored | None:
    """A judge of paths from the tracked directory `folder`, as `walk.scan` takes it.

    None where only what is always ignored is; outside the repository nothing is, and in an ignored folder
    or in another repository inside this one everything.
    """
    if is_outside(folder):
        return lambda _: False
    folder = "" if folder == "." else folder
    rules = rules_above(root, folder, memory)
    if folder and (
        rules.hides_deep(f"{folder}/") or any(map(rules_nested(root), (*parents(folder), folder)))
    ):
        return lambda _: True
    if len(rules.groups) == len(_ALWAYS):
        return None
    start = f"{folder}/" if folder else ""
    is_nested = rules_nested(root)
    return lambda path: rules.hides(f"{start}{path}") or (path.endswith("/") and is_nested(f"{start}{path}"))


def rules_nested(root: Path | str) -> Ignored:
    """A judge of directories: is it a DVC repository of its own, which this one does not see?"""
    return lambda folder: os.path.exists(f"{root}/{folder}/.dvc")  # noqa: PTH110 -- for every directory


def is_outside(path: str) -> bool:
    """Whether a path lies outside the repository."""
    return path.startswith(("/", "../")) or path == ".."


def parents(path: str) -> Iterator[str]:
    """Every directory above a path from the root, highest first, without the root itself."""
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _read_groups(rules: Rules, name: str, folder: str) -> list[Group]:
    """The groups of one file; what pathspec made of it is remembered, as importing it is slow."""
    try:
        with open(f"{rules.root}/{name}", encoding="utf-8") as file:  # noqa: PTH123 -- for every directory
            key = key_of_stat(os.fstat(file.fileno()))
            lines = [line.strip() for line in file]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return []
    except UnicodeDecodeError:
        raise UsageError(name, "not valid UTF-8, expected patterns of files to ignore") from None
    known = _compile(rules.memory.get("ignore", name, key)) if rules.memory else None
    if known is not None:
        return known
    groups = _translate(name, folder, lines)
    if rules.memory:
        rules.memory.put("ignore", name, key=key, value=groups)
    return _compile(groups) or []


def _compile(groups: Any) -> list[Group] | None:
    """The groups as they were remembered; None when that is not what they are."""
    try:
        return [Group(hides, only_dirs, re.compile(regex)) for hides, only_dirs, regex in groups]
    except (TypeError, ValueError, re.error):
        return None


def _translate(name: str, folder: str, lines: list[str]) -> list[tuple[bool, bool, str]]:
    """Patterns as regular expressions of paths from the root, those in a row that say the same as one."""
    rows = [
        (pattern.include, line.endswith("/"), pattern.regex.pattern.replace("?P<ps_d>", "?:"))
        for number, line in enumerate(lines, start=1)
        for pattern in _parse(f"{name}:{number}", line, folder)
        if pattern.include is not None
    ]
    groups: list[tuple[bool, bool, str]] = []
    for hides, only_dirs, regex in rows:
        if groups and groups[-1][:2] == (hides, only_dirs):
            regex = f"{groups.pop()[2]}|{regex}"  # noqa: PLW2901
        groups.append((hides, only_dirs, regex))
    return groups


def _parse(where: str, line: str, folder: str) -> Sequence[Any]:
    if not line or line.startswith("#"):
        return ()
    from pathspec import GitIgnoreSpec

    try:
        return tuple(GitIgnoreSpec.from_lines([_rebase(line, folder) if folder else line]).patterns)
    except ValueError:
        raise UsageError(where, f"`{line}` is no pattern, expected one as in .gitignore") from None


def _rebase(line: str, folder: str) -> str:
    """A pattern of the file in `folder`, as seen from the root; word for word as DVC moves it."""
    negated = line.startswith("!")
    rule = line[negated:]
    is_anchored = "/" in rule[:-1] and not rule.startswith("**/")
    rule = rule.removeprefix("/" if is_anchored else "**/").removeprefix("\\")
    return f"{'!/' * negated}{folder}/{'' if is_anchored else '**/'}{rule}"
