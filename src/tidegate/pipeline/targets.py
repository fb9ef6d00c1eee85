"""What people type to name stages and data, relative to where they stand, as DVC understands it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tidegate.errors import NotFoundError, did_you_mean
from tidegate.pipeline.graph import order
from tidegate.pipeline.index import Index
from tidegate.pipeline.source import describes_stages
from tidegate.pipeline.stages import PIPELINE, Out, Stage, stage_key


class Target(NamedTuple):
    """A stage, and the path from the root to which its outs are narrowed; empty for all of them."""

    stage: Stage
    path: str = ""


class Choice(NamedTuple):
    """How targets are read: with globs in stage names, directories as all they hold, stages with their needs."""

    glob: bool = False
    recursive: bool = False
    with_deps: bool = False


PLAIN = Choice()


def choose_stages(index: Index, words: Iterable[str], *, here: str = "", choice: Choice = PLAIN) -> list[str]:
    """The keys of the stages that the words name; those of the dvc.yaml in `here` when there are no words.

    Raises NotFoundError, with the nearest known name, for a word that names nothing.
    """
    asked = list(words) or [PIPELINE]
    if not words and from_here(here, PIPELINE) not in index.files:
        raise NotFoundError(from_here(here, PIPELINE), "no such file", hint="tidegate init")
    return list(dict.fromkeys(key for word in asked for key in _keys(index, word, here=here, choice=choice)))


def choose_outs(
    index: Index, words: Iterable[str], *, here: str = "", choice: Choice = PLAIN
) -> list[Target]:
    """The stages that the words name, or whose outs hold the paths that they name; all without words.

    A path never stands for what its stage needs, as with DVC.
    """
    asked = list(words)
    if not asked:
        return [Target(stage) for stage in index.stages.values()]
    found = [target for word in asked for target in _targets(index, word, here=here, choice=choice)]
    keys = [one.stage.key for one in found if choice.with_deps and not one.path]
    if keys:
        found += [Target(index.stages[key]) for key in order(index.graph, keys)]
    return list({(target.stage.key, target.path): target for target in found}.values())


def narrowed(target: Target) -> list[Out]:
    """The outs of a target: all of the stage, or those that the path names, holds or lies in."""
    if not target.path:
        return list(target.stage.outs)
    return [out for out in target.stage.outs if _overlap(out.at, target.path)]


def address(key: str, here: str = "") -> str:
    """How a person standing in `here` names a stage: DVC's addressing."""
    file, name = split_key(key)
    seen = os.path.relpath(file, here or ".") if here else file
    return name if name and seen == PIPELINE else f"{seen}:{name}" if name else seen


def split_key(key: str) -> tuple[str, str]:
    """The file and the name in a stage's key; a .dvc file has no name."""
    if key.endswith(".dvc") and ":" not in key:
        return key, ""
    file, mark, name = key.partition(f"{PIPELINE}:")
    return (f"{file}{PIPELINE}", name) if mark and (not file or file.endswith("/")) else (PIPELINE, key)


def from_here(here: str, path: str) -> str:
    """A path typed in `here`, from the root."""
    return os.path.normpath(os.path.join(here, path))  # noqa: PTH118 -- pathlib keeps `a/../b`


def _targets(index: Index, word: str, *, here: str, choice: Choice) -> list[Target]:
    try:
        return [Target(index.stages[key]) for key in _keys(index, word, here=here, choice=choice)]
    except NotFoundError:
        path = from_here(here, word)
        found = [Target(stage, path) for stage in index.stages.values() if _is_out(stage, path)]
        if not found:
            raise
        return found


def _keys(index: Index, word: str, *, here: str, choice: Choice) -> list[str]:
    path = from_here(here, word)
    if choice.recursive and any(_is_inside(file, path) for file in index.files):
        return [key for key, stage in index.stages.items() if _is_inside(stage.file, path)]
    if describes_stages(path) and path in index.files:
        return [key for key, stage in index.stages.items() if stage.file == path]
    file, name = _split_word(word, here)
    keys = list(_named(index.stages, file, name, glob=choice.glob))
    if not keys:
        raise _unknown(index, word, file)
    return keys


def _split_word(word: str, here: str) -> tuple[str, str]:
    """`train`, `:train` or `path/dvc.yaml:train`; an `@` may hold a colon of its own."""
    group, mark, rest = word.partition("@")
    file, colon, name = group.rpartition(":")
    if not colon:
        return from_here(here, PIPELINE), word
    return from_here(here, file or PIPELINE), f"{name}{mark}{rest}"


def _named(stages: Mapping[str, Stage], file: str, name: str, *, glob: bool) -> Iterator[str]:
    key = stage_key(file, name)
    if key in stages:
        yield key
        return
    if glob:
        from fnmatch import fnmatchcase

        yield from (k for k, one in stages.items() if one.file == file and fnmatchcase(one.name, name))
        return
    yield from (k for k, one in stages.items() if one.file == file and one.group and one.group == name)


def _unknown(index: Index, word: str, file: str) -> NotFoundError:
    known = [stage.name for stage in index.stages.values() if stage.file == file and stage.name]
    known += [out.at for stage in index.stages.values() for out in stage.outs]
    found = f"no stage, file or out of this name{did_you_mean(word, known)}"
    return NotFoundError(word, found, hint="`tidegate stage list --all` lists the stages")


def _is_out(stage: Stage, path: str) -> bool:
    return any(_overlap(out.at, path) for out in stage.outs)


def _overlap(at: str, path: str) -> bool:
    return at == path or path.startswith(f"{at}/")


def _is_inside(path: str, folder: str) -> bool:
    return folder == "." or path.startswith(f"{folder}/")
