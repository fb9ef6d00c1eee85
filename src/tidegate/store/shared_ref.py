"""One file that everybody who has the git remote shares: the tip of a reference, replaced only by who saw it."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UnavailableError
from tidegate.store.git import FALLBACK, call_git

PATIENCE_S = 120.0
# what git says when the reference has moved, or is being moved, by somebody else
OVERTAKEN = (
    "stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "failed to lock",
    "incorrect old value", "reference already exists",
)  # fmt: skip
# nothing in the user's repository starts working because of us
QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.recurseSubmodules=false")


class Place(NamedTuple):
    """Where the file is: a repository with its remote, the reference, the file's name in its commits."""

    root: Path
    remote: str
    ref: str
    name: str


class Seen(NamedTuple):
    """What was there: the commit and the file's text; both empty before anything was written."""

    tip: str
    text: str


def read_shared(place: Place) -> Seen:
    """What the remote holds now. Raises UnavailableError when git cannot bring it."""
    if not _asked(place, "ls-remote", place.remote, place.ref):
        return Seen("", "")
    # a name of our own, because another process may be at it in the same clone
    ours = f"refs/tidegate/fetched/{os.getpid()}-{os.urandom(4).hex()}"
    words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
    _asked(place, *QUIET, *words, place.remote, f"+{place.ref}:{ours}")
    try:
        tip = _asked(place, "rev-parse", ours).strip()
        return Seen(tip, _asked(place, "cat-file", "blob", f"{ours}:{place.name}"))
    finally:
        _asked(place, "update-ref", "-d", ours)


def replace_shared(place: Place, seen: Seen, text: str) -> bool:
    """Put `text` in the place of what was `seen`, as a commit on top; False when somebody else was faster.

    Raises UnavailableError when the remote refuses for another reason.
    """
    blob = _asked(place, "hash-object", "-w", "--stdin", send=text).strip()
    tree = _asked(place, "mktree", send=f"100644 blob {blob}\t{place.name}\n").strip()
    parent = ("-p", seen.tip) if seen.tip else ()
    commit = _asked(
        place, *_identity(place), "commit-tree", tree, *parent, "-m", f"Update {place.name}"
    ).strip()
    lease = f"--force-with-lease={place.ref}:{seen.tip}"
    done = _run(
        place, "push", "--quiet", "--no-verify", "--porcelain", lease, place.remote, f"{commit}:{place.ref}"
    )
    said = done.stdout + done.stderr
    if done.returncode and not any(sign in said for sign in OVERTAKEN):
        raise _refused(place, "push", said)
    return done.returncode == 0


def shown(place: Place) -> str:
    """The remote as people know it, without a name and password that may stand in an address."""
    scheme, mark, rest = place.remote.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else place.remote


def _identity(place: Place) -> tuple[str, ...]:
    known = _run(place, "var", "GIT_COMMITTER_IDENT").returncode == 0
    return () if known else FALLBACK


def _asked(place: Place, *words: str, send: str = "") -> str:
    done = _run(place, *words, send=send)
    if done.returncode:
        verb = next(word for word in words if not word.startswith("-") and "=" not in word)
        raise _refused(place, verb, done.stderr)
    return done.stdout


def _refused(place: Place, verb: str, said: str) -> UnavailableError:
    lines = [line for line in said.splitlines() if line.strip()] or ["git gives no reason"]
    fatal = next((line for line in lines if line.startswith(("fatal: ", "error: ", "!\t"))), lines[-1])
    reason = (
        fatal.partition(": ")[2] if fatal.startswith(("fatal: ", "error: ")) else fatal.replace("\t", " ")
    )
    hint = f"check `git ls-remote {shown(place)}`, then try again"
    return UnavailableError(
        f"git {verb} {shown(place)}", reason.replace(place.remote, shown(place)), hint=hint
    )


def _run(place: Place, *words: str, send: str = "") -> subprocess.CompletedProcess[str]:
    return call_git("-C", str(place.root), *words, send=send, patience_s=PATIENCE_S)
