"""Which commits a command covers beside the workspace: of branches, of tags, all, or since a date."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import TidegateError, UsageError
from tidegate.store.git import ask_git, resolve_commit

_NOT_BRANCHES = ("refs/heads", "refs/remotes", "refs/tags")


class Revisions(NamedTuple):
    """Commits, and how far back from each branch or name; `since` is a date like 2026-11-24."""

    branches: bool = False
    tags: bool = False
    commits: bool = False
    names: tuple[str, ...] = ()
    number: int = 1
    since: str = ""
    experiments: bool = False

    @property
    def is_none(self) -> bool:
        """Whether nothing but the workspace is meant."""
        return self == Revisions(number=self.number)


NOW = Revisions()


def list_commits(root: Path, wanted: Revisions) -> list[str]:
    """The commits, each once; raises UsageError for an unknown name or date, or outside git."""
    if wanted.is_none:
        return []
    return list(dict.fromkeys(_found(root, wanted)))


def tree_key(root: Path, commit: str, suffixes: tuple[str, ...]) -> str:
    """The same for commits whose files with these suffixes are the same."""
    listed = _asked(root, "ls-tree", "-r", "-z", commit).split("\0")
    return sha256("\0".join(line for line in listed if line.endswith(suffixes)).encode()).hexdigest()


def _found(root: Path, wanted: Revisions) -> Iterator[str]:
    for name in wanted.names:
        yield from _back_from(root, resolve_commit(root, name), wanted.number)
    if wanted.commits:
        yield from _every_commit(root)
    if wanted.branches:
        for commit in _refs(root, "refs/heads"):
            yield from _back_from(root, commit, wanted.number)
    if wanted.tags:
        yield from _refs(root, "refs/tags")
    if wanted.since:
        yield from _every_commit(root, f"--since={_midnight(wanted.since)}")
    if wanted.experiments:
        yield from _experiments(root)


def _every_commit(root: Path, *more: str) -> list[str]:
    tips = ["HEAD"] if ask_git(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode == 0 else []
    words = ("rev-list", "--branches", "--remotes", "--tags", *more, *tips)
    return _asked(root, *words).split()


def _back_from(root: Path, commit: str, number: int) -> list[str]:
    """The commit and its first parents; all of them for a number below zero."""
    many = [] if number < 0 else [f"--max-count={number}"]
    return _asked(root, "rev-list", "--first-parent", *many, commit).split()


def _experiments(root: Path) -> list[str]:
    """Experiments of DVC are commits that no branch holds."""
    tips = list(_refs(root, "refs/exps"))
    if not tips:
        return []
    others = [word for space in _NOT_BRANCHES for word in _refs(root, space)]
    return _asked(root, "rev-list", *tips, "--not", *others).split()


def _refs(root: Path, space: str) -> Iterable[str]:
    """The commits that the names below a folder of references stand for, through tags of their own."""
    listed = _asked(
        root, "for-each-ref", "--format=%(objectname) %(*objectname) %(objecttype) %(*objecttype)", space
    )
    for line in listed.splitlines():
        words = line.split()
        if "commit" in words:
            yield words[len(words) // 2 - 1]


def _midnight(date: str) -> int:
    from datetime import datetime

    try:
        return int(datetime.strptime(date, "%Y-%m-%d").timestamp())
    except ValueError:
        raise UsageError("--date", f"`{date}` found, expected a date like 2026-11-24") from None


def _asked(root: Path, *words: str) -> str:
    done = ask_git(root, *words)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["git gave no reason"]
        raise TidegateError(f"git {words[0]}", lines[-1].removeprefix("fatal: "))
    return done.stdout
