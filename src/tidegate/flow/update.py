"""`update`: bring imports to what their source is now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.checkout import clear
from tidegate.data.dvcfile import update_dvcfile, with_content_md5
from tidegate.data.dvcrecord import Content, Source
from tidegate.data.hash import Hashed
from tidegate.errors import UsageError
from tidegate.flow.autostage import autostage
from tidegate.flow.bring import Bringing as Sending
from tidegate.flow.follow import UNSEEN, Watch
from tidegate.flow.imports import Done, Extent, Imported, send_source, unheard, working
from tidegate.pipeline.imports import Bringing, is_fresh, read_import, renewed, source_now, update_available
from tidegate.pipeline.project import Project, open_project
from tidegate.pipeline.stages import Stage
from tidegate.pipeline.targets import Choice, address, choose_outs
from tidegate.store.files import write_atomic


class Updating(NamedTuple):
    """Which imports to update, typed in `here`, and to which revision of their repository."""

    words: tuple[str, ...]
    here: str = ""
    rev: str = ""
    recursive: bool = False
    extent: Extent = "all"
    remote: str = ""
    jobs: int | None = None


def update(root: Path, asked: Updating, *, watch: Watch = UNSEEN) -> Done:
    """Bring imports to what their source is now; those that did not change stay as they are.

    Raises UsageError for a target that is no import, and what `import_url` raises.
    """
    choice = Choice(recursive=asked.recursive)
    with open_project(root) as project:
        chosen = choose_outs(project.pipelines, asked.words, here=asked.here, choice=choice)
        stages = [project.stages[key] for key in dict.fromkeys(target.stage.key for target in chosen)]
        if asked.recursive:
            stages = [stage for stage in stages if stage.is_import]
        for stage in stages:
            _check_update(project, stage, asked)
        done = tuple(_update_one(project, stage, asked, watch) for stage in stages)
        return Done(done, autostage(project, [one.file for one in done if one.changed]))


def with_updates(
    root: Path, states: Mapping[str, list[Any]], keys: list[str], here: str = ""
) -> dict[str, list[Any]]:
    """The states of `dvc status --json`, with newer commits of the repositories that these stages import from."""
    with open_project(root) as project:
        imports = [project.stages[key] for key in keys if project.stages[key].is_import]
        newer = {
            address(one.key, here): found for one in imports if (found := update_available(project, one))
        }
    names = list(dict.fromkeys([*(address(key, here) for key in keys), *states]))
    merged = {
        name: [*([{"changed deps": newer[name]}] if name in newer else []), *states.get(name, [])]
        for name in names
    }
    return {name: state for name, state in merged.items() if state}


def _check_update(project: Project, stage: Stage, asked: Updating) -> None:
    source = read_import(project, stage).deps[0]
    if source.repo and asked.extent == "to_remote":
        raise UsageError(stage.file, "comes from a repository, --to-remote is only for imports of URLs")
    if not source.repo and asked.rev:
        raise UsageError(stage.file, "comes from a URL, --rev is only for imports from repositories")


def _update_one(project: Project, stage: Stage, asked: Updating, watch: Watch) -> Imported:
    out = stage.outs[0]
    with working(project, stage, watch, "tidegate update") as locked:
        source = source_now(project, stage.wdir, read_import(project, stage).deps[0], rev=asked.rev)
        if is_fresh(project, stage, source):
            hashed = project.lock[stage.key].outs[out.path]
            with locked():
                changed = _rewrite(project, stage, source, hashed)
            return Imported(out.at, stage.file, hashed, changed)
        made = _renew(project, stage, source, asked=asked, watch=watch)
        with locked():
            _rewrite(project, stage, source, made)
    return Imported(out.at, stage.file, made)


def _renew(project: Project, stage: Stage, source: Source, *, asked: Updating, watch: Watch) -> Hashed | None:
    """Without a download, or where the remote alone gets it, an out that is outdated leaves the workspace."""
    if asked.extent in ("all", "no_exec"):
        how = Bringing(asked.jobs, note=watch.note, stored=watch.stored or unheard)
        return renewed(project, stage, source, how)
    to = Sending(remote=asked.remote or None, jobs=asked.jobs)
    hashed = send_source(project, stage, source, to) if asked.extent == "to_remote" else None
    at = stage.outs[0].at
    aside = clear(project.cache, at)
    if aside:
        watch.note(f"{at} held changes that were not saved, they are in {aside}")
    return hashed


def _rewrite(project: Project, stage: Stage, source: Source, hashed: Hashed | None) -> bool:
    """Record source and content in the import's .dvc file; whether that changed it."""
    path = project.root / stage.file
    before = path.read_text(encoding="utf-8")
    record = read_import(project, stage)
    out = record.outs[0]
    content = out.content if out.content.hashed == hashed else Content(hashed)
    record = record._replace(deps=(source,), outs=(out._replace(content=content),))
    after = update_dvcfile(before, with_content_md5(record))
    if after == before:
        return False
    write_atomic(path, after)
    return True
