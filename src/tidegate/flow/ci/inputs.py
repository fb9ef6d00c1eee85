"""What a check looks at, as one digest: the same digest means the very same inputs."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path

from tidegate.store.files import sha256_bytes
from tidegate.store.git import call_git, is_inside
from tidegate.store.ledger import canonical

PATIENCE_S = 60.0
STATE = ".tidegate"

Tree = Mapping[str, str]


def read_tree(root: Path) -> Tree:
    """Every file below `root` that git knows or would add, with the id of its content; empty outside git.

    What is changed but not committed counts as it lies there, so a commit of it gives the same tree.
    """
    if not is_inside(root):
        return {}
    staged = (line.partition("\t") for line in _names(root, "--stage"))
    tree = {name: head.split(" ")[1] for head, _, name in staged}
    changed = set(_names(root, "--modified", "--deleted", "--others", "--exclude-standard"))
    kept = {name: blob for name, blob in tree.items() if name not in changed}
    found = kept | _hashed(root, sorted(name for name in changed if (root / name).is_file()))
    return {name: blob for name, blob in found.items() if "__pycache__" not in name.split("/")}


def digest_of(tree: Tree, command: str, *, without: Iterable[str] = ()) -> str:
    """SHA-256 of the tree but for some files and folders, the command and the version of Python; empty outside git."""
    if not tree:
        return ""
    left_out = {STATE, *without}
    files = {name: blob for name, blob in tree.items() if left_out.isdisjoint(_places(name))}
    return sha256_bytes(canonical([files, command, platform.python_version()]).encode())


def _places(name: str) -> Iterator[str]:
    """The file itself and every folder above it."""
    return accumulate(name.split("/"), "{}/{}".format)


def _names(root: Path, *options: str) -> Iterator[str]:
    done = call_git("-C", str(root), "ls-files", "-z", *options, patience_s=PATIENCE_S)
    return (name for name in done.stdout.split("\0") if name)


def _hashed(root: Path, names: list[str]) -> dict[str, str]:
    """The ids that git would give these files."""
    if not names:
        return {}
    words = ("-C", str(root), "hash-object", "--stdin-paths")
    done = call_git(*words, send="".join(f"{name}\n" for name in names), patience_s=PATIENCE_S)
    return dict(zip(names, done.stdout.split(), strict=False))
