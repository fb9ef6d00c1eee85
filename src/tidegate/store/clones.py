"""Repositories of others: a local one is read where it lies, any other through a clone that is kept."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UnavailableError
from tidegate.store.git import call_git, resolve_commit
from tidegate.store.layout import Layout
from tidegate.store.lock import hold

# a clone or fetch that takes longer is given up
_PATIENCE_S = 600.0
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Entry(NamedTuple):
    """A file or directory (`tree`) in a commit: its mode, its kind and the size of git's object."""

    mode: str
    kind: str
    size: int


def find_repository(root: Path, url: str, *, near: tuple[Path, ...] = ()) -> Path | None:
    """The directory that a url names, seen from one of `near` or the project; None for one of another machine."""
    path = url.removeprefix("file://")
    return next((folder for above in (*near, root) if (folder := above / path).is_dir()), None)


def open_clone(root: Path, url: str, *, needs: str = "") -> Path:
    """A clone of the repository below the project's state, up to date unless it has the commit `needs`.

    Raises UnavailableError when git cannot bring it.
    """
    from hashlib import sha256

    folder = Layout(root).state / "cache" / "clones" / sha256(url.encode()).hexdigest()[:20]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold(folder.with_suffix(".lock"), what=f"clone {url}", wait_s=_PATIENCE_S):
        if not (folder / ".git").exists():
            _clone(url, folder)
        elif not (_COMMIT.fullmatch(needs) and _has(folder, needs)):
            _git(url, "-C", str(folder), "fetch", "--quiet", "--prune", "--tags", "--force", "origin")
            _git(url, "-C", str(folder), "remote", "set-head", "origin", "--auto")
    return folder


def commit_in_clone(folder: Path, rev: str) -> str:
    """The commit of a branch there, else of any other name; without a name that of the default branch."""
    if not rev or rev == "HEAD":
        return resolve_commit(folder, "refs/remotes/origin/HEAD")
    branch = f"refs/remotes/origin/{rev}"
    return resolve_commit(folder, branch if _has(folder, branch) else rev)


def list_entries(folder: Path, commit: str) -> dict[str, Entry]:
    """Every file and directory of a commit by path below `folder`; the top as the empty path."""
    prefix = _ask(folder, "rev-parse", "--show-prefix").strip().rstrip("/")
    top = _ask(folder, "rev-parse", f"{commit}:{prefix}").strip()
    told = _ask(folder, "ls-tree", "-r", "-t", "-l", "-z", commit)
    rows = [("", "040000", "tree", top, "-"), *(_parsed(line) for line in told.split("\0") if line)]
    sizes = _sizes(folder, [oid for _, _, kind, oid, _ in rows if kind == "tree"])
    return {
        path: Entry(mode, kind, sizes[oid] if kind == "tree" else int(size) if size.isdecimal() else 0)
        for path, mode, kind, oid, size in rows
    }


def _parsed(line: str) -> tuple[str, str, str, str, str]:
    head, _, path = line.partition("\t")
    mode, kind, oid, size = head.split()
    return path, mode, kind, oid, size


def _sizes(folder: Path, oids: list[str]) -> dict[str, int]:
    told = _ask(folder, "cat-file", "--batch-check=%(objectname) %(objectsize)", send="\n".join(oids))
    return {oid: int(size) for oid, _, size in (line.partition(" ") for line in told.splitlines())}


def _clone(url: str, folder: Path) -> None:
    import shutil

    made = folder.with_suffix(f".{os.getpid()}.tmp")
    try:
        _git(url, "clone", "--quiet", "--no-checkout", "--", url, str(made))
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _has(folder: Path, name: str) -> bool:
    done = call_git(
        "-C", str(folder), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", patience_s=_PATIENCE_S
    )
    return done.returncode == 0


def _ask(folder: Path, *words: str, send: str = "") -> str:
    return _git(str(folder), "-C", str(folder), *words, send=send)


def _git(where: str, *words: str, send: str = "") -> str:
    done = call_git(*words, send=send, patience_s=_PATIENCE_S)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["git gives no reason"]
        fatal = next((line for line in lines if line.startswith(("fatal: ", "ERROR: "))), lines[-1])
        hint = "check the address and that `git clone` of it works"
        raise UnavailableError(_shown(where), fatal.partition(": ")[2] or fatal, hint=hint)
    return done.stdout


def _shown(url: str) -> str:
    """Without the password that may stand in it."""
    return re.sub(r"(://[^/@:\s]*):[^/@\s]*@", r"\1:***@", url)
