"""`diff`: which tracked data differ between two commits, or between one and the workspace."""

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.folders import fetch_folders
from tidegate.data.hash import Hashed, hash_path, list_tree
from tidegate.data.objects import ObjectCache, object_name, read_tree
from tidegate.data.remote import open_remote
from tidegate.errors import NotFoundError, TidegateError
from tidegate.pipeline.index import Index, load_index
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.source import revision
from tidegate.pipeline.stages import Out, Stage
from tidegate.pipeline.targets import choose_outs, narrowed
from tidegate.store.git import head_commit, resolve_commit

Rows = dict[str, list[dict[str, Any]]]


class Item(NamedTuple):
    """A file or directory with its hash; no md5 where nothing is recorded.

    `unknown` is a directory whose files cannot be told, or, without md5, a path inside of one.
    """

    at: str
    md5: str
    kind: str
    unknown: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory."""
        return self.md5.endswith(".dir")

    @property
    def content(self) -> tuple[str, str]:
        """What makes two of them the same."""
        return self.md5, self.kind if self.md5 else ""

    @property
    def recorded(self) -> str | None:
        """The hash as it is printed."""
        return self.md5 or None

    @property
    def shown(self) -> str:
        """The path as it is printed."""
        return f"{self.at}/" if self.is_folder else self.at


Items = Mapping[str, Item]


def diff(root: Path, old: str = "HEAD", new: str = "", *, words: Iterable[str] = (), here: str = "") -> Rows:
    """What was added, deleted, modified and renamed, in the form of `dvc diff --json --show-hash`.

    Without `new` the workspace is compared, and `not in cache` names what the cache lacks of the old commit. Empty
    when nothing differs. Raises NotFoundError for a word that names nothing on either side.
    """
    if not head_commit(root):
        return {}
    asked = list(words)
    with open_project(root) as project:
        sides = {name: _load(project, name) for name in dict.fromkeys((old, new))}
        chosen = {name: _choose(index, asked, here) for name, index in sides.items()}
        _refuse_unknown(asked, *chosen.values())
        before = _recorded(project, chosen[old].outs)
        after = _recorded(project, chosen[new].outs) if new else _present(project, chosen[new].outs)
    rows = _compare(before, after)
    rows["not in cache"] = [] if new else _not_in_cache(project.cache, before)
    return rows if any(rows.values()) else {}


class _Chosen(NamedTuple):
    """Outs with what is recorded of them and the path to narrow to, and the words that named none."""

    outs: list[tuple[Out, Hashed | None, str]]
    missing: frozenset[str]


def _load(project: Project, name: str) -> Index:
    return (
        load_index(revision(project.root, resolve_commit(project.root, name))) if name else project.pipelines
    )


def _choose(index: Index, words: list[str], here: str) -> _Chosen:
    outs: dict[tuple[str, str], tuple[Out, Hashed | None, str]] = {}
    missing: set[str] = set()
    for group in [[word] for word in words] or [[]]:
        try:
            targets = choose_outs(index, [word.rstrip("/") or word for word in group], here=here)
        except NotFoundError:
            missing.update(group)
            continue
        for target in targets:
            for out in filter(_is_ours, narrowed(target)):
                path = target.path if target.path.startswith(f"{out.at}/") else ""
                outs[out.at, path] = (out, _hash_of(index.lock, target.stage, out), path)
    return _Chosen(list(outs.values()), frozenset(missing))


def _is_ours(out: Out) -> bool:
    return out.cache and not out.at.startswith(("../", "/"))


def _hash_of(lock: Mapping[str, Entry], stage: Stage, out: Out) -> Hashed | None:
    return lock[stage.key].outs.get(out.path) if stage.key in lock else None


def _refuse_unknown(words: list[str], *sides: _Chosen) -> None:
    for word in words:
        if all(word in side.missing for side in sides):
            raise NotFoundError(word, "is tracked on neither side, expected data", hint="tidegate list . -R")


def _recorded(project: Project, outs: list[tuple[Out, Hashed | None, str]]) -> Items:
    """The outs of a commit with the files of directories, as far as cache or remote know their lists."""
    trees = [hashed for _, hashed, _ in outs if hashed and hashed.md5.endswith(".dir")]
    _fetch_lists(project, [hashed for hashed in trees if read_tree(project.cache, hashed) is None])
    found: dict[str, Item] = {}
    for out, hashed, path in outs:
        listed = read_tree(project.cache, hashed) if hashed and hashed.md5.endswith(".dir") else []
        whole = Item(out.at, hashed.md5 if hashed else "", hashed.kind if hashed else "", listed is None)
        _place(found, whole, listed or [], path)
    return found


def _present(project: Project, outs: list[tuple[Out, Hashed | None, str]]) -> Items:
    """The outs as they lie in the workspace, hashed in the way in which they are recorded."""
    found: dict[str, Item] = {}
    for out, was, path in outs:
        kind = was.kind if was else "md5"
        hashed = hash_path(project.files, out.at, kind=kind)
        if hashed:
            listed = list_tree(project.files, out.at, kind=kind) if hashed.md5.endswith(".dir") else []
            _place(found, Item(out.at, hashed.md5, hashed.kind), listed, path)
    return found


def _place(found: dict[str, Item], whole: Item, listed: list[tuple[str, str]], path: str) -> None:
    if not path:
        found[whole.at] = whole
    elif whole.unknown:
        found[path] = whole._replace(at=path, md5="")
    for inner, md5 in listed:
        at = f"{whole.at}/{inner}"
        if not path or at == path or at.startswith(f"{path}/"):
            found[at] = Item(at, md5, whole.kind)


def _fetch_lists(project: Project, hashes: list[Hashed]) -> None:
    """What the default remote knows; without one, or without an answer, the lists stay unknown."""
    if not hashes or not project.config.core.remote:
        return
    try:
        fetch_folders(project.cache, open_remote(project.config), hashes)
    except TidegateError:
        return


def _compare(before: Items, after: Items) -> Rows:
    """Below a directory that one side does not know nothing is told."""
    known = _known(before, after)
    both = [(before[at], after[at]) for at in known if at in before and at in after]
    gone = [before[at] for at in known if at not in after]
    come = [after[at] for at in known if at not in before]
    rows: Rows = {state: [] for state in ("added", "deleted", "modified", "renamed", "not in cache")}
    rows["modified"] = [_modified(was, now) for was, now in both if was.content != now.content]
    for was, now in _pair(gone, come):
        state, row = _moved(was, now)
        rows[state].append(row)
    return {state: _sorted(found) for state, found in rows.items()}


def _modified(was: Item, now: Item) -> dict[str, Any]:
    return _row(was.shown, {"old": was.recorded, "new": now.recorded})


def _moved(was: Item | None, now: Item | None) -> tuple[str, dict[str, Any]]:
    """What happened to something that is on one side, or, renamed, on both."""
    if was is None or now is None:
        (item,) = (one for one in (was, now) if one)
        return "deleted" if was else "added", _row(item.shown, item.recorded)
    return "renamed", _row({"old": was.shown, "new": now.shown}, was.recorded)


def _known(before: Items, after: Items) -> list[str]:
    unknown = tuple(f"{at}/" for side in (before, after) for at, item in side.items() if item.unknown)
    every = before.keys() | after.keys()
    return [at for at in every if not at.startswith(unknown) and _is_told(before.get(at))]


def _is_told(item: Item | None) -> bool:
    """Not so a path inside of a directory that nothing is known of."""
    return item is None or bool(item.md5) or not item.unknown


def _pair(gone: list[Item], come: list[Item]) -> Iterator[tuple[Item | None, Item | None]]:
    """What came with the content of something that went was renamed; in the order of paths."""
    waiting: dict[tuple[str, str], deque[Item]] = defaultdict(deque)
    for item in sorted(gone, key=_parts):
        waiting[item.md5, item.kind].append(item)
    for item in sorted(come, key=_parts):
        same = waiting.get((item.md5, item.kind)) if item.md5 else None
        yield (same.popleft() if same else None), item
    yield from ((item, None) for left in waiting.values() for item in left)


def _parts(item: Item) -> list[str]:
    return item.at.split("/")


def _row(path: Any, hashed: Any) -> dict[str, Any]:
    return {"path": path, "hash": hashed}


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["path"]["old"] if isinstance(row["path"], dict) else row["path"])


def _not_in_cache(cache: ObjectCache, before: Items) -> list[dict[str, Any]]:
    lacking = (item for item in before.values() if item.md5 and not _is_cached(cache, item))
    return _sorted([_row(item.shown, item.md5) for item in lacking])


def _is_cached(cache: ObjectCache, item: Item) -> bool:
    return os.path.exists(object_name(cache, item.md5, kind=item.kind))  # noqa: PTH110
