"""Which data a command is about: outs with a recorded content, of the workspace and of commits."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from tidegate.data.folders import part_of
from tidegate.data.hash import Hashed
from tidegate.data.md5 import DOS2UNIX, MD5
from tidegate.data.objects import ObjectCache, read_tree
from tidegate.errors import NotFoundError, TidegateError
from tidegate.pipeline.index import Index, load_index
from tidegate.pipeline.project import Project
from tidegate.pipeline.source import Source, revision
from tidegate.pipeline.stages import Out, Stage
from tidegate.pipeline.targets import PLAIN, Choice, Target, choose_outs, narrowed
from tidegate.store.refs import NOW, Revisions, list_commits, tree_key

Note = Callable[[str], None]

# what can change which outs there are, or what they hold
_SUFFIXES = (".dvc", "dvc.lock", ".yaml", ".yml", ".json", ".toml", ".py")
_KINDS = frozenset({MD5, DOS2UNIX})


class Scope(NamedTuple):
    """What a person asks for: words typed in `here`, how to read them, and the commits beside the workspace.

    `max_size` leaves out outs of so many bytes or more, `types` keeps only metrics or plots.
    """

    words: tuple[str, ...] = ()
    here: str = ""
    choice: Choice = PLAIN
    revisions: Revisions = NOW
    max_size: int = 0
    types: tuple[str, ...] = ()


class Wanted(NamedTuple):
    """An out and its recorded content, None when nothing was recorded yet.

    `inner` is the path below a directory to which the request is narrowed. `is_foreign` is data imported from
    another repository, which no remote of ours keeps.
    """

    stage: str
    out: Out
    hashed: Hashed | None
    inner: str = ""
    is_foreign: bool = False

    @property
    def at(self) -> str:
        """The place of what is wanted, from the root."""
        return f"{self.out.at}/{self.inner}" if self.inner else self.out.at


def collect(project: Project, scope: Scope, note: Note | None = None) -> list[Wanted]:
    """The outs of the workspace and of the commits in scope, each with each of its contents once.

    With `note`, what cannot be read is told there and left out, unless nothing can be read; without, the first
    such error is raised.
    """
    found: dict[Wanted, None] = {}
    errors: list[TidegateError] = []
    seen = 0
    for name, load in _indexes(project, scope.revisions):
        try:
            found.update(dict.fromkeys(_listed(*load(), scope)))
            seen += 1
        except TidegateError as error:
            if note is None:
                raise _in_commit(name, error) from None
            errors.append(error)
            if name and not isinstance(error, NotFoundError):
                note(f"commit {name[:7]} cannot be read and is left out: {error}")
    if not seen:
        raise errors[0]
    return list(found)


def objects_of(cache: ObjectCache, wanted: Wanted) -> dict[str, Hashed]:
    """The objects that an out needs and what people call them; of a directory, its list alone if that is missing."""
    hashed = wanted.hashed
    if hashed is None:
        return {}
    if wanted.inner:
        part = part_of(cache, hashed, wanted.inner) or []
        return {f"{wanted.at}/{path}" if path else wanted.at: one for path, one in part}
    return {wanted.out.at: hashed}


def names_of(cache: ObjectCache, wanted: list[Wanted], here: str = "") -> dict[tuple[str, str], str]:
    """What people who stand in `here` call each object, by its kind and md5: the first path that holds it.

    Like DVC's, a path begins with that of its out.
    """
    names: dict[tuple[str, str], str] = {}
    for one in wanted:
        top = os.path.relpath(one.out.at, here) if here else one.out.at
        for place, hashed in objects_of(cache, one).items():
            at = f"{top}{place[len(one.out.at) :]}"
            names.setdefault((hashed.kind, hashed.md5), at)
            for path, md5 in (read_tree(cache, hashed) or ()) if hashed.md5.endswith(".dir") else ():
                names.setdefault((hashed.kind, md5), f"{at}/{path}")
    return names


def _indexes(
    project: Project, revisions: Revisions
) -> Iterator[tuple[str, Callable[[], tuple[Index, Source]]]]:
    """The workspace, under an empty name, and the commits; those whose files say the same are read once."""
    yield "", lambda: (project.pipelines, project.source)
    known: set[str] = set()
    for commit in list_commits(project.root, revisions):
        key = tree_key(project.root, commit, _SUFFIXES)
        if key not in known:
            known.add(key)
            yield commit, partial(_load, project, commit)


def _load(project: Project, commit: str) -> tuple[Index, Source]:
    source = revision(project.root, commit)._replace(style=project.source.style)
    return load_index(source), source


def _listed(index: Index, source: Source, scope: Scope) -> Iterator[Wanted]:
    measured = _measured(index, source, scope.types) if scope.types else None
    for target in _targets(index, scope):
        entry = index.lock.get(target.stage.key)
        is_foreign = _is_foreign(source, target.stage)
        for out in narrowed(target):
            hashed = entry.outs.get(out.path) if entry else None
            if hashed is not None and (not hashed.md5 or hashed.kind not in _KINDS):
                hashed = None
            if scope.max_size and hashed and hashed.size >= scope.max_size:
                continue
            if measured is None or measured(out):
                inner = target.path[len(out.at) + 1 :] if target.path.startswith(f"{out.at}/") else ""
                yield Wanted(target.stage.key, out, hashed, inner, is_foreign)


def _targets(index: Index, scope: Scope) -> list[Target]:
    if not scope.choice.glob or not scope.words:
        return choose_outs(index, scope.words, here=scope.here, choice=scope.choice)
    words = [word for pattern in scope.words for word in _matching(index, pattern, scope.here)]
    if not words:
        raise NotFoundError(" ".join(scope.words), "matches no file, no stage and no out")
    return choose_outs(index, words, here=scope.here, choice=scope.choice._replace(glob=False))


def _matching(index: Index, pattern: str, here: str) -> list[str]:
    """Outs, .dvc files and stages of the repository, wherever they are now; not whatever else lies around."""
    from fnmatch import fnmatchcase

    paths = [os.path.relpath(out.at, here or ".") for stage in index.stages.values() for out in stage.outs]
    paths += [os.path.relpath(file, here or ".") for file in index.files]
    names = [stage.name for stage in index.stages.values() if stage.name]
    return [word for word in dict.fromkeys((*paths, *names)) if fnmatchcase(word, pattern)]


def _is_foreign(source: Source, stage: Stage) -> bool:
    if not stage.is_import:
        return False
    plain = source.read(stage.file)
    return any(isinstance(dep, dict) and "repo" in dep for dep in plain.get("deps") or ())


def _measured(index: Index, source: Source, types: tuple[str, ...]) -> Callable[[Out], bool]:
    """Whether an out is, holds or lies in something of these types, be it marked there or listed in a dvc.yaml."""
    listed = [at for file in index.files if file.endswith(".yaml") for at in _declared(source, file, types)]

    def is_measured(out: Out) -> bool:
        return f"{out.kind}s" in types or any(
            at == out.at or at.startswith(f"{out.at}/") or out.at.startswith(f"{at}/") for at in listed
        )

    return is_measured


def _declared(source: Source, file: str, types: tuple[str, ...]) -> Iterator[str]:
    document = source.read(file)
    for key in types:
        for one in (document or {}).get(key) or ():
            for path in _paths(one):
                yield os.path.normpath(os.path.join(os.path.dirname(file), path))  # noqa: PTH118, PTH120


def _paths(one: object) -> Iterator[str]:
    """A path, or a plot by its name, whose files may be named with its axes."""
    if isinstance(one, str):
        yield one
    for name, properties in one.items() if isinstance(one, dict) else ():
        yield str(name)
        axes = [properties.get("x"), properties.get("y")] if isinstance(properties, dict) else []
        yield from (str(path) for axis in axes if isinstance(axis, dict) for path in axis)


def _in_commit(name: str, error: TidegateError) -> TidegateError:
    return type(error)(f"commit {name[:7]}: {error.where}", error.message, hint=error.hint) if name else error
