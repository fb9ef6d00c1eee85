"""Where the files that describe a pipeline are read from: the workspace, or a commit of git."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.hash import Files
from tidegate.data.ignore import IGNORE_FILE, ignore_rules, rules_nested
from tidegate.data.yaml import parse_document, read_document
from tidegate.errors import NotFoundError
from tidegate.pipeline.stages import DATA_SUFFIX, LOCK, PIPELINE

if TYPE_CHECKING:
    from tidegate.pipeline.template import FlagStyle

Prune = Callable[[str], bool]

_RULES = (".gitignore", IGNORE_FILE)


class Source(NamedTuple):
    """How to find and read the files; every path is seen from the root.

    `find(prune)` yields each dvc.yaml and .dvc file, in DVC's order, and leaves out directories for which
    `prune` is true at that moment. `read` gives the parsed document, `text` its text; both raise NotFoundError.
    `looked` collects what the answers depended on: directories end with a slash. `style` is how mappings in commands
    become flags, if not in DVC's usual way.
    """

    root: Path
    find: Callable[[Prune], Iterable[str]]
    read: Callable[[str], Any]
    text: Callable[[str], str]
    looked: dict[str, None]
    style: "FlagStyle | None" = None


def workspace(files: Files) -> Source:
    """The files as they lie in the project."""
    looked: dict[str, None] = {}

    def find(prune: Prune) -> Iterable[str]:
        return _walk(files, prune, looked)

    def read(at: str) -> Any:
        looked[at] = None
        return read_document(files.root / at, at, files.memory)

    def text(at: str) -> str:
        return (files.root / at).read_text(encoding="utf-8")

    return Source(files.root, find, read, text, looked)


def revision(root: Path, commit: str) -> Source:
    """The files as a commit holds them; raises UsageError for an unknown one."""
    from tidegate.store.git import list_files, read_files, resolve_commit

    found = resolve_commit(root, commit)
    listed = sorted(list_files(root, found), key=_walk_order)
    texts = read_files(root, found, [at for at in listed if describes_stages(at) or at.endswith(LOCK)])

    def find(prune: Prune) -> Iterable[str]:
        for at in listed:
            if describes_stages(at) and not any(prune(above) for above in _above(at)):
                yield at

    def text(at: str) -> str:
        if at not in texts:
            texts.update(read_files(root, found, [at]))
        if at not in texts:
            raise NotFoundError(at, f"no such file in commit {commit}")
        return texts[at].decode("utf-8", "replace")

    return Source(root, find, lambda at: parse_document(text(at), at), text, {})


def describes_stages(at: str) -> bool:
    """Whether a path is a dvc.yaml or a .dvc file."""
    name = at.rpartition("/")[2]
    return name == PIPELINE or (name.endswith(DATA_SUFFIX) and name != DATA_SUFFIX)


def _walk(files: Files, prune: Prune, looked: dict[str, None]) -> Iterator[str]:
    """Top down, files of a directory before its subdirectories, as DVC walks."""
    unseen = cache(partial(_ignored_by_git, files.root))  # asked for only where there are subdirectories
    is_nested = rules_nested(files.root)
    waiting = [("", ignore_rules(files.root, files.memory))]
    while waiting:
        folder, rules = waiting.pop()
        if folder and prune(folder[:-1]):
            continue
        looked[folder or "./"] = None
        names, folders = _entries(files.root / folder)
        looked.update(dict.fromkeys(f"{folder}{name}" for name in _RULES if name in names))
        if folder and IGNORE_FILE in names:
            rules = rules.within(folder[:-1])
        yield from (at for name in names if describes_stages(at := f"{folder}{name}") and not rules.hides(at))
        inner = [at for name in folders if not rules.hides(at := f"{folder}{name}/") and not is_nested(at)]
        waiting += [(at, rules) for at in reversed(inner) if at not in unseen()]


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of files and of directories, sorted; links to directories are left out."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif not entry.is_symlink() or entry.is_file():
                files.append(entry.name)
    return sorted(files), sorted(folders)


def _ignored_by_git(root: Path) -> frozenset[str]:
    from tidegate.store.git import ignored_folders

    return ignored_folders(root)


def _walk_order(at: str) -> tuple[tuple[int, str], ...]:
    parts = at.split("/")
    return (*((1, part) for part in parts[:-1]), (0, parts[-1]))


def _above(at: str) -> list[str]:
    parts = at.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
