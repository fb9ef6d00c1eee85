"""Which stages a request covers, and in which order."""

from tidegate.pipeline.graph import active, connected, downstream, order, within
from tidegate.pipeline.index import Index
from tidegate.pipeline.job import Request
from tidegate.pipeline.targets import choose_stages


def select(index: Index, request: Request) -> tuple[str, ...]:
    """The stages a request covers, upstream first."""
    graph = active(index.graph, index.stages)
    if request.scope == "all":
        return order(graph)
    keys = choose_stages(index, request.words, here=request.here, choice=request.choice)
    if request.scope == "single":
        return tuple(keys)
    if request.scope == "pipeline":
        return within(graph, connected(index.graph, keys))
    return downstream(graph, keys) if request.scope == "downstream" else order(graph, keys)
