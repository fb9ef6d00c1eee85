"""The little that tidegate asks of git."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tidegate.errors import NotFoundError, TidegateError, UnavailableError, UsageError

FALLBACK = ("-c", "user.name=tidegate", "-c", "user.email=tidegate@localhost")


def head_commit(root: Path) -> str:
    """The commit that is checked out; empty outside git or before the first commit."""
    done = ask_git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return done.stdout.strip() if done.returncode == 0 else ""


def is_dirty(root: Path) -> bool:
    """Whether tracked files differ from the commit that is checked out."""
    done = ask_git(root, "status", "--porcelain", "--untracked-files=no")
    return done.returncode == 0 and bool(done.stdout.strip())


def is_inside(root: Path) -> bool:
    """Whether a repository holds `root`; one around it that ignores the folder does not."""
    found = ask_git(root, "rev-parse", "--is-inside-work-tree")
    return found.stdout.strip() == "true" and ask_git(root, "check-ignore", "--quiet", ".").returncode != 0


def ignored_folders(root: Path) -> frozenset[str]:
    """The directories below `root` that git ignores as a whole, each with a slash at its end; none outside git."""
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    return frozenset(name for name in ask_git(root, *words).stdout.split("\0") if name.endswith("/"))


def resolve_commit(root: Path, name: str) -> str:
    """The commit that a branch, tag or expression names; raises UsageError for an unknown one."""
    done = ask_git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if done.returncode:
        raise UsageError(name, "unknown revision, expected a branch, tag or commit", hint="git log --oneline")
    return done.stdout.strip()


def list_files(root: Path, commit: str) -> list[str]:
    """Every file of a commit below `root`, seen from there."""
    return [name for name in _checked(root, "ls-tree", "-r", "--name-only", "-z", commit).split("\0") if name]


def read_files(root: Path, commit: str, names: Iterable[str]) -> dict[str, bytes]:
    """The content of these files in a commit, through one process of git; what is not there is left out."""
    asked = list(names)
    wanted = "".join(f"{commit}:./{name}\n" for name in asked).encode()
    done = subprocess.run(
        ["git", "-C", str(root), "cat-file", "--batch"],
        input=wanted,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return dict(_batched(asked, done.stdout))


def _batched(names: list[str], data: bytes) -> Iterator[tuple[str, bytes]]:
    """What `git cat-file --batch` answered: `<id> blob <size>`, the bytes and a line end for each name."""
    start = 0
    for name in names:
        end = data.find(b"\n", start)
        head = data[start:end].split(b" ")
        start = end + 1
        if head[-1] != b"missing" and len(head) == 3:
            size = int(head[2])
            yield name, data[start : start + size]
            start += size + 1


def first_commit(root: Path, message: str) -> str:
    """Make `root` a repository with everything in its first commit; returns the commit.

    Without a configured identity the commit is made as `tidegate`. Raises TidegateError when git fails.
    """
    if not (root / ".git").exists():
        _checked(root, "init", "--quiet", "--initial-branch=main")
    _checked(root, "add", "--all")
    identity = () if ask_git(root, "config", "user.email").stdout.strip() else FALLBACK
    _checked(root, "commit", "--quiet", "--message", message, settings=identity)
    return head_commit(root)


def _checked(root: Path, *words: str, settings: tuple[str, ...] = ()) -> str:
    done = ask_git(root, *settings, *words)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        fatal = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise TidegateError(f"git {words[0]}", fatal.removeprefix("fatal: "), hint=f"git -C {root} status")
    return done.stdout


def ask_git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What git answers in `root`, whatever its exit code; at most a minute."""
    try:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=60
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", "git is not installed")


def call_git(*words: str, send: str = "", patience_s: float) -> subprocess.CompletedProcess[str]:
    """Git where it may ask others: nobody is there to type a password, and its words must be the ones we know.

    Raises NotFoundError without git, and UnavailableError when it does not answer in time.
    """
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", *words],
            input=send,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=patience_s,
            env=environment,
        )
    except FileNotFoundError:
        raise NotFoundError("git", "not installed, expected the command", hint="install git") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError("git", f"no answer within {patience_s:.0f} s, expected one") from None
