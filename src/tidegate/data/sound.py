"""Which cache objects were verified: by name and stat, so that none is hashed twice and none trusted blindly.

Losing the table costs time, never correctness.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

_Row = tuple[str, int, int, int, int, int]

_AT_ONCE = 900
_SCHEMA = """create table if not exists sound
(name text primary key, inode int, size int, modified int, changed int, links int) without rowid"""


def known_sound(table: Path, seen: Mapping[str, os.stat_result]) -> set[str]:
    """Those of the objects, seen with these stats, that were verified and not touched since."""
    if not seen or not table.exists():
        return set()
    with _opened(table) as connection:
        return {row[0] for row in _rows(connection, list(seen)) if _holds(row, seen[row[0]])}
    return set()


def remember_sound(table: Path, seen: Mapping[str, os.stat_result]) -> None:
    """Note that these objects were verified while they had these stats."""
    if not seen:
        return
    rows = [(name, *_key(stat)) for name, stat in seen.items()]
    with _opened(table) as connection, connection:
        connection.executemany("insert or replace into sound values (?, ?, ?, ?, ?, ?)", rows)


def _key(stat: os.stat_result) -> tuple[int, int, int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink


def _holds(row: _Row, stat: os.stat_result) -> bool:
    """Making or removing a hard link changes ctime as well, so another count of links explains another ctime."""
    inode, size, modified, changed, links = row[1:]
    same = (inode, size, modified) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return same and (changed == stat.st_ctime_ns or links != stat.st_nlink)


def _rows(connection: sqlite3.Connection, names: list[str]) -> Iterator[_Row]:
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        yield from connection.execute(f"select * from sound where name in ({marks})", some)  # noqa: S608


@contextmanager
def _opened(table: Path) -> Iterator[sqlite3.Connection]:
    """A torn table is deleted and a busy one skipped: what it would have said is found out again."""
    table.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(table, timeout=5)) as connection:
            connection.execute("pragma synchronous = off")
            connection.execute(_SCHEMA)
            yield connection
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError:
        table.unlink(missing_ok=True)
