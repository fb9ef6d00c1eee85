"""Edit and list stages: `stage add`, `stage list`, `freeze` and `unfreeze`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.cache import ensure_dvc
from tidegate.data.dvcfile import parse_dvcfile, update_dvcfile
from tidegate.data.dvclock import repo_lock
from tidegate.data.gitignore import ignore_paths, ignored_by_git, tracked_by_git
from tidegate.data.hash import Files
from tidegate.data.statcache import StatCache
from tidegate.data.yaml import parse_yaml
from tidegate.errors import ConflictError, NotFoundError, TidegateError, UsageError
from tidegate.flow.autostage import autostage
from tidegate.flow.groups import refuse_part
from tidegate.pipeline.edit import NewStage, add_stage, set_frozen
from tidegate.pipeline.index import Index, load_file, load_index
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.source import Prune, Source, describes_stages, workspace
from tidegate.pipeline.stages import PIPELINE, Stage, stage_key
from tidegate.pipeline.targets import Choice, choose_stages, from_here
from tidegate.pipeline.work import dvc_locks
from tidegate.store.files import write_atomic
from tidegate.store.layout import Layout

_LONGEST = 80


class Listing(NamedTuple):
    """Which stages to list, typed in `here`: of files, names or, with `recursive`, directories; or the `whole` lot."""

    words: tuple[str, ...] = ()
    here: str = ""
    whole: bool = False
    recursive: bool = False
    fail: bool = False


class Edited(NamedTuple):
    """The stages that an edit was about, and the files that are left for the user to add to git."""

    keys: tuple[str, ...]
    to_git: tuple[str, ...] = ()


def add(root: Path, stage: NewStage, here: str = "", *, force: bool = False) -> Edited:
    """Write a new stage into the dvc.yaml of `here`, and keep its cached outs out of git.

    `force` replaces one of the same name. Nothing is written when the pipelines would not fit together. Raises
    ConflictError for a stage that exists or an out that git tracks, UsageError for what no stage may be.
    """
    ensure_dvc(root)
    file = from_here(here, PIPELINE)
    with open_project(root) as project, repo_lock(dvc_locks(project)):
        _refuse_place(project, file, stage)
        path = root / file
        text = add_stage(path.read_text(encoding="utf-8") if path.exists() else "", stage, force=force)
        made = _checked(project, file, text).stages[stage_key(file, stage.name)]
        changed = [file]
        hidden = () if project.config.core.no_scm else _cached(made, stage)
        for at in tracked_by_git(root, hidden):
            found = "is tracked by git already, expected only one of the two"
            raise ConflictError(at, found, hint=f"git rm -r --cached {at}")
        write_atomic(path, text)
        changed += ignore_paths(root, hidden)
        return Edited((made.key,), autostage(project, changed))


def freeze(root: Path, words: Iterable[str], here: str = "", *, frozen: bool) -> Edited:
    """Freeze stages and .dvc files, or let them run again; the group of a `foreach` only as a whole.

    Raises NotFoundError for a word that names nothing, UsageError for a part of a group.
    """
    with open_project(root) as project, repo_lock(dvc_locks(project)):
        keys = [key for word in words for key in _whole_definitions(project, word, here)]
        changed = [file for key in keys for file in _set_frozen(project, project.stages[key], frozen=frozen)]
        return Edited(tuple(dict.fromkeys(keys)), autostage(project, changed))


def list_stages(root: Path, asked: Listing) -> list[Stage]:
    """The stages that were asked for, each once; files that cannot be read are left out unless `fail` is set.

    Raises NotFoundError for a word that names nothing, UsageError for what is wrong in a file that a word names.
    """
    source = workspace(Files(root, StatCache(Layout(root).state / "cache" / "stat.json")))
    index, wrong = _readable(source)
    if asked.fail and wrong:
        raise next(iter(wrong.values()))
    if asked.whole:
        return list(index.stages.values())
    choice = Choice(recursive=asked.recursive)
    words = asked.words or (PIPELINE,)
    named = [word if describes_stages(word) else PIPELINE for word in words]
    for file in (from_here(asked.here, name) for name in named):
        if file in wrong:
            raise wrong[file]
    keys = choose_stages(index, words, here=asked.here, choice=choice)
    return [index.stages[key] for key in keys]


def summary(stage: Stage) -> str:
    """What a stage is about, in DVC's words: its description, else its outs or deps; no longer than 80 letters."""
    said = next((line.strip() for line in stage.desc.splitlines() if line), "")
    text = said or _paths_of(stage)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _paths_of(stage: Stage) -> str:
    reads = [*(dep.path for dep in stage.deps), *(one.path for one in stage.params)]
    if not stage.outs:
        return f"Depends on {', '.join(reads)}" if reads else "No outputs or dependencies"
    made = [out.path for out in stage.outs if out.kind == "out"]
    reports = [out.path for out in sorted(stage.outs, key=lambda out: out.kind) if out.kind != "out"]
    parts = (
        f"{word} {', '.join(paths)}" for word, paths in (("Outputs", made), ("Reports", reports)) if paths
    )
    return "; ".join(parts)


def _readable(source: Source) -> tuple[Index, dict[str, TidegateError]]:
    """What can be read, as far as it goes, and what is wrong with the rest by file."""
    index = Index({}, {}, {}, ())
    wrong: dict[str, TidegateError] = {}
    stages: dict[str, Stage] = {}
    files = []
    outs: set[str] = set()
    for file in source.find(outs.__contains__):
        try:
            found, _ = load_file(source, file)
        except TidegateError as error:
            wrong[file] = error
            continue
        files.append(file)
        stages |= found
        outs.update(out.at for stage in found.values() for out in stage.outs)
    return index._replace(stages=stages, files=tuple(files)), wrong


def _refuse_place(project: Project, file: str, stage: NewStage) -> None:
    wdir = from_here(file.rpartition("/")[0], stage.wdir)
    if wdir.startswith(("../", "/")) or wdir == "..":
        raise UsageError("--wdir", f"`{stage.wdir}` is not inside the project, expected a directory in it")
    if not (project.root / wdir).is_dir():
        raise NotFoundError(
            "--wdir", f"no directory `{stage.wdir}`, expected one", hint=f"mkdir {stage.wdir}"
        )
    for ignored in ignored_by_git(project.root, () if project.config.core.no_scm else (file,)):
        raise ConflictError(ignored, "is ignored by git, expected to be kept there", hint="edit .gitignore")


def _cached(made: Stage, stage: NewStage) -> list[str]:
    """The outs to keep out of git, in the order in which they were given."""
    place = {out.path: number for number, out in enumerate(stage.outs)}
    return [out.at for out in sorted(made.outs, key=lambda out: place.get(out.path, 0)) if out.cache]


def _checked(project: Project, file: str, text: str) -> Index:
    """All pipelines with this text in the place of the file; raises the error they would have."""
    was = project.source

    def find(prune: Prune) -> Iterable[str]:
        yield from was.find(prune)
        if file not in project.pipelines.files:
            yield file

    def read(at: str) -> Any:
        return parse_yaml(text, file) if at == file else was.read(at)

    def show(at: str) -> str:
        return text if at == file else was.text(at)

    return load_index(was._replace(find=find, read=read, text=show))


def _whole_definitions(project: Project, word: str, here: str) -> list[str]:
    keys = choose_stages(project.pipelines, [word], here=here)
    refuse_part(project, word, keys, verb="freeze")
    return keys


def _set_frozen(project: Project, stage: Stage, *, frozen: bool) -> list[str]:
    """The file that changed, if it did."""
    path = project.root / stage.file
    before = path.read_text(encoding="utf-8")
    if stage.is_data:
        record = parse_dvcfile(before, stage.file)
        after = before if record.frozen == frozen else update_dvcfile(before, record._replace(frozen=frozen))
    else:
        after = set_frozen(before, stage.group or stage.name, frozen=frozen)
    if after == before:
        return []
    write_atomic(path, after)
    return [stage.file]
