"""`dag`: which stage, or which out, needs which; as text, Mermaid or DOT."""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UsageError
from tidegate.pipeline.graph import connected, order
from tidegate.pipeline.index import Index
from tidegate.pipeline.project import open_project
from tidegate.pipeline.stages import DATA_SUFFIX, Stage
from tidegate.pipeline.targets import Target, address, choose_outs, narrowed

Needs = dict[str, tuple[str, ...]]


class Asked(NamedTuple):
    """What to draw, typed in `here`: what the target needs, with `full` all it is connected with; everything without.

    `outs` draws the files that stages make, `collapse` each `foreach` and `matrix` as one stage.
    """

    target: str = ""
    here: str = ""
    full: bool = False
    outs: bool = False
    collapse: bool = False


def dag(root: Path, asked: Asked) -> Needs:
    """The nodes as seen from `here`, in DVC's order, with those that each one needs.

    Raises NotFoundError for a target that is neither stage nor out, UsageError for options that exclude each other.
    """
    if asked.outs and asked.collapse:
        raise UsageError("dag", "--outs and --collapse-foreach-matrix found, expected one of them")
    with open_project(root) as project:
        index = project.pipelines
    needs = _outs_graph(index, str(root)) if asked.outs else dict(index.graph)
    if asked.target:
        chosen = choose_outs(index, [asked.target], here=asked.here)
        needs = _part(needs, _nodes(chosen, outs=asked.outs), full=asked.full)
    name = _seen_from if asked.outs else address
    named = _renamed(needs, {node: name(node, asked.here) for node in needs})
    return _collapsed(named) if asked.collapse else named


def pipelines(needs: Needs) -> list[Needs]:
    """The graph cut into parts that have nothing to do with each other, in the order of their first nodes."""
    beside = _both_ways(needs)
    groups: list[set[str]] = []
    placed: dict[str, int] = {}
    for node in needs:
        if node not in placed:
            group = _reached(beside, node)
            placed.update(dict.fromkeys(group, len(groups)))
            groups.append(group)
    parts: list[Needs] = [{} for _ in groups]
    for node, wanted in needs.items():
        parts[placed[node]][node] = wanted
    return parts


def render_mermaid(needs: Needs) -> str:
    """A Mermaid flowchart, byte for byte as DVC draws it."""
    lines = ["flowchart TD"]
    count = 0
    for part in pipelines(needs):
        ids = {node: f"node{count + number}" for number, node in enumerate(sorted(part), 1)}
        count += len(part)
        lines += [f'\t{name}["{node}"]' for node, name in ids.items()]
        lines += [f"\t{ids[first]}-->{ids[second]}" for first, second in sorted(edges(part))]
    return "\n".join(lines)


def render_dot(needs: Needs) -> str:
    """A graph in the DOT language, as DVC draws it but always in the same order."""
    nodes = [f"{_quoted(node)};" for node in needs]
    place = {node: number for number, node in enumerate(needs)}
    pairs = sorted(edges(needs), key=lambda pair: place[pair[0]])
    arrows = [f"{_quoted(first)} -> {_quoted(second)};" for first, second in pairs]
    return "\n".join(["strict digraph {", *nodes, *arrows, "}", ""])


def render_tree(needs: Needs) -> str:
    """Text for people: what nothing feeds comes first, what uses it below; a node that was shown is not repeated."""
    return "\n\n".join("\n".join(_tree_lines(part)) for part in pipelines(needs))


def edges(needs: Needs) -> list[tuple[str, str]]:
    """Each pair of a node and one that uses it."""
    return list(dict.fromkeys((need, node) for node, wanted in needs.items() for need in wanted))


def _both_ways(needs: Needs) -> dict[str, list[str]]:
    beside = {node: list(wanted) for node, wanted in needs.items()}
    for need, node in edges(needs):
        beside[need].append(node)
    return beside


def _reached(beside: Mapping[str, list[str]], start: str) -> set[str]:
    seen = {start}
    waiting = [start]
    while waiting:
        new = [node for node in beside[waiting.pop()] if node not in seen]
        seen.update(new)
        waiting += new
    return seen


def _tree_lines(part: Needs) -> Iterator[str]:
    users: dict[str, list[str]] = {node: [] for node in part}
    for need, node in edges(part):
        if need != node:
            users[need].append(node)
    shown: set[str] = set()
    sources = [node for node in part if not set(part[node]) - {node}]
    # the last is next, and carries the strokes in front of it and of what is below; circles have no source
    waiting = [(node, "", "") for node in reversed([*sources, *part])]
    while waiting:
        node, stroke, below = waiting.pop()
        is_known = node in shown
        shown.add(node)
        if stroke or not is_known:
            yield f"{stroke}{node}{' (above)' if is_known and users[node] else ''}"
        waiting += [] if is_known else _branches(users[node], below)


def _branches(children: list[str], below: str) -> Iterator[tuple[str, str, str]]:
    for number, child in enumerate(reversed(children)):
        corner, line = ("├─ ", "│  ") if number else ("└─ ", "   ")
        yield child, below + corner, below + line


def _nodes(chosen: list[Target], *, outs: bool) -> list[str]:
    if outs:
        return [out.at for target in chosen for out in narrowed(target)]
    return [target.stage.key for target in chosen]


def _part(needs: Needs, nodes: list[str], *, full: bool) -> Needs:
    kept = connected(needs, nodes) if full else set(order(needs, nodes)) if nodes else set()
    return {node: tuple(one for one in needs[node] if one in kept) for node in needs if node in kept}


def _renamed(needs: Needs, names: Mapping[str, str]) -> Needs:
    return {names[node]: tuple(names[one] for one in wanted) for node, wanted in needs.items()}


def _collapsed(needs: Needs) -> Needs:
    """Groups come last, as with DVC."""
    groups = {node: node.split("@")[0] for node in needs if "@" in node and not node.endswith(DATA_SUFFIX)}
    merged: dict[str, dict[str, None]] = {node: {} for node in needs if node not in groups}
    merged |= {group: {} for group in groups.values()}
    for node, wanted in needs.items():
        merged[groups.get(node, node)].update({groups.get(one, one): None for one in wanted})
    return {node: tuple(wanted) for node, wanted in merged.items()}


def _outs_graph(index: Index, root: str) -> Needs:
    """The outs, in the order of DVC's tree of paths, and those that their stages read."""
    paths = _tree_order([out.at for stage in index.stages.values() for out in stage.outs], root)
    ordered = sorted(paths)
    needs: dict[str, dict[str, None]] = {path: {} for path in paths}
    for stage in index.stages.values():
        read = {at: None for dep in _reads(stage) for at in _overlapping(dep, needs, ordered)}
        for out in stage.outs:
            needs[out.at].update(read)
    return {path: tuple(wanted) for path, wanted in needs.items()}


def _reads(stage: Stage) -> list[str]:
    return [*(dep.at for dep in stage.deps), *(one.at for one in stage.params)]


def _overlapping(path: str, known: Mapping[str, object], ordered: list[str]) -> Iterator[str]:
    """Of the known paths the path itself, those around it and those inside of it."""
    parts = path.split("/")
    yield from (above for depth in range(1, len(parts) + 1) if (above := "/".join(parts[:depth])) in known)
    for at in ordered[bisect_left(ordered, f"{path}/") :]:
        if not at.startswith(f"{path}/"):
            return
        yield at


def _tree_order(paths: Iterable[str], root: str) -> list[str]:
    """Directories in the order of the first path in each, and all that is in one together."""
    ranks: dict[tuple[str, ...], int] = {}
    keys: dict[str, tuple[int, ...]] = {}
    for path in paths:
        parts = tuple(os.path.join(root, path).split("/"))  # noqa: PTH118
        above = [parts[:depth] for depth in range(1, len(parts) + 1)]
        keys[path] = tuple(ranks.setdefault(part, len(ranks)) for part in above)
    return sorted(keys, key=keys.__getitem__)


def _seen_from(path: str, here: str) -> str:
    return os.path.relpath(path, here) if here and "://" not in path else path


def _quoted(node: str) -> str:
    escaped = node.replace('"', '\\"')
    return f'"{escaped}"'
