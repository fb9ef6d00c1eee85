"""Where a candidate comes from, as repository, locks and ledger know it; nothing is read from the clock."""

import time
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from tidegate import __version__
from tidegate.data.hash import Hashed
from tidegate.domain import Event
from tidegate.flow.repro import storable
from tidegate.pipeline.lockfile import Entry, Recorded, recorded
from tidegate.pipeline.project import open_project
from tidegate.project import Config
from tidegate.registry.provenance import MD5, PROVENANCE, Command, Provenance, Run, read_provenance
from tidegate.store.git import ask_git, head_commit, is_dirty
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger


def gather_provenance(config: Config, layout: Layout) -> Provenance:
    """Commit, commands, parameters and hashes as the locks record them, and the run that made the model."""
    root = layout.root
    with open_project(root) as project:
        entries = dict(project.lock)
    lock = recorded(entries.values())
    return Provenance(
        commit=head_commit(root),
        uncommitted_changes=is_dirty(root),
        params={name: storable(value) for name, value in lock.params.items()},
        deps=lock.deps,
        outs=lock.outs,
        source=public_url(ask_git(root, "config", "--get", "remote.origin.url").stdout.strip()),
        commands=_commands(entries),
        kinds=_kinds(entries.values()),
        run=_run(layout, lock, config.model.path),
        builder=__version__,
    )


def provenance_of(layout: Layout, digest: str) -> Provenance:
    """Where a bundle that was packed here comes from."""
    data = (layout.bundles / digest / PROVENANCE).read_bytes()
    return read_provenance(data, where=f"bundle {digest[:12]}")


def public_url(url: str) -> str:
    """The URL of a repository as anybody may see it: no user, password or token, and no path of this machine."""
    head, mark, path = url.partition(":")
    if mark and "/" not in head and not path.startswith("//"):
        # git's short form of ssh, user@host:path
        url = f"ssh://{head}/{path.lstrip('/')}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((f"git+{parts.scheme}", host, parts.path, "", ""))


def _commands(entries: Mapping[str, Entry]) -> dict[str, Command]:
    return {key: entry.cmd for key, entry in entries.items() if entry.cmd}


def _kinds(entries: Iterable[Entry]) -> dict[str, str]:
    """How a path's content is named where it is not by its md5."""
    found: Iterable[tuple[str, Hashed]] = chain.from_iterable(
        (*entry.deps.items(), *entry.outs.items()) for entry in entries
    )
    return {path: hashed.kind for path, hashed in found if hashed.kind != MD5}


def _run(layout: Layout, lock: Recorded, model: str) -> Run | None:
    """The newest run in the ledger that left the model as it is now."""
    out = next((path for path in _with_parents(model) if path in lock.outs), None)
    if out is None:
        return None
    with open_ledger(layout.ledger) as ledger:
        runs = ledger.events(kinds=("run.finished",))
    return next((_described(event) for event in reversed(runs) if _left(event, out, lock.outs[out])), None)


def _with_parents(path: str) -> Iterable[str]:
    return (path, *map(str, PurePosixPath(path).parents))


def _left(event: Event, out: str, value: str) -> bool:
    outs = event.body["outs"]
    return isinstance(outs, dict) and outs.get(out) == value


def _described(event: Event) -> Run:
    started, ended = event.body["started"], event.body["ended"]
    return Run(event.subject, _moment(started), _moment(ended))


def _moment(at: object) -> str:
    """A time of the ledger in the form of RFC 3339, to the second."""
    seconds = at if isinstance(at, (int, float)) else 0
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
