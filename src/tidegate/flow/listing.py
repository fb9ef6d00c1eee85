"""`list`: the files and data of a repository, as a commit or the workspace has them."""

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.hash import Files, Hashed
from tidegate.data.ignore import ignore_rules
from tidegate.data.objects import ObjectCache, open_cache
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError
from tidegate.pipeline.foreign import Foreign, open_foreign, read_list
from tidegate.pipeline.index import Index, load_index
from tidegate.pipeline.source import revision, workspace
from tidegate.store.clones import find_repository, list_entries
from tidegate.store.layout import Layout
from tidegate.store.root import project_root

_TREE = "tree"
# what belongs to the tools and is never listed
_OWN = (".dvc", ".git", ".hg")


class Node(NamedTuple):
    """A file or directory: of an out or not, with what is known of it."""

    isout: bool = False
    isdir: bool = False
    isexec: bool = False
    size: int | None = None
    md5: str | None = None


class Asked(NamedTuple):
    """What to list: everything below the path down to a depth, only data, at a revision.

    `repo` has what completes their configuration: `config` and `remote`, in the form of a .dvc file.
    """

    path: str = ""
    rev: str = ""
    recursive: bool = False
    depth: int | None = None
    dvc_only: bool = False
    repo: Mapping[str, Any] = {}


class Tree(NamedTuple):
    """A file or directory under its name, with what is inside of it."""

    name: str
    node: Node
    inside: tuple["Tree", ...] = ()


Look = Callable[[str], dict[str, Node]]


class _View(NamedTuple):
    """How to see the files of git or of the workspace, and tracked data, in a directory."""

    files: Look
    data: Look
    dvc_only: bool


def list_repository(url: str, asked: Asked) -> dict[str, Node]:
    """What lies at the path of the repository, by path from there, in the order of `dvc list`.

    Raises NotFoundError when nothing does, UnavailableError when the repository, or the list of a tracked
    directory, is not to be had.
    """
    with _open_view(url, asked) as view:
        at = _normal(asked.path)
        top = _node(view, at, asked.path)
        depth = asked.depth if asked.recursive else None
        if not top.isdir or depth == 0:
            return {posixpath.basename(at) or ".": top}
        found = _walk(view, at, recursive=asked.recursive, depth=depth)
        return dict(sorted(found, key=lambda row: row[0]))


def list_tree(url: str, asked: Asked) -> Tree:
    """The same as a tree, from the path down; always recursive."""
    with _open_view(url, asked) as view:
        at = _normal(asked.path)
        top = _node(view, at, asked.path)
        return _tree(view, at, Tree(asked.path.rstrip("/") or ".", top), asked.depth)


def as_dict(path: str, node: Node) -> dict[str, Any]:
    """One line of `dvc list --json`."""
    return {**node._asdict(), "path": path}


def _normal(path: str) -> str:
    at = posixpath.normpath(path.strip("/")) if path.strip("/") else ""
    return "" if at == "." else at


def _node(view: _View, at: str, path: str) -> Node:
    if not at:
        top = view.files(".").get(".", Node(isdir=True))
        return top._replace(isdir=True)
    folder, _, name = at.rpartition("/")
    found = _children(view._replace(dvc_only=False), folder).get(name)
    if found is None:
        raise NotFoundError(path, "no such file or directory in the repository", hint="tidegate list URL")
    return found


def _walk(view: _View, at: str, *, recursive: bool, depth: int | None) -> Iterator[tuple[str, Node]]:
    """Files, and directories where the walk ends."""
    waiting = [("", 1)]
    while waiting:
        folder, level = waiting.pop()
        is_last = not recursive or (depth is not None and level >= depth)
        for name, node in _children(view, f"{at}/{folder}".strip("/")).items():
            path = f"{folder}/{name}" if folder else name
            if node.isdir and not is_last:
                waiting.append((path, level + 1))
            else:
                yield path, node


def _tree(view: _View, at: str, tree: Tree, depth: int | None) -> Tree:
    if not tree.node.isdir or depth == 0:
        return tree
    below = None if depth is None else depth - 1
    inside = sorted(_children(view, at).items())
    return tree._replace(
        inside=tuple(_tree(view, f"{at}/{name}".strip("/"), Tree(name, node), below) for name, node in inside)
    )


def _children(view: _View, at: str) -> dict[str, Node]:
    """Files win in what they are, data in whether they are outs."""
    data = view.data(at)
    files = {} if view.dvc_only else view.files(at or ".")
    files = {name: node for name, node in files.items() if name != "."}
    merged = {
        name: data[name]._replace(isdir=node.isdir, isexec=node.isexec, size=node.size)
        if name in data
        else node
        for name, node in files.items()
    }
    return {**data, **merged}


@contextmanager
def _open_view(url: str, asked: Asked) -> Iterator[_View]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="tidegate-list-") as scratch:
        ours = Path(project_root(os.getcwd()) or scratch)  # noqa: PTH109
        local = find_repository(ours, url, near=(Path.cwd(),))
        root = project_root(str(local.resolve())) if local else None
        if root and not asked.rev:
            foreign = Foreign(url, Path(root), "", is_here=True, repo=asked.repo)
            files, cache = _workspace_files(Path(root)), _cache_of(Path(root))
            index = load_index(workspace(cache.files))
        else:
            place = root or url
            foreign = open_foreign(ours, {**asked.repo, "url": place, "rev": asked.rev}, locked=False)
            files = _commit_files(foreign)
            cache = _cache_of(foreign.folder if foreign.is_here and root else ours)
            index = load_index(revision(foreign.folder, foreign.commit))
        yield _View(files, _data(index, cache, foreign), asked.dvc_only)


def _cache_of(root: Path) -> ObjectCache:
    return open_cache(Files(root, StatCache(Layout(root).state / "cache" / "stat.json")))


def _workspace_files(root: Path) -> Look:
    """The workspace without what .dvcignore hides."""
    rules = ignore_rules(root)

    def look(at: str) -> dict[str, Node]:
        folder = root / at
        if not folder.is_dir():
            return {}
        prefix = "" if at == "." else f"{at}/"
        nodes = {".": _stated(folder)} if at == "." else {}
        for name in os.listdir(folder):  # noqa: PTH208
            node = _stated(folder / name)
            if not rules.hides_deep(f"{prefix}{name}/" if node.isdir else f"{prefix}{name}"):
                nodes[name] = node
        return nodes

    return look


def _stated(path: Path) -> Node:
    try:
        status = path.stat()
    except OSError:
        status = path.lstat()
    isdir = stat.S_ISDIR(status.st_mode)
    return Node(isdir=isdir, isexec=not isdir and bool(status.st_mode & stat.S_IXUSR), size=status.st_size)


def _commit_files(foreign: Foreign) -> Look:
    folders: dict[str, dict[str, Node]] = {}
    for path, entry in list_entries(foreign.folder, foreign.commit).items():
        above, _, name = path.rpartition("/")
        if name in _OWN:
            continue
        node = Node(isdir=entry.kind == _TREE, isexec=entry.mode == "100755", size=entry.size)
        folders.setdefault(above or ".", {})[name or "."] = node
    return lambda at: folders.get(at, {})


def _data(index: Index, cache: ObjectCache, foreign: Foreign) -> Look:
    """Outs in the cache's care, and the directories above them; lists of files are read when they are asked for."""
    folders: dict[str, dict[str, Node]] = {}
    lists: dict[str, tuple[Hashed, str]] = {}
    for stage in index.stages.values():
        for out in stage.outs:
            if not out.cache or out.at.startswith(("../", "/")):
                continue
            hashed = index.lock[stage.key].outs.get(out.path) if stage.key in index.lock else None
            is_folder = hashed is not None and hashed.md5.endswith(".dir")
            size = hashed.size if hashed and hashed.size >= 0 else None
            md5 = hashed.md5 or None if hashed else None
            _insert(
                folders,
                "",
                out.at,
                Node(isout=True, isdir=is_folder, size=size, md5=md5),
                Node(isdir=True),
            )
            if hashed and is_folder:
                lists[out.at] = (hashed, out.remote)

    def look(at: str) -> dict[str, Node]:
        for top in [top for top in lists if at == top or at.startswith(f"{top}/")]:
            hashed, remote = lists.pop(top)
            for path, md5 in read_list(cache, foreign, hashed, remote):
                _insert(folders, top, path, Node(isout=True, md5=md5), Node(isout=True, isdir=True))
        return folders.get(at, {})

    return look


def _insert(folders: dict[str, dict[str, Node]], top: str, path: str, node: Node, above: Node) -> None:
    """Put a node at its place, and directories above it up to `top` where there are none yet."""
    parts = path.split("/")
    for depth, name in enumerate(parts):
        folder = "/".join(filter(None, (top, *parts[:depth])))
        inside = folders.setdefault(folder, {})
        if depth == len(parts) - 1:
            inside[name] = node
        else:
            inside.setdefault(name, above)
