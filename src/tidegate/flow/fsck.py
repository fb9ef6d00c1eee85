"""`fsck`: read every object of the cache, move damaged ones aside, say who needs them, and fetch them again."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tidegate.data.aside import Aside
from tidegate.data.keys import kind_of, md5_of
from tidegate.data.md5 import LARGE, md5_file
from tidegate.data.objects import ObjectCache, sound_table, unsound_objects
from tidegate.data.sound import remember_sound
from tidegate.data.trip import Report
from tidegate.flow.gc import cached_objects
from tidegate.flow.sync import Lost, Trade, fetch_into
from tidegate.flow.wanted import Scope, Wanted, collect, names_of
from tidegate.pipeline.project import Project, open_project
from tidegate.store.refs import NOW, Revisions


class Check(NamedTuple):
    """Whether to fetch what is damaged, and which commits beside the workspace may need it."""

    fetch: bool = False
    trade: Trade = Trade()
    revisions: Revisions = NOW


class Damaged(NamedTuple):
    """An object whose bytes are not what its name says, and the paths that need it."""

    md5: str
    needed_by: tuple[str, ...]


class Checked(NamedTuple):
    """How much was read, what was damaged and is in `aside` now, and which of that could not be fetched again."""

    objects: int
    total_bytes: int
    damaged: tuple[Damaged, ...] = ()
    aside: Path | None = None
    fetched: int = 0
    lost: tuple[Lost, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing was damaged, or everything that is needed is whole again."""
        return not self.damaged or (self.fetched > 0 and not self.lost)


def check_cache(root: Path, check: Check | None = None) -> Checked:
    """Read every object, whatever was known of it; nothing is deleted."""
    check = check or Check()
    with open_project(root) as project:
        found = dict(cached_objects(project.cache))
        bad = sorted(_damaged(project.cache, found, check.trade.report))
        size = sum(status.st_size for status in found.values())
        if not bad:
            return Checked(len(found), size)
        wanted = [
            one for one in collect(project, Scope(revisions=check.revisions)) if one.out.cache and one.hashed
        ]
        damaged = tuple(_needed(project.cache, bad, wanted))
        done = Checked(len(found), size, damaged, _move_aside(project.cache, bad))
        return _fetched(project, done, wanted, check.trade) if check.fetch else done


def _damaged(cache: ObjectCache, found: dict[str, os.stat_result], report: Report | None) -> list[str]:
    """Small files are hashed one after the other, large ones at the same time."""
    from tidegate.data.trip import Progress

    bad, sound, read = [], {}, 0
    for number, (key, is_right) in enumerate(_verdicts(cache, found), 1):
        read += found[key].st_size
        if is_right:
            sound[f"{cache.folder}/{key}"] = found[key]
        else:
            bad.append(key)
        if report:
            report(Progress(number, len(found), read))
    remember_sound(sound_table(cache), sound)
    return bad


def _verdicts(cache: ObjectCache, found: dict[str, os.stat_result]) -> Iterator[tuple[str, bool]]:
    def judge(key: str) -> tuple[str, bool]:
        actual = md5_file(f"{cache.folder}/{key}", kind_of(key))
        return key, actual == md5_of(key).removesuffix(".dir")

    large = [key for key, status in found.items() if status.st_size >= LARGE]
    yield from map(judge, (key for key, status in found.items() if status.st_size < LARGE))
    if len(large) < 2:
        yield from map(judge, large)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(large), os.cpu_count() or 1)) as pool:
        yield from pool.map(judge, large)


def _needed(cache: ObjectCache, bad: Iterable[str], wanted: list[Wanted]) -> Iterator[Damaged]:
    """An object may have many names: all of them are told."""
    users: dict[tuple[str, str], dict[str, None]] = {}
    for one in wanted:
        for name, at in names_of(cache, [one]).items():
            users.setdefault(name, {})[at] = None
    for key in bad:
        yield Damaged(md5_of(key), tuple(users.get((kind_of(key), md5_of(key)), ())))


def _move_aside(cache: ObjectCache, bad: Iterable[str]) -> Path | None:
    aside = Aside(cache.files.root)
    for key in bad:
        aside.take(f"{cache.folder}/{key}", f"cache/{key}")
    return aside.folder


def _fetched(project: Project, done: Checked, wanted: list[Wanted], trade: Trade) -> Checked:
    """Only outs that need a damaged object are fetched; what is damaged and needed by nobody stays away."""
    bad = {one.md5 for one in done.damaged}
    needing = [
        one for one in wanted if one.hashed and (one.hashed.md5 in bad or _uses(project.cache, one, bad))
    ]
    synced = fetch_into(project, needing, trade)
    still = set(unsound_objects(project.cache, [one.md5 for one in done.damaged if one.needed_by]))
    lost = tuple(one for one in synced.lost if one.md5 in still or not one.md5)
    return done._replace(fetched=len(bad) - len(still), lost=lost)


def _uses(cache: ObjectCache, one: Wanted, md5s: set[str]) -> bool:
    return any(md5 in md5s for _, md5 in names_of(cache, [one]))
