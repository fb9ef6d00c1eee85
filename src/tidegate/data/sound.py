"""Which cache objects were verified: by path and stat, so that none is hashed twice and none trusted blindly.

Losing the table costs time, never correctness.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_Row = tuple[str, int, int, int, int, int]

_AT_ONCE = 900
_SCHEMA = """create table if not exists sound
(path text primary key, inode int, size int, modified int, changed int, links int) without rowid"""


def known_sound(table: Path, seen: Mapping[str, os.stat_result]) -> set[str]:
    """Those of the objects, seen with these stats, that were verified and not touched since."""
    found: set[str] = set()
    if seen and table.exists():
        _use(table, lambda connection: found.update(_holding(connection, seen)))
    return found


def remember_sound(table: Path, seen: Mapping[str, os.stat_result]) -> None:
    """Note that these objects were verified while they had these stats."""
    rows = [(path, *_key(stat)) for path, stat in seen.items()]
    if rows:
        insert = "insert or replace into sound values (?, ?, ?, ?, ?, ?)"
        _use(table, lambda connection: connection.executemany(insert, rows))


def _key(stat: os.stat_result) -> tuple[int, int, int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink


def _holds(row: _Row, stat: os.stat_result) -> bool:
    """Making or removing a hard link changes ctime as well, so another count of links explains another ctime."""
    inode, size, modified, changed, links = row[1:]
    same = (inode, size, modified) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return same and (changed == stat.st_ctime_ns or links != stat.st_nlink)


def _holding(connection: "sqlite3.Connection", seen: Mapping[str, os.stat_result]) -> set[str]:
    paths = list(seen)
    holding = set()
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"select * from sound where path in ({marks})", some)  # noqa: S608
        holding |= {row[0] for row in rows if _holds(row, seen[row[0]])}
    return holding


def _use(table: Path, work: Callable[["sqlite3.Connection"], object]) -> None:
    """A torn table is deleted and a busy one skipped: what it would have said is found out again."""
    import sqlite3

    table.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(table, timeout=5)) as connection, connection:
            connection.execute("pragma synchronous = off")
            # making and deleting a journal for each object costs more than the object
            connection.execute("pragma journal_mode = persist")
            connection.execute(_SCHEMA)
            work(connection)
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError:
        table.unlink(missing_ok=True)
