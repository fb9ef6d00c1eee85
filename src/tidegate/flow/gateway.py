"""One gateway worker: serves what the ledger says is live, and follows it within `lookout.POLL_S`.

Run as `python -m tidegate.flow.gateway ROOT SUPERVISOR SOCKET NAME` by the supervisor, which owns the socket.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.domain import Role, Rollout
from tidegate.errors import CorruptError, TidegateError
from tidegate.flow.certificate import Certificate
from tidegate.flow.log import hidden_inputs, open_log
from tidegate.flow.lookout import Lookout
from tidegate.project import Config, load_config
from tidegate.registry.load import open_bundle
from tidegate.registry.model import LoadedModel, load_model
from tidegate.serve import grpc
from tidegate.serve.access import Access
from tidegate.serve.busypoll import BusyPoll, has_spare_processor
from tidegate.serve.engine import Engine
from tidegate.serve.http import App
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route
from tidegate.serve.service import Service, Version
from tidegate.serve.shape import Shape, make_shape
from tidegate.serve.wire import MAX_CONNECTIONS, Front, Limits
from tidegate.store.access import read_keys
from tidegate.store.files import write_atomic
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger, open_ledger
from tidegate.store.predictions import PredictionLog
from tidegate.store.stamp import Stamp, stamp_of
from tidegate.store.state import State

# a little less than lookout.IDLE_S, so that every idle look saves
SAVE_S = 0.9
LOAD_S = 10.0
KEPT_MODELS = 4
GARBAGE = 20_000
MAX_FILES = 65_536
SPARE_FILES = 192


class Worker(NamedTuple):
    """Everything one worker owns, and the process it belongs to."""

    name: str
    supervisor: int
    config: Config
    layout: Layout
    log: PredictionLog
    engine: Engine
    service: Service
    metrics: Metrics
    models: dict[str, LoadedModel]
    certificate: Certificate | None


def main(root: str, supervisor: str, handle: str, name: str) -> None:
    """Serve on the inherited socket until SIGTERM, or until the supervisor is gone."""
    import uvloop

    worker = _worker(Path(root), int(supervisor), name)
    listening = socket.socket(fileno=int(handle))
    try:
        uvloop.run(_serve(worker, listening))
    finally:
        worker.engine.close()
        for model in worker.models.values():
            model.close()
        worker.log.close()


def _worker(root: Path, supervisor: int, name: str) -> Worker:
    config, layout = load_config(root), Layout(root)
    metrics = Metrics(layout.metrics, name)
    log = open_log(config, layout, name)
    engine = Engine(log.write, metrics, BusyPoll(is_on=has_spare_processor(config.serve.workers)))
    service = Service(engine, log.write_labels, config.serve, metrics)
    if config.serve.access == "keys":
        service.access = Access((), share=1 / config.serve.workers)
    certificate = Certificate(root, config) if config.serve.tls_certificate else None
    return Worker(name, supervisor, config, layout, log, engine, service, metrics, {}, certificate)


async def _serve(worker: Worker, listening: socket.socket) -> None:
    """Answer until a signal comes or the supervisor is gone, then drain."""
    serving = worker.config.serve
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    limits = Limits(serving.max_body_bytes, serving.drain, _most_connections())
    front = Front(App(worker.service), limits, worker.engine.poll)
    calls = grpc.Front(worker.service)
    with open_ledger(worker.layout.ledger) as ledger:
        looked = asyncio.Event()
        following = loop.create_task(_follow(worker, ledger, looked))
        following.add_done_callback(lambda _: stopping.set())
        # what this worker took now, another one that has its model could answer
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(looked.wait(), LOAD_S)
        _settle_memory()
        proof = worker.certificate
        await front.start(listening, proof.context if proof else None)
        if serving.grpc:
            await calls.start(serving.grpc, proof.for_grpc() if proof else None)
        await stopping.wait()
        await asyncio.gather(front.stop(), calls.stop(serving.drain))
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def _settle_memory() -> None:
    """Look for garbage seldom, and never among what is loaded by now: requests leave none that waits for this."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def _most_connections() -> int:
    """How many open files there may be, raised as far as it goes, less those that log and models need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return min(MAX_CONNECTIONS, max(1, files - SPARE_FILES))


async def _follow(worker: Worker, ledger: Ledger, looked: asyncio.Event) -> None:
    """Swap the route when the ledger moves, `looked` once it has; ends when the supervisor is gone."""
    state, reported, stamp = State(), 0, None
    lookout = Lookout(_signs(worker, ledger))
    while os.getppid() == worker.supervisor:
        if ledger.head() != state.seq:
            state = ledger.follow(state)
            await _swap(worker, state)
        if worker.log.dropped != reported and _report_gap(worker):
            reported = worker.log.dropped
            _note(worker)
        _save_counts(worker)
        stamp = _read_access(worker, stamp)
        _renew_certificate(worker)
        worker.log.rotate(time.time())
        looked.set()
        await lookout.wait()


def _signs(worker: Worker, ledger: Ledger) -> Callable[[], object]:
    """What tells that there is something to follow."""
    log, access = worker.log, str(worker.layout.access)
    if worker.config.serve.access == "open":
        return lambda: (ledger.stamp(), log.dropped, os.getppid())
    return lambda: (ledger.stamp(), log.dropped, os.getppid(), stamp_of(access))


def _read_access(worker: Worker, known: Stamp) -> Stamp:
    """Know the keys as they are now, read when their file has changed; while it is damaged nobody has one."""
    stamp = stamp_of(worker.layout.access)
    if worker.config.serve.access == "open" or stamp == known:
        return stamp
    try:
        worker.service.access.keys = read_keys(worker.layout.access)
    except CorruptError as error:
        worker.service.access.keys = ()
        _say(worker, f"{error}; every key is refused")
    return stamp


def _renew_certificate(worker: Worker) -> None:
    """Prove ourselves by the files as they are now; while they are no pair, as before."""
    try:
        if worker.certificate:
            worker.certificate.renew()
    except (TidegateError, OSError) as error:
        _say(worker, f"{error}; the certificate stays as it was")


def _save_counts(worker: Worker) -> None:
    """Leave the counts for the other workers every now and then; they are no reason to stop on a full disk."""
    now = time.time()
    if now - worker.metrics.saved >= SAVE_S:
        worker.metrics.wait(worker.engine.waiting_rows)
        with contextlib.suppress(OSError):
            worker.metrics.save(now)


async def _swap(worker: Worker, state: State) -> None:
    """Load in a thread what the new route needs; on failure what answered before goes on answering."""
    try:
        route, shapes = await asyncio.to_thread(_prepare, worker, state)
    except (TidegateError, OSError) as error:
        _say(worker, f"{error}; the route stays as it was")
        return
    if route is None:
        return
    # requests that were parsed for the old route are still on their way, so their shapes stay
    worker.service.shapes = {**worker.service.shapes, **shapes}
    worker.engine.route = route
    worker.service.versions = _versions(worker, state)
    _note(worker)


def _prepare(worker: Worker, state: State) -> tuple[Route | None, dict[str, Shape]]:
    """The route that a state asks for, and the compiled contracts of its models that are not known yet."""
    route = build_route(worker, state)
    digests = [arm.model.digest for arm in (route.stable, route.canary) if arm] if route else []
    new = [digest for digest in digests if digest not in worker.service.shapes]
    models = [worker.models[digest] for digest in new]
    return route, {one.digest: make_shape(one.bundle.contract, one.inputs) for one in models}


def _note(worker: Worker) -> None:
    route = worker.engine.route
    if route is not None:
        worker.metrics.note(release=route.stable.release, weight=route.weight, dropped=worker.log.dropped)


def _versions(worker: Worker, state: State) -> tuple[Version, ...]:
    """Every registered version, newest first."""
    route = worker.engine.route
    ready = {arm.version for arm in (route.stable, route.canary) if arm} if route else set()
    versions = sorted((one.version for one in state.versions), reverse=True)
    return tuple(Version(one, one in ready, "" if one in ready else "not released") for one in versions)


def build_route(worker: Worker, state: State) -> Route | None:
    """The route that a state asks for; a canary that cannot be loaded gets no traffic. None with nothing live."""
    live = state.live
    if live is None:
        return None
    stable = _arm(worker, state, live.bundle, "stable")
    route = Route(worker.config.project.name, stable)
    rollout = state.rollout
    return _with_canary(worker, state, route, rollout) if rollout else route


def _with_canary(worker: Worker, state: State, route: Route, rollout: Rollout) -> Route:
    try:
        canary = _arm(worker, state, rollout.candidate, "canary")
    except TidegateError as error:
        _say(worker, f"{error}; the canary gets no traffic")
        return route
    return replace(route, canary=canary, weight=rollout.weight, salt=rollout.id)


def _arm(worker: Worker, state: State, digest: str, role: Role) -> Arm:
    version = state.version_of(digest)
    number = state.live.number if state.live else 0
    return Arm(_model(worker, digest), role, version.version if version else 0, number)


def _model(worker: Worker, digest: str) -> LoadedModel:
    """A model from memory, where the last few stay so that going back needs no loading."""
    model = worker.models.pop(digest, None)
    if model is None:
        layout, require = worker.layout, worker.config.sign.require
        bundle = open_bundle(layout.bundles, digest, keys=layout.keys, require=require)
        model = load_model(bundle, settings=worker.config.runtime)
        worker.log.hide(digest, hidden_inputs(bundle.contract, worker.config.log))
    worker.models[digest] = model
    while len(worker.models) > KEPT_MODELS:
        oldest = next(iter(worker.models))
        worker.models.pop(oldest).close()
        worker.engine.runner.forget(oldest)
    return model


def _report_gap(worker: Worker) -> bool:
    """Tell the watcher how many rows the log lost; on a full disk the next attempt may succeed."""
    try:
        write_atomic(worker.layout.run / f"{worker.name}.dropped", str(worker.log.dropped))
    except OSError:
        return False
    return True


def _say(worker: Worker, text: str) -> None:
    print(f"gateway {worker.name}: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
