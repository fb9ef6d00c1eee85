"""Which stages may run at once: a pure choice from the graph, what runs now, and what the machine has."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UsageError
from tidegate.pipeline.graph import Graph
from tidegate.pipeline.stages import Resources, Stage


class Machine(NamedTuple):
    """What stages share; memory in bytes, gpus by the names that CUDA knows them by."""

    cpus: float
    gpus: tuple[str, ...]
    memory: int


class Grant(NamedTuple):
    """A stage at work, and the gpus that are its own meanwhile."""

    stage: Stage
    gpus: tuple[str, ...]


class State(NamedTuple):
    """How far a run is: the stages that wait, in order, and those at work."""

    waiting: tuple[Stage, ...]
    running: tuple[Grant, ...]


def this_machine() -> Machine:
    """The processors and memory of this process, and NVIDIA's gpus unless `CUDA_VISIBLE_DEVICES` says otherwise."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    gpus = devices if visible is None else [name for name in visible.split(",") if name.strip()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(float(len(os.sched_getaffinity(0))), tuple(gpus), memory)


def refuse_impossible(stages: Iterable[Stage], machine: Machine) -> None:
    """Raise UsageError for a stage that needs more than the machine has: it would wait for ever."""
    for stage in stages:
        for name, asked, there in _compared(stage.resources, machine):
            if asked > there:
                found = f"meta.tidegate asks for {asked:,.10g} {name}, this machine has {there:,.10g}"
                raise UsageError(f"stage `{stage.key}`", found)


def next_grant(state: State, graph: Graph, machine: Machine) -> Grant | None:
    """The first waiting stage whose needs are done and for which there is room; None while there is none.

    A need that is not part of the run counts as done.
    """
    open_keys = {one.key for one in state.waiting} | {grant.stage.key for grant in state.running}
    for stage in state.waiting:
        if not any(need in open_keys for need in graph[stage.key]) and _fits(stage, state.running, machine):
            taken = {name for grant in state.running for name in grant.gpus}
            free = [name for name in machine.gpus if name not in taken]
            return Grant(stage, tuple(free[: stage.resources.gpus]))
    return None


def _fits(stage: Stage, running: Iterable[Grant], machine: Machine) -> bool:
    taken = [grant.stage.resources for grant in running]
    together = Resources(
        stage.resources.cpus + sum(one.cpus for one in taken),
        stage.resources.gpus + sum(one.gpus for one in taken),
        stage.resources.memory + sum(one.memory for one in taken),
    )
    return all(asked <= there for _, asked, there in _compared(together, machine))


def _compared(asked: Resources, machine: Machine) -> list[tuple[str, float, float]]:
    return [
        ("cpus", asked.cpus, machine.cpus),
        ("gpus", asked.gpus, len(machine.gpus)),
        ("bytes of memory", asked.memory, machine.memory),
    ]
