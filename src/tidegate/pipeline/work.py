"""Make one stale stage fresh: restore a result seen before, or run the commands and save what they made."""

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tidegate.data.cache import add_path, ensure_dvc, has_object
from tidegate.data.checkout import checkout, clear, discard, unlink_shared
from tidegate.data.dvclock import Claim, DvcLocks, repo_lock, rwlock
from tidegate.data.gitignore import ignore_paths
from tidegate.data.hash import Hashed
from tidegate.data.md5 import MD5
from tidegate.data.placed import note_placed
from tidegate.errors import CorruptError, NotFoundError, TidegateError
from tidegate.pipeline.contents import hash_out, kept_out, log_path, read_inputs
from tidegate.pipeline.datafile import write_data
from tidegate.pipeline.execute import Terminal, run_stage
from tidegate.pipeline.job import Job, Step
from tidegate.pipeline.lockfile import Entry, write_entry
from tidegate.pipeline.plan import Reason, changed_inputs
from tidegate.pipeline.project import Project, hash_once, look
from tidegate.pipeline.quick import path_key
from tidegate.pipeline.refusals import refuse_to_run
from tidegate.pipeline.runcache import find_run, is_repeatable, run_key, save_run
from tidegate.pipeline.stages import Out, Stage, is_url
from tidegate.pipeline.targets import address
from tidegate.store.lock import Tell

# how long to wait for another process that writes what a stage reads
WAIT_S = 30.0
# one stage at a time changes the locks, whichever thread it runs in
_WRITING = threading.Lock()


def renew(job: Job, stage: Stage, reasons: tuple[Reason, ...], environment: Mapping[str, str] = {}) -> Step:
    """Restore the stage when its inputs were seen before, else run it; either way dvc.lock has it after.

    Raises NotFoundError for a missing dep, param or out, TidegateError for a command that fails.
    """
    ensure_dvc(job.project.root)
    began = time.monotonic()
    known = None if _must_run(job, reasons) else _restored(job, stage)
    if known:
        _keep(job, stage, known)
        _record(job, stage, known)
        return Step(stage.key, "restored", reasons, time.monotonic() - began)
    if stage.frozen or stage.cmd is None:
        found = _imported(job, stage) if stage.is_import and not stage.frozen else _as_found(job, stage)
        _record(job, stage, found)
        return Step(stage.key, "saved", reasons, time.monotonic() - began)
    if job.options.ask and not job.listener.confirm(f"run stage `{address(stage.key, job.here)}`?"):
        raise TidegateError(f"stage `{stage.key}`", "not confirmed, so it did not run")
    job.journal.begin()
    job.listener.step(Step(stage.key, "running", reasons))
    _record(job, stage, _run(job, stage, environment))
    job.journal.finished(stage.key)
    return Step(stage.key, "ran", reasons, time.monotonic() - began)


def dvc_locks(project: Project, tell: Tell | None = None) -> DvcLocks:
    """DVC's locks of the project; `tell` hears whom they wait for."""
    return DvcLocks(project.root, WAIT_S, tell, project.config.core.hardlink_lock)


def record_entry(project: Project, stage: Stage, entry: Entry) -> None:
    """Write what is known of a stage into the lock beside its dvc.yaml, or into its .dvc file."""
    with _WRITING, repo_lock(dvc_locks(project)):
        if stage.is_data:
            write_data(project.root, stage, entry)
        else:
            write_entry(project.root, stage, entry)
        placed = {
            out.at: entry.outs[out.path].md5 for out in stage.outs if out.cache and out.path in entry.outs
        }
        note_placed(project.root, placed)
    project.lock[stage.key] = entry


def _must_run(job: Job, reasons: tuple[Reason, ...]) -> bool:
    return not job.options.run_cache or any(reason.kind in ("forced", "always") for reason in reasons)


def _restored(job: Job, stage: Stage) -> Entry | None:
    """The entry of a result that is now in place, or None when there was none to be had.

    What is not repeatable, as without deps, is only kept where it is in place, but never put back: so it is with DVC.
    """
    may_put_back = is_repeatable(stage) or stage.frozen or stage.cmd is None
    for entry in _candidates(job, stage):
        if not may_put_back and _wanting(job.project, stage, entry):
            continue
        if set(entry.outs) == {out.path for out in stage.outs} and _restore_outs(job, stage, entry):
            return entry
    return None


def _candidates(job: Job, stage: Stage) -> Iterable[Entry]:
    """The entry in dvc.lock while its inputs still hold, then the run cache's, then the remote's."""
    project = job.project
    entry = project.lock.get(stage.key)
    if stage.frozen or stage.cmd is None:
        if entry and _are_outs_missing(project, stage):
            yield entry
        return
    inputs = read_inputs(project, stage)
    if entry and entry.cmd == stage.cmd and not changed_inputs(stage, entry, look(project, stage)):
        yield entry
    found = find_run(project.cache, stage, inputs) or _find_remote_run(job, stage, inputs)
    if found:
        yield found


def _find_remote_run(job: Job, stage: Stage, inputs: Entry) -> Entry | None:
    if not job.options.pull:
        return None
    from tidegate.data.default_remote import fetch_run

    fetch_run(job.project.cache, run_key(stage, inputs))
    return find_run(job.project.cache, stage, inputs)


def _are_outs_missing(project: Project, stage: Stage) -> bool:
    return any(hash_once(project, out.at) is None for out in stage.outs)


def _restore_outs(job: Job, stage: Stage, entry: Entry) -> bool:
    """Put recorded outs back, fetching their objects if that was asked for; False when some are not to be had."""
    project = job.project
    wanted = {out.at: entry.outs[out.path] for out in stage.outs}
    wanting = _wanting(project, stage, entry)
    if job.options.pull:
        from tidegate.data.default_remote import fetch_from

        for out in stage.outs:
            fetch_from(project.cache, [wanted[out.at]] if out.at in wanting else (), name=out.remote)
    if not all(has_object(project.cache, wanted[at]) for at in wanting):
        return False
    try:
        for at in wanting:
            _tell_moved(job, at, checkout(project.cache, at, wanted[at], force=job.options.force).aside)
    except (NotFoundError, CorruptError):
        return False
    finally:
        project.hashes.clear()
    return True


def _wanting(project: Project, stage: Stage, entry: Entry) -> list[str]:
    """The places in which recorded outs do not lie."""
    return [
        out.at
        for out in stage.outs
        if out.path in entry.outs and not _is_in_place(project, out.at, entry.outs[out.path])
    ]


def _is_in_place(project: Project, at: str, hashed: Hashed) -> bool:
    now = hash_once(project, at, hashed.kind)
    return now is not None and now.md5 == hashed.md5


def _keep(job: Job, stage: Stage, entry: Entry) -> None:
    """Save what is in place but was never saved, as after a run without commit."""
    for out in stage.outs:
        if not has_object(job.project.cache, entry.outs[out.path]):
            _take(job, stage, out)


def _imported(job: Job, stage: Stage) -> Entry:
    from tidegate.pipeline.imports import Bringing, reimport

    found = reimport(job.project, stage, Bringing(force=job.options.force, note=job.listener.note))
    _accept(job, stage)
    return found


def _as_found(job: Job, stage: Stage) -> Entry:
    """The entry of a stage whose outs nobody makes here: what lies in their places is the truth.

    Of a frozen one it is taken for what the present inputs come to, as DVC does.
    """
    known = job.project.lock.get(stage.key) or Entry(None, {}, {}, {})
    inputs = known if stage.is_data else read_inputs(job.project, stage)
    _accept(job, stage)
    return inputs._replace(outs={out.path: _take(job, stage, out) for out in stage.outs})


def _run(job: Job, stage: Stage, environment: Mapping[str, str]) -> Entry:
    """Inputs are hashed before the commands: what changes meanwhile makes the stage stale again."""
    project = job.project
    inputs = read_inputs(project, stage)
    log = log_path(project.root, stage.key)
    terminal = Terminal(
        lambda data: job.listener.output(stage.key, data),
        lambda group: job.journal.working(stage.key, group),
        {"DVC_STAGE": address(stage.key, job.here), **environment},
    )
    refuse_to_run(project, stage)
    with rwlock(dvc_locks(project, job.listener.note), _claim(stage)):
        _make_room(job, stage)
        try:
            run_stage(project.root, stage, log=log, terminal=terminal)
            _accept(job, stage)
        except TidegateError:
            job.journal.failed(stage.key, _left_behind(project, stage))
            raise
        finally:
            project.hashes.clear()
        return inputs._replace(outs={out.path: _take(job, stage, out) for out in stage.outs})


def _accept(job: Job, stage: Stage) -> None:
    job.listener.accept(stage.key, [out.at for out in stage.outs])


def _take(job: Job, stage: Stage, out: Out) -> Hashed:
    """The hash of an out, which is saved to the cache on the way where it belongs there."""
    project = job.project
    is_kept = job.options.commit and (out.cache or (out.kind != "out" and is_repeatable(stage)))
    if not is_kept or not (project.root / out.at).exists():
        return hash_out(project, stage, out)
    old = kept_out(project, stage, out)
    return add_path(project.cache, out.at, kind=old.kind if old else MD5, link=out.cache)


def _make_room(job: Job, stage: Stage) -> None:
    """Empty the places of the outs: what was recorded, or left by a command that failed, goes; the rest is moved."""
    project = job.project
    entry = project.lock.get(stage.key)
    for out in stage.outs:
        if out.persist:
            unlink_shared(project.cache, out.at)
            continue
        known = entry.outs.get(out.path) if entry else None
        if job.options.force or (known and _is_in_place(project, out.at, known)) or _is_debris(job, out.at):
            discard(project.cache, out.at)
        else:
            _tell_moved(job, out.at, clear(project.cache, out.at))
        _parent(project.root, out.at).mkdir(parents=True, exist_ok=True)


def _parent(root: Path, at: str) -> Path:
    return (root / at).parent


def _is_debris(job: Job, at: str) -> bool:
    left = job.journal.progress.debris.get(at)
    return left is not None and left == path_key(f"{job.project.root}/{at}")


def _left_behind(project: Project, stage: Stage) -> dict[str, str]:
    return {out.at: path_key(f"{project.root}/{out.at}") for out in stage.outs}


def _tell_moved(job: Job, at: str, aside: Path | None) -> None:
    if aside:
        job.listener.note(
            f"{at} held changes that were not saved, they are in {_shown(job.project.root, aside)}"
        )


def _shown(root: Path, path: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _record(job: Job, stage: Stage, entry: Entry) -> None:
    """Once the objects are safe, name them: a crash in between loses nothing but time."""
    project = job.project
    if job.options.commit and not stage.is_data:
        save_run(project.cache, stage, entry)
    ignore_paths(project.root, [out.at for out in stage.outs if out.cache])
    record_entry(project, stage, entry)


def _claim(stage: Stage) -> Claim:
    paths = (*(dep.at for dep in stage.deps), *(one.at for one in stage.params))
    read = tuple(at for at in paths if not is_url(at))
    return Claim(f"tidegate repro {stage.key}", read, tuple(out.at for out in stage.outs))
