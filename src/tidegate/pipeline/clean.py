"""Note that everything was found clean, so that the next look may be quick."""

import os
from pathlib import Path

from tidegate.data.config import LEVELS, level_file
from tidegate.pipeline.project import Project
from tidegate.pipeline.quick import newest, note_path, render_note
from tidegate.pipeline.stages import is_url
from tidegate.store.files import write_atomic

# a change this soon before the look may not show in a file's times
_GRAIN_NS = 2_000_000_000


def note_clean(project: Project, keys: tuple[str, ...], here: str) -> None:
    """Write the note about these stages, found clean just now; nothing is written when they might not stay so."""
    stages = [project.stages[key] for key in keys]
    if any(is_url(dep.at) for stage in stages for dep in stage.deps):
        return
    root = str(project.root)
    text = render_note(root, list(keys), _looked_at(project, keys))
    path = Path(note_path(root, f"{root}/{here}" if here else root))
    if text is None or newest(text) + _GRAIN_NS > project.began_ns:
        path.unlink(missing_ok=True)
    else:
        write_atomic(path, os.fsencode(text))


def _looked_at(project: Project, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    root, cache = project.root, project.cache.folder
    stages = [project.stages[key] for key in keys]
    paths = [dep.at for stage in stages for dep in stage.deps] + [
        out.at for stage in stages for out in stage.outs
    ]
    looked = [("D" if path.endswith("/") else "F", path) for path in project.source.looked]
    looked += [("F", str(level_file(root, level))) for level in LEVELS]
    looked += [("F", name) for name in (".dvcignore", ".git/info/exclude", ".tidegate/run/repro.json")]
    looked += [("T" if (root / path).is_dir() else "F", path) for path in dict.fromkeys(paths)]
    objects = cache / "files" / "md5"
    folders = sorted(objects.iterdir()) if objects.is_dir() else []
    return [*looked, *(("D", str(folder)) for folder in (objects, *folders))]
