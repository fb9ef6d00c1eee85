"""How two versions of tracked data differ, as far as cache, git and workspace still have both."""

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from tidegate.data.cache import object_path, read_tree
from tidegate.data.contract.compare import compare_tables
from tidegate.data.contract.source import SUFFIXES, connect, open_source, run
from tidegate.data.hash import Hashed
from tidegate.data.md5 import DOS2UNIX, MD5, md5_bytes, md5_file
from tidegate.errors import TidegateError
from tidegate.gate.words import say_bytes
from tidegate.pipeline.project import Project
from tidegate.store.git import read_files

MOST_NOTES = 5
LOST = "the version of live is not in the cache"
ALIKE = "every column is about as before"


class Versions(NamedTuple):
    """Where contents are found by their md5: the project, and git at the commit that made the live model.

    `known` are the tables that the data contract is about, from the root.
    """

    project: Project
    commit: str
    known: Collection[str] = ()


class Pair(NamedTuple):
    """A path, and the md5 of what was there and of what is."""

    name: str
    was: str
    now: str


def describe(versions: Versions, pair: Pair) -> tuple[str, ...]:
    """What changed, most telling first; nothing of what is new or gone, and a word on what cannot be told."""
    if not (pair.was and pair.now):
        return ()
    if pair.was.endswith(".dir") or pair.now.endswith(".dir"):
        return tuple(_folder_notes(versions, pair))
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        was = _find(versions, pair.name, pair.was, Path(folder) / "was")
        now = _find(versions, pair.name, pair.now, Path(folder) / "now")
        return tuple(_file_notes(was, now, is_known=pair.name in versions.known)) if was and now else (LOST,)


def _find(versions: Versions, name: str, md5: str, folder: Path) -> Path | None:
    """A file with this content under its own name."""
    root, into = versions.project.root, folder / Path(name).name
    folder.mkdir()
    for kind in (MD5, DOS2UNIX):
        path = object_path(versions.project.cache, md5, kind=kind)
        if path.is_file():
            into.symlink_to(path.resolve())
            return into
    if (root / name).is_file() and md5_file(root / name) == md5:
        return root / name
    data = read_files(root, versions.commit, [name]).get(name, b"") if versions.commit else b""
    if md5_bytes(data) != md5:
        return None
    into.write_bytes(data)
    return into


def _file_notes(was: Path, now: Path, *, is_known: bool) -> Iterator[str]:
    if was.suffix.lower() not in SUFFIXES:
        before, after = was.stat().st_size, now.stat().st_size
        if before != after:
            yield f"{say_bytes(before)} to {say_bytes(after)}"
        return
    try:
        yield from _table_notes(was, now) if is_known else [_rows_note(was, now)]
    except TidegateError as error:
        yield error.message


def _table_notes(was: Path, now: Path) -> Iterator[str]:
    sentences = [change.sentence for change in compare_tables(was, now)]
    yield from sentences[:MOST_NOTES] or [ALIKE]
    if len(sentences) > MOST_NOTES:
        yield f"and {len(sentences) - MOST_NOTES} more"


def _rows_note(was: Path, now: Path) -> str:
    before, after = _count(was), _count(now)
    return f"rows: {before:,} to {after:,}" if before != after else f"{after:,} rows as before"


def _count(path: Path) -> int:
    with connect([path]) as connection:
        source = open_source(connection, path)
        found = run(connection, f"select count(*) from {source.sql}", source)  # noqa: S608 - quoted by open_source
        return int(found[0][0])


def _folder_notes(versions: Versions, pair: Pair) -> Iterator[str]:
    was, now = (_tree(versions, md5) for md5 in (pair.was, pair.now))
    if was is None or now is None:
        yield LOST
        return
    changed = [name for name in was.keys() & now.keys() if was[name] != now[name]]
    counts = (
        (len(now.keys() - was.keys()), "new"),
        (len(was.keys() - now.keys()), "gone"),
        (len(changed), "changed"),
    )
    said = ", ".join(f"{many:,} {word}" for many, word in counts if many)
    yield f"{len(now):,} files: {said}"
    for name in sorted(changed):
        inner = Pair(f"{pair.name}/{name}", was[name], now[name])
        if inner.name in versions.known:
            yield from (f"{name}: {note}" for note in describe(versions, inner))


def _tree(versions: Versions, md5: str) -> dict[str, str] | None:
    """The files of a directory by path; a file is one without a name."""
    for kind in (MD5, DOS2UNIX):
        entries = read_tree(versions.project.cache, Hashed(md5, 0, kind=kind))
        if entries is not None:
            return dict(entries)
    return None
