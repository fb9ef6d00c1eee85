"""DVC's run cache: results by what went in, so that a stage seen before is restored and not run."""

from pathlib import Path

from tidegate.data.cache import ObjectCache
from tidegate.data.emit import render_yaml
from tidegate.data.keys import run_digest
from tidegate.data.objects import make_folder
from tidegate.data.yaml import parse_yaml
from tidegate.errors import UsageError
from tidegate.pipeline.lockfile import Entry, as_plain, from_plain
from tidegate.pipeline.stages import Stage, is_url
from tidegate.store.files import write_atomic


def is_repeatable(stage: Stage) -> bool:
    """Whether the same inputs may stand for the same outs."""
    has_inputs = bool(stage.deps or stage.params)
    is_whole = all(out.cache or out.kind != "out" for out in stage.outs)
    return (
        has_inputs and bool(stage.outs) and is_whole and not stage.always_changed and not _is_special(stage)
    )


def save_run(cache: ObjectCache, stage: Stage, entry: Entry) -> None:
    """Remember the finished stage under its inputs."""
    if is_repeatable(stage):
        plain = as_plain(entry)
        path = _folder(cache, stage, entry) / run_digest(plain)
        if not path.exists():
            make_folder(cache, str(path.parent))
            # the stage runs once more should a power cut take it away
            write_atomic(path, render_yaml(plain), durable=False)
            if cache.shared:
                path.chmod(0o664)


def find_run(cache: ObjectCache, stage: Stage, inputs: Entry) -> Entry | None:
    """The newest result of these inputs, or None."""
    folder = _folder(cache, stage, inputs)
    if not is_repeatable(stage) or not folder.is_dir():
        return None
    results = sorted(_results(folder), key=lambda path: path.stat().st_mtime)
    try:
        return from_plain(parse_yaml(results[-1].read_text(encoding="utf-8"), results[-1].name))
    except (IndexError, UsageError, KeyError, TypeError):
        return None


def _is_special(stage: Stage) -> bool:
    outside = any(is_url(dep.at) for dep in stage.deps) or any(
        out.at.startswith(("/", "..")) for out in stage.outs
    )
    return outside or any(out.persist for out in stage.outs)


def run_key(stage: Stage, inputs: Entry) -> str:
    """The name under which results of these inputs are kept."""
    plain = as_plain(inputs)
    plain["outs"] = sorted(out.path for out in stage.outs)
    return run_digest(plain)


def _results(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _folder(cache: ObjectCache, stage: Stage, entry: Entry) -> Path:
    key = run_key(stage, entry)
    return cache.folder / "runs" / key[:2] / key
