"""Closed segments become Parquet; kill -9 at any step loses no row.

A run of one writer's files is written to a temporary Parquet file and synced. Its rename is the moment from which
it counts and its parts do not: readers leave out what lies inside its range, so parts that a kill left behind are
not read twice, and the next compaction removes them.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tidegate.store.files import sync_path
from tidegate.store.lock import hold
from tidegate.store.predictions.files import (
    RUN_BYTES,
    SNAPSHOT,
    STREAMS,
    LogFile,
    is_closed,
    list_files,
    parquet_of,
    size_of,
    stale_files,
    swapping,
)
from tidegate.store.predictions.frames import is_damaged

GRACE_S = 2.0
FORGOTTEN_S = 3600.0
DAY_US = 86_400_000_000
TEMPORARY = ".tmp"


class Compacted(NamedTuple):
    """What a compaction did: segments taken, rows in the Parquet files that were written, and bytes saved."""

    segments: int
    rows: int
    saved: int


def compact(folder: Path, *, grace_s: float = GRACE_S) -> Compacted:
    """Turn segments that were closed `grace_s` seconds ago or earlier into Parquet.

    Raises ConflictError when somebody else does it right now or a reader holds the files for a minute.
    """
    with hold(folder / "compact.lock", what="log compact", wait_s=0):
        _clean(folder)
        before = time.time() - grace_s
        done = [_compact_run(run) for stream in STREAMS for run in _runs(list_files(folder, stream), before)]
    return Compacted(*(sum(values) for values in zip(*done, strict=True))) if done else Compacted(0, 0, 0)


def _runs(files: Sequence[LogFile], before: float) -> Iterator[list[LogFile]]:
    """What becomes one Parquet file each: neighbors of one writer and one day, nothing else between them."""
    by_writer = sorted(files, key=lambda file: (file.worker, file.first))
    for _, mine in groupby(by_writer, key=lambda file: file.worker):
        run: list[LogFile] = []
        for file in mine:
            fits = _is_ready(file, before)
            if run and not (fits and _goes_with(run, file)):
                yield from _worthwhile(run)
                run = []
            run += [file] if fits else []
        yield from _worthwhile(run)


def _is_ready(file: LogFile, before: float) -> bool:
    if not file.is_segment:
        return True
    return file.path.stat().st_mtime <= before and is_closed(file) and not is_damaged(file.path)


def _goes_with(run: Sequence[LogFile], file: LogFile) -> bool:
    is_same_day = run[0].first // DAY_US == file.last // DAY_US
    return is_same_day and sum(map(size_of, (*run, file))) <= RUN_BYTES


def _worthwhile(run: list[LogFile]) -> Iterator[list[LogFile]]:
    if any(file.is_segment for file in run):
        yield run


def _compact_run(parts: Sequence[LogFile]) -> Compacted:
    from tidegate.store.predictions.parquet import write_parquet

    folder = parts[0].path.parent
    stats = [file.path.stat() for file in parts]
    whole = parquet_of(parts, sum(map(size_of, parts)))
    fresh = folder / f".{whole.name}{TEMPORARY}"
    try:
        rows = write_parquet(parts, fresh)
        # the time of the newest row, which decides how long the file is kept
        newest = max(stat.st_mtime_ns for stat in stats)
        os.utime(fresh, ns=(newest, newest))
        sync_path(fresh)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    with swapping(folder):
        fresh.replace(whole.path)
        sync_path(folder)
        for file in parts:
            file.path.unlink()
    saved = sum(stat.st_size for stat in stats) - whole.path.stat().st_size
    return Compacted(sum(file.is_segment for file in parts), rows, saved)


def _clean(folder: Path) -> None:
    """Remove what compactions and queries that were killed left behind."""
    for path in folder.glob(f".*{TEMPORARY}"):
        path.unlink()
    for path in folder.glob(f"{SNAPSHOT}*"):
        if path.stat().st_mtime < time.time() - FORGOTTEN_S:
            shutil.rmtree(path, ignore_errors=True)
    stale = [file for stream in STREAMS for file in stale_files(folder, stream)]
    if stale:
        with swapping(folder):
            for file in stale:
                file.path.unlink()
