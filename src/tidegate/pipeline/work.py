"""Make one stale stage fresh: restore a result seen before, or run the commands and save what they made."""

import subprocess
import time
from pathlib import Path

from tidegate.data.cache import ensure_dvc, has_object, remove_path, restore_object, save_object
from tidegate.data.hash import Hashed
from tidegate.errors import NotFoundError
from tidegate.pipeline.execute import Terminal, run_stage
from tidegate.pipeline.graph import producer
from tidegate.pipeline.job import Job, Step
from tidegate.pipeline.lockfile import Entry, write_entry
from tidegate.pipeline.plan import ABSENT, Reason, changed_inputs, chosen
from tidegate.pipeline.project import Project, hash_once, look, read_params
from tidegate.pipeline.runcache import find_run, save_run
from tidegate.pipeline.stages import Dep, FaultError, Stage, located
from tidegate.store.files import write_atomic
from tidegate.store.layout import Layout


def renew(job: Job, stage: Stage, reasons: tuple[Reason, ...]) -> Step:
    """Restore the stage when its inputs were seen before, else run it; either way dvc.lock has it after.

    Raises NotFoundError for a missing dep, param or out, TidegateError for a command that fails.
    """
    ensure_dvc(job.project.files.root)
    began = time.monotonic()
    known = _restored(job.project, stage, reasons)
    if known:
        _record(job.project, stage, known)
        return Step(stage.name, "restored", reasons, time.monotonic() - began)
    if stage.frozen:
        return Step(stage.name, "skipped", reasons)
    job.journal.begin()
    job.listener.step(Step(stage.name, "running", reasons))
    _record(job.project, stage, _run(job, stage))
    job.journal.finished(stage.name)
    return Step(stage.name, "ran", reasons, time.monotonic() - began)


def log_path(root: Path, stage: str) -> Path:
    """Where a stage's output is kept: with the experiments when the project has such a folder."""
    logs = root / "experiments" / "logs"
    folder = logs if logs.is_dir() else Layout(root).run / "logs"
    return folder / f"{stage.replace('/', '_')}.log"


def _restored(project: Project, stage: Stage, reasons: tuple[Reason, ...]) -> Entry | None:
    """The entry of a result that is now in place, or None when there was none to be had."""
    if any(reason.kind in ("forced", "always") for reason in reasons):
        return None
    for entry in _candidates(project, stage):
        if set(entry.outs) == {out.path for out in stage.outs} and _restore_outs(project, stage, entry):
            return entry
    return None


def _candidates(project: Project, stage: Stage) -> list[Entry]:
    """The entry in dvc.lock while its inputs still hold, then the run cache's."""
    entry = project.lock.get(stage.name)
    if stage.frozen:
        return [entry] if entry else []
    inputs = _inputs(project, stage)
    unchanged = entry and entry.cmd == stage.cmd and not changed_inputs(stage, entry, look(project, stage))
    found = find_run(project.cache, stage, inputs)
    return [one for one in (entry if unchanged else None, found) if one]


def _restore_outs(project: Project, stage: Stage, entry: Entry) -> bool:
    present = {out.path: hash_once(project, out.at) for out in stage.outs}
    wanting = [out for out in stage.outs if _md5(present[out.path]) != entry.outs[out.path].md5]
    if not all(has_object(project.cache, entry.outs[out.path].md5) for out in wanting):
        return False
    project.hashes.clear()
    return all(restore_object(project.cache, out.at, entry.outs[out.path]) for out in wanting)


def _run(job: Job, stage: Stage) -> Entry:
    """Inputs are hashed before the commands: what changes meanwhile makes the stage stale again."""
    project = job.project
    root = project.files.root
    inputs = _inputs(project, stage)
    for out in stage.outs:
        if not out.persist:
            remove_path(root / out.at)
    terminal = Terminal(job.listener.output, job.journal.working)
    run_stage(root, stage, log=log_path(root, stage.name), terminal=terminal)
    project.hashes.clear()
    return inputs._replace(outs={out.path: _made(project, stage, out.at) for out in stage.outs})


def _record(project: Project, stage: Stage, entry: Entry) -> None:
    """Objects first, then what names them: a crash in between loses nothing but time."""
    root = project.files.root
    for out in stage.outs:
        if out.cache or out.kind != "out":
            save_object(project.cache, out.at, entry.outs[out.path])
    _ignore_in_git(root, [out.at for out in stage.outs if out.cache])
    if all(out.cache or out.kind != "out" for out in stage.outs):
        save_run(project.cache, stage, entry)
    write_entry(root, stage.name, entry)
    project.lock[stage.name] = entry


def _inputs(project: Project, stage: Stage) -> Entry:
    deps = {dep.path: _read(project, stage, dep) for dep in stage.deps}
    params = {one.path: chosen(one, read_params(project, one)) for one in stage.params}
    for one in stage.params:
        for key, value in params[one.path].items():
            if value is ABSENT:
                fault = FaultError(one.place, f"param `{key}` of stage `{stage.name}` is not in {one.at}")
                raise located(fault, project.files.root)
    return Entry(stage.cmd, deps, params, {})


def _read(project: Project, stage: Stage, dep: Dep) -> Hashed:
    hashed = hash_once(project, dep.at)
    if hashed is None:
        maker = producer(project.stages, dep.at)
        hint = f"stage `{maker}` should have made it" if maker else "make the file, or correct the path"
        found = f"dep `{dep.path}` of stage `{stage.name}` does not exist"
        raise located(FaultError(dep.place, found, hint=hint), project.files.root)
    return hashed


def _made(project: Project, stage: Stage, at: str) -> Hashed:
    hashed = hash_once(project, at)
    if hashed is None:
        log = log_path(project.files.root, stage.name).relative_to(project.files.root)
        found = f"out `{at}` was not made, expected the commands to write it"
        raise NotFoundError(f"stage `{stage.name}`", found, hint=f"see {log}")
    return hashed


def _md5(hashed: Hashed | None) -> str:
    return hashed.md5 if hashed else ""


def _ignore_in_git(root: Path, outs: list[str]) -> None:
    """Add a line to the .gitignore beside each cached out that git does not ignore yet, as DVC does."""
    for at in outs:
        path = root / at
        name = f"{at}/" if path.is_dir() else at
        asked = subprocess.run(
            ["git", "-C", str(root), "check-ignore", "--quiet", "--no-index", "--", name],
            capture_output=True,
            check=False,
        )
        if asked.returncode == 1:
            _append_line(path.parent / ".gitignore", f"/{_escaped(path.name)}")


def _append_line(path: Path, line: str) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    gap = "" if not text or text.endswith("\n") else "\n"
    write_atomic(path, f"{text}{gap}{line}\n")


def _escaped(name: str) -> str:
    return "".join(f"\\{letter}" if letter in "[]!*#?" else letter for letter in name)
