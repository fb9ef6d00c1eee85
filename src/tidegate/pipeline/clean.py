"""Note that everything was found clean, so that the next look may be quick."""

import os
from pathlib import Path

from tidegate.data.config import LEVELS, level_file
from tidegate.data.ignore import IGNORE_FILE, parents
from tidegate.pipeline.job import Request
from tidegate.pipeline.project import Project
from tidegate.pipeline.quick import Found, newest, note_path, render_note
from tidegate.pipeline.select import select
from tidegate.pipeline.stages import PIPELINE, is_url
from tidegate.pipeline.targets import address, from_here
from tidegate.store.files import write_atomic

# a change this soon before the look may not show in a file's times
_GRAIN_NS = 2_000_000_000


def note_clean(project: Project, keys: tuple[str, ...], here: str) -> None:
    """Write the note about these stages, those of the dvc.yaml in `here` first among them, found clean just now.

    Nothing is written when they might not stay so.
    """
    root = str(project.root)
    path = Path(note_path(root, f"{root}/{here}" if here else root))
    text = None if _depends_on_others(project, keys) else render_note(root, _found(project, keys, here))
    if text is None or newest(text) + _GRAIN_NS > project.began_ns:
        path.unlink(missing_ok=True)
    else:
        write_atomic(path, os.fsencode(text))


def _depends_on_others(project: Project, keys: tuple[str, ...]) -> bool:
    """Whether something outside of this machine may change at any time, such as what an import came from."""
    stages = [project.stages[key] for key in keys]
    far = (is_url(dep.at) for stage in stages if not stage.frozen for dep in stage.deps)
    return any(stage.is_import for stage in stages) or any(far)


def _found(project: Project, keys: tuple[str, ...], here: str) -> Found:
    own = select(project.pipelines, Request(here=here)) if _has_pipeline(project, here) else ()
    others = [address(key, here) for key in keys if key not in own]
    names = [address(key, here) for key in own]
    return Found(names, others, _looked_at(project, keys), whole=len(keys) == len(project.stages))


def _has_pipeline(project: Project, here: str) -> bool:
    return from_here(here, PIPELINE) in project.pipelines.files


def _places(project: Project, keys: tuple[str, ...]) -> list[str]:
    """Where the deps and outs of stages lie, each once."""
    stages = [project.stages[key] for key in keys]
    ends = [one.at for stage in stages for one in stage.deps] + [
        one.at for stage in stages for one in stage.outs
    ]
    return [at for at in dict.fromkeys(ends) if not is_url(at)]


def _looked_at(project: Project, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    root, cache = project.root, project.cache.folder
    paths = _places(project, keys)
    looked = [("D" if path.endswith("/") else "F", path) for path in project.source.looked]
    looked += [("F", str(level_file(root, level))) for level in LEVELS]
    looked += [("F", name) for name in (".dvcignore", ".git/info/exclude", ".tidegate/run/repro.json")]
    trees = [path for path in paths if (root / path).is_dir()]
    looked += [("F", path) for path in paths if path not in trees]
    looked += [("T", path) for path in trees]
    looked += [("F", f"{above}/{IGNORE_FILE}") for tree in trees for above in (*parents(tree), tree)]
    objects = cache / "files" / "md5"
    folders = sorted(objects.iterdir()) if objects.is_dir() else []
    return [*looked, *(("D", str(folder)) for folder in (objects, *folders))]
