"""The little that tidegate asks of git."""

import subprocess
from pathlib import Path

from tidegate.errors import TidegateError

FALLBACK = ("-c", "user.name=tidegate", "-c", "user.email=tidegate@localhost")


def head_commit(root: Path) -> str:
    """The commit that is checked out; empty outside git or before the first commit."""
    done = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return done.stdout.strip() if done.returncode == 0 else ""


def is_dirty(root: Path) -> bool:
    """Whether tracked files differ from the commit that is checked out."""
    done = _git(root, "status", "--porcelain", "--untracked-files=no")
    return done.returncode == 0 and bool(done.stdout.strip())


def is_inside(root: Path) -> bool:
    """Whether a repository holds `root`; one around it that ignores the folder does not."""
    found = _git(root, "rev-parse", "--is-inside-work-tree")
    return found.stdout.strip() == "true" and _git(root, "check-ignore", "--quiet", ".").returncode != 0


def first_commit(root: Path, message: str) -> str:
    """Make `root` a repository with everything in its first commit; returns the commit.

    Without a configured identity the commit is made as `tidegate`. Raises TidegateError when git fails.
    """
    if not (root / ".git").exists():
        _checked(root, "init", "--quiet", "--initial-branch=main")
    _checked(root, "add", "--all")
    identity = () if _git(root, "config", "user.email").stdout.strip() else FALLBACK
    _checked(root, "commit", "--quiet", "--message", message, settings=identity)
    return head_commit(root)


def _checked(root: Path, *words: str, settings: tuple[str, ...] = ()) -> None:
    done = _git(root, *settings, *words)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        fatal = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise TidegateError(f"git {words[0]}", fatal.removeprefix("fatal: "), hint=f"git -C {root} status")


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=60
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", "git is not installed")
