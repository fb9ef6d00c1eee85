"""Which stage needs which: edges from overlapping paths, complaints, and DVC's order of running."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from tidegate.errors import NotFoundError, did_you_mean
from tidegate.pipeline.stages import FaultError, Out, Stage

Graph = Mapping[str, tuple[str, ...]]


def build_graph(stages: Mapping[str, Stage]) -> dict[str, tuple[str, ...]]:
    """The stages each stage needs; raises FaultError for outs in conflict and for a cycle."""
    owners = _owners(stages)
    paths = sorted(owners)
    _refuse_nested(paths, owners)
    graph = {name: tuple(_upstream(stage, owners, paths)) for name, stage in stages.items()}
    _refuse_cycles(graph, stages)
    return graph


def order(graph: Graph, targets: Iterable[str] = ()) -> tuple[str, ...]:
    """The targets (all stages when none) and everything they need, upstream first.

    A depth-first post-order in the order of the file, as DVC walks, so that dvc.lock grows alike.
    Raises NotFoundError for an unknown target.
    """
    wanted = tuple(targets) or tuple(graph)
    for name in wanted:
        if name not in graph:
            found = f"unknown stage{did_you_mean(name, graph)}"
            raise NotFoundError(name, found, hint="`tidegate status` lists the stages")
    needed = set(_post_order(graph, wanted))
    return tuple(_post_order(graph, [name for name in graph if name in needed]))


def producer(stages: Mapping[str, Stage], path: str) -> str | None:
    """The stage that writes `path`, a part of it or a directory around it."""
    owners = _owners(stages)
    return next(iter(_overlapping(path, owners, sorted(owners))), None)


def _owners(stages: Mapping[str, Stage]) -> dict[str, tuple[str, Out]]:
    owners: dict[str, tuple[str, Out]] = {}
    for name, stage in stages.items():
        read = {dep.at for dep in stage.deps}
        for out in stage.outs:
            if out.at in read:
                found = (
                    f"stage `{name}` lists `{out.path}` in deps and outs, a stage cannot read what it writes"
                )
                raise FaultError(out.place, found, hint="remove it from one of the two")
            if out.at in owners:
                found = f"out `{out.path}` of stage `{name}` is also an out of stage `{owners[out.at][0]}`"
                raise FaultError(out.place, found, hint="remove it from one of the two")
            owners[out.at] = (name, out)
    return owners


def _refuse_nested(paths: list[str], owners: Mapping[str, tuple[str, Out]]) -> None:
    for path in paths:
        for above in _parents(path):
            if above in owners:
                (name, out), (other, _) = owners[path], owners[above]
                found = f"out `{out.path}` of stage `{name}` lies inside `{above}`, an out of stage `{other}`"
                raise FaultError(out.place, found, hint="keep outs apart")


def _upstream(stage: Stage, owners: Mapping[str, tuple[str, Out]], paths: list[str]) -> Iterator[str]:
    seen = {stage.name}
    for at in [*(dep.at for dep in stage.deps), *(one.at for one in stage.params)]:
        for name in _overlapping(at, owners, paths):
            if name not in seen:
                seen.add(name)
                yield name


def _overlapping(path: str, owners: Mapping[str, tuple[str, Out]], paths: list[str]) -> Iterator[str]:
    """Owners of the path itself, of a directory around it, or of something inside it."""
    for above in (*_parents(path), path):
        if above in owners:
            yield owners[above][0]
    inside = f"{path}/"
    for at in paths[bisect_left(paths, inside) :]:
        if not at.startswith(inside):
            return
        yield owners[at][0]


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _post_order(graph: Graph, roots: Iterable[str]) -> list[str]:
    """Without recursion: a pipeline may be deeper than Python's stack."""
    done: dict[str, None] = {}
    for root in roots:
        stack = [(root, iter(graph[root]))]
        while stack:
            name, rest = stack[-1]
            following = next((need for need in rest if need not in done), None)
            if following is None:
                done[name] = None
                stack.pop()
            else:
                stack.append((following, iter(graph[following])))
    return list(done)


def _refuse_cycles(graph: Graph, stages: Mapping[str, Stage]) -> None:
    safe: set[str] = set()
    for root in graph:
        trail = _find_cycle(graph, root, safe)
        if trail:
            circle = " -> ".join(f"`{name}`" for name in [*trail, trail[0]])
            message = f"stages need each other in a circle: {circle}"
            raise FaultError(("stages", trail[0]), message, hint="remove one of these deps")


def _find_cycle(graph: Graph, root: str, safe: set[str]) -> list[str]:
    stack = [(root, iter(graph[root]))] if root not in safe else []
    while stack:
        name, rest = stack[-1]
        following = next((need for need in rest if need not in safe), None)
        trail = [one for one, _ in stack]
        if following is None:
            safe.add(name)
            stack.pop()
        elif following in trail:
            return trail[trail.index(following) :]
        else:
            stack.append((following, iter(graph[following])))
    return []
