"""The prediction log of a project: opened for a worker, kept within its limits, asked in SQL.

Run as `python -m tidegate.flow.log ROOT` by the watcher: compacting takes a process of its own, so that neither the
gateways nor a rollback wait for it.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tidegate.data.contract import Contract, parse_contract
from tidegate.errors import ConflictError, TidegateError
from tidegate.project import Config, Log, load_config
from tidegate.store.files import sync_path
from tidegate.store.layout import Layout
from tidegate.store.ledger import Entry, open_ledger
from tidegate.store.lock import hold
from tidegate.store.predictions import (
    Answered,
    Compacted,
    Input,
    Keeping,
    Limits,
    PredictionLog,
    Question,
    Trimmed,
    ask,
    compact,
    hidden_positions,
    log_size,
    trim,
)

LOOK_S = 10.0
MOST_BYTES = 64 << 20
KEY_BYTES = 32
RESTRICTED = "restricted"
NICENESS = 10


class Kept(NamedTuple):
    """What keeping the log did."""

    compacted: Compacted
    trimmed: list[Trimmed]


def open_log(config: Config, layout: Layout, worker: str) -> PredictionLog:
    """The writing end for one worker, as `[log]` says."""
    key = _unit_key(layout) if config.log.unit == "hash" else b""
    keeping = Keeping(config.log.sync == "group", float(config.log.compact_every), key)
    return PredictionLog(layout.log, worker, keeping)


def hidden_inputs(contract: Contract, settings: Log) -> frozenset[int]:
    """Where in a row the inputs stand that are not written: personal and restricted ones, and those in `[log]`."""
    from tidegate.registry.columns import row_columns

    marked = [
        column.name
        for column in contract.columns
        if column.is_personal or column.classification == RESTRICTED
    ]
    return hidden_positions(row_columns(contract), [*marked, *settings.redact])


def keep_log(root: Path, *, grace_s: float | None = None) -> Kept:
    """Delete what is too old or too much, which the ledger then says, and compact what is done.

    Raises ConflictError when somebody else is at it.
    """
    config, layout = load_config(root), Layout(root)
    if not layout.log.is_dir():
        return Kept(Compacted(0, 0, 0), [])
    # deleting first makes room for the compaction, and needs no package that it needs
    limits = Limits(float(config.log.retain), int(config.log.max_bytes))
    gone = trim(layout.log, limits, now=time.time())
    if gone:
        with open_ledger(layout.ledger) as ledger:
            ledger.append_all(_entries(config.project.name, gone))
    done = compact(layout.log) if grace_s is None else compact(layout.log, grace_s=grace_s)
    return Kept(done, gone)


def query_log(root: Path, sql: str, *, timeout_s: float = 30.0, limit: int = 1000) -> Answered:
    """The answer to a query over `predictions`, `labels` and `joined`, with the inputs by their names."""
    layout = Layout(root)
    if layout.log.is_dir():
        # what is Parquet now need not be decoded for the next query; without it the answer is the same
        with suppress(TidegateError):
            compact(layout.log)
    return ask(layout.log, Question(sql, lambda bundles: _names(layout, bundles), timeout_s, limit))


class Keeper:
    """Starts a process that keeps the log, when it is time or when much waits; one at a time.

    The first one starts LOOK_S after the first tick, when the service is up.
    """

    def __init__(self, root: Path, settings: Log) -> None:
        self._root = root
        self._every = float(settings.compact_every)
        self._due = 0.0
        self._look: float | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def tick(self, now: float) -> None:
        """Start what is due."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = None
        if self._look is None:
            self._look = now + LOOK_S
        if now < self._look:
            return
        self._look = now + LOOK_S
        if now >= self._due or _waiting_bytes(self._root) > MOST_BYTES:
            self._due = now + self._every
            words = [sys.executable, "-m", "tidegate.flow.log", str(self._root)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL)

    def close(self) -> None:
        """End the process; what it did not finish the next one does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def main(root: str) -> None:
    """Keep the log once, behind everybody else; a word on standard error for what fails."""
    os.nice(NICENESS)
    try:
        kept = keep_log(Path(root))
    except ConflictError:
        return
    except (TidegateError, OSError) as error:
        print(f"prediction log: {error}", file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(1)
    for one in kept.trimmed:
        print(f"prediction log: {one.name} deleted for its {one.reason}", file=sys.stderr, flush=True)  # noqa: T201


def _waiting_bytes(root: Path) -> int:
    return sum(size.closed_bytes for size in log_size(Layout(root).log))


def _entries(project: str, gone: Iterable[Trimmed]) -> list[Entry]:
    """An event for each reason: how many files and bytes went, and how new the newest row in them was."""
    entries = []
    for reason, some in groupby(sorted(gone, key=lambda one: one.reason), key=lambda one: one.reason):
        files = list(some)
        body: dict[str, object] = {
            "reason": reason,
            "files": len(files),
            "bytes": sum(one.bytes for one in files),
            "newest": max(one.newest for one in files),
        }
        entries.append(Entry("log.trimmed", project, body))
    return entries


def _names(layout: Layout, bundles: Collection[str]) -> dict[str, tuple[Input, ...]]:
    """The inputs of the bundles that are here and can be read."""
    from tidegate.registry.columns import row_columns, text_columns
    from tidegate.registry.load import CONTRACT

    found = {}
    for bundle in bundles:
        path = layout.bundles / bundle / CONTRACT
        try:
            contract = parse_contract(path.read_text(encoding="utf-8"), CONTRACT)
            texts = text_columns(contract)
            found[bundle] = tuple(Input(name, name in texts) for name in row_columns(contract))
        except (OSError, TidegateError):
            # its rows are there under `inputs`
            continue
    return found


def _unit_key(layout: Layout) -> bytes:
    """The key that units are hashed with, made at first use; only its owner can read it."""
    path = layout.keys / "log.key"
    with hold(layout.keys / "log.key.lock", what="log key"):
        if not path.exists():
            fresh = path.with_name(".log.key.new")
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(handle, secrets.token_bytes(KEY_BYTES))
            os.fsync(handle)
            os.close(handle)
            fresh.replace(path)
            sync_path(layout.keys)
        return path.read_bytes()


if __name__ == "__main__":
    main(sys.argv[1])
