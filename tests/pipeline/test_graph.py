import pytest

from tidegate.pipeline.graph import build_graph, order, producers
from tidegate.pipeline.parse import Base, parse_pipeline


def stages_of(**reads_and_writes):
    plain = {
        name: {"cmd": "x", "deps": reads, "outs": writes}
        for name, (reads, writes) in reads_and_writes.items()
    }
    return parse_pipeline({"stages": plain}, Base("dvc.yaml", ""))


def test_upstream_comes_first_in_the_order_of_the_file():
    stages = stages_of(last=(["mid", "raw"], ["end"]), middle=(["raw"], ["mid"]), other=([], ["o"]))
    assert order(build_graph(stages)) == ("middle", "last", "other")


@pytest.mark.parametrize("dep", ["data", "data/clean", "data/clean/part/one.csv"])
def test_a_dep_meets_an_out_that_equals_holds_or_is_inside_it(dep):
    stages = stages_of(reader=([dep], ["r"]), writer=([], ["data/clean"]))
    assert build_graph(stages)["reader"] == ("writer",)
    assert producers(stages, dep) == ["writer"]


@pytest.mark.parametrize("dep", ["data/cleaner", "dat", "data/clea"])
def test_a_dep_with_a_similar_name_meets_nothing(dep):
    stages = stages_of(reader=([dep], ["r"]), writer=([], ["data/clean"]))
    assert build_graph(stages)["reader"] == ()


def test_a_target_brings_only_what_it_needs():
    graph = build_graph(stages_of(a=([], ["x"]), b=(["x"], ["y"]), c=(["y"], ["z"]), d=([], ["w"])))
    assert order(graph, ["b"]) == ("a", "b")


def test_a_pipeline_may_be_deeper_than_the_stack():
    deep = stages_of(**{f"s{i}": ([f"o{i - 1}"] if i else [], [f"o{i}"]) for i in range(1500)})
    assert order(build_graph(deep), ["s1499"])[0] == "s0"
