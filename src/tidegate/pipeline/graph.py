"""Which stage needs which: edges from overlapping paths, complaints, and DVC's order of running."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping

from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.stages import Dep, Out, Params, Stage

Graph = Mapping[str, tuple[str, ...]]
Owners = Mapping[str, tuple[Stage, Out]]


def build_graph(stages: Mapping[str, Stage]) -> dict[str, tuple[str, ...]]:
    """The stages each stage needs, by key; raises FaultError for outs in conflict and for a cycle."""
    owners = _owners(stages)
    paths = sorted(owners)
    _refuse_nested(paths, owners)
    _refuse_swallowed(stages, owners)
    graph = {key: tuple(_upstream(stage, owners, paths)) for key, stage in stages.items()}
    _refuse_cycles(graph, stages)
    return graph


def order(graph: Graph, targets: Iterable[str] = ()) -> tuple[str, ...]:
    """The targets (all stages when none) and everything they need, upstream first.

    A depth-first post-order in the order of the files, as DVC walks, so that dvc.lock grows alike.
    """
    return within(graph, set(_post_order(graph, tuple(targets) or tuple(graph))))


def downstream(graph: Graph, targets: Iterable[str]) -> tuple[str, ...]:
    """The targets and everything that needs them, upstream first."""
    return within(graph, set(_post_order(reverse(graph), targets)))


def within(graph: Graph, keys: Collection[str]) -> tuple[str, ...]:
    """These stages, upstream first as far as they need each other."""
    part = {key: tuple(need for need in graph[key] if need in keys) for key in graph if key in keys}
    return tuple(_post_order(part, part))


def connected(graph: Graph, targets: Iterable[str]) -> set[str]:
    """Every stage of the pipelines that the targets belong to, whichever way the edges point."""
    users = reverse(graph)
    return set(_post_order({key: (*graph[key], *users[key]) for key in graph}, targets))


def reverse(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The stages that need each stage."""
    users: dict[str, list[str]] = {key: [] for key in graph}
    for key, needs in graph.items():
        for need in needs:
            users[need].append(key)
    return {key: tuple(names) for key, names in users.items()}


def active(graph: Graph, stages: Mapping[str, Stage]) -> dict[str, tuple[str, ...]]:
    """The graph in which a frozen stage needs nothing."""
    return {key: () if stages[key].frozen else needs for key, needs in graph.items()}


def producers(stages: Mapping[str, Stage], path: str) -> list[str]:
    """The stages that write `path`, a part of it or a directory around it."""
    owners = _owners(stages)
    return list(dict.fromkeys(_overlapping(path, owners, sorted(owners))))


def _owners(stages: Mapping[str, Stage]) -> dict[str, tuple[Stage, Out]]:
    owners: dict[str, tuple[Stage, Out]] = {}
    for stage in stages.values():
        read = {dep.at for dep in stage.deps}
        for out in stage.outs:
            if out.at in read:
                found = f"stage `{stage.key}` lists `{out.path}` in deps and outs, a stage cannot read what it writes"
                raise _fault(stage, out, found, "remove it from one of the two")
            if out.at in owners:
                other = owners[out.at][0]
                found = f"out `{out.path}` of stage `{stage.key}` is also an out of stage `{other.key}`"
                raise _fault(stage, out, found, "remove it from one of the two")
            owners[out.at] = (stage, out)
    return owners


def _refuse_nested(paths: list[str], owners: Owners) -> None:
    for path in paths:
        for above in _parents(path):
            if above in owners:
                (stage, out), (other, _) = owners[path], owners[above]
                found = f"out `{out.path}` of stage `{stage.key}` lies inside `{above}`, an out of stage `{other.key}`"
                raise _fault(stage, out, found, "keep outs apart")


def _refuse_swallowed(stages: Mapping[str, Stage], owners: Owners) -> None:
    """A dvc.yaml or .dvc file inside an out would vanish with it."""
    for file in {stage.file for stage in stages.values()}:
        above = next((above for above in _parents(file) if above in owners), None)
        if above is not None:
            stage, out = owners[above]
            found = f"out `{out.path}` of stage `{stage.key}` holds `{file}`, which describes stages"
            raise _fault(stage, out, found, "keep it outside of what stages write")


def _fault(stage: Stage, out: Out, message: str, hint: str) -> FaultError:
    return FaultError(out.place, message, hint=hint, file=stage.file)


def _upstream(stage: Stage, owners: Owners, paths: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    inputs: list[Dep | Params] = [*stage.deps, *stage.params]
    for one in inputs:
        for key in _overlapping(one.at, owners, paths):
            if key == stage.key:
                found = (
                    f"stage `{key}` reads `{one.path}` and writes there, a stage cannot read what it writes"
                )
                raise FaultError(one.place, found, hint="keep deps and outs apart", file=stage.file)
            if key not in seen:
                seen.add(key)
                yield key


def _overlapping(path: str, owners: Owners, paths: list[str]) -> Iterator[str]:
    """Owners of the path itself, of a directory around it, or of something inside it."""
    for above in (*_parents(path), path):
        if above in owners:
            yield owners[above][0].key
    inside = f"{path}/"
    for at in paths[bisect_left(paths, inside) :]:
        if not at.startswith(inside):
            return
        yield owners[at][0].key


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _post_order(graph: Graph, roots: Iterable[str]) -> list[str]:
    """Without recursion: a pipeline may be deeper than Python's stack."""
    done: dict[str, None] = {}
    entered: set[str] = set()
    for root in roots:
        stack = [] if root in entered else [(root, iter(graph[root]))]
        entered.add(root)
        while stack:
            key, rest = stack[-1]
            following = next((need for need in rest if need not in entered), None)
            if following is None:
                done[key] = None
                stack.pop()
            else:
                entered.add(following)
                stack.append((following, iter(graph[following])))
    return list(done)


def _refuse_cycles(graph: Graph, stages: Mapping[str, Stage]) -> None:
    safe: set[str] = set()
    for root in graph:
        trail = _find_cycle(graph, root, safe)
        if trail:
            circle = " -> ".join(f"`{key}`" for key in [*trail, trail[0]])
            first = stages[trail[0]]
            message = f"stages need each other in a circle: {circle}"
            raise FaultError(first.place, message, hint="remove one of these deps", file=first.file)


def _find_cycle(graph: Graph, root: str, safe: set[str]) -> list[str]:
    """The stages of a circle reached from `root`, or none; what was found safe is added to `safe`."""
    trail = {root: iter(graph[root])} if root not in safe else {}
    while trail:
        key, rest = next(reversed(trail.items()))
        following = next((need for need in rest if need not in safe), None)
        if following is None:
            safe.add(key)
            del trail[key]
        elif following in trail:
            keys = list(trail)
            return keys[keys.index(following) :]
        else:
            trail[following] = iter(graph[following])
    return []
