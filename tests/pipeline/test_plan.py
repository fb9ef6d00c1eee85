import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.hash import Hashed
from tidegate.pipeline.explain import as_dict, explain
from tidegate.pipeline.graph import build_graph, order
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.parse import Base, parse_pipeline
from tidegate.pipeline.plan import Reason, Seen, judge, plan, without_missing

ONE, TWO = Hashed("1" * 32, 1), Hashed("2" * 32, 2)
PLAIN = {"cmd": "run", "deps": ["d"], "params": ["a.b", {"p.json": None}], "outs": ["o"]}
ENTRY = Entry("run", {"d": ONE}, {"params.yaml": {"a.b": 1}, "p.json": {"k": "v"}}, {"o": TWO})
SEEN = Seen({"d": ONE}, {"params.yaml": {"a": {"b": 1}}, "p.json": {"k": "v"}}, {"o": TWO}, frozenset())


def stage(**changes):
    return parse_pipeline({"stages": {"s": PLAIN | changes}}, Base("dvc.yaml", ""))["s"]


def test_a_stage_that_equals_its_entry_is_up_to_date():
    assert judge(stage(), ENTRY, SEEN) == ()


@pytest.mark.parametrize(
    ("changes", "entry", "seen", "sentences"),
    [
        ({}, None, SEEN, ["never ran"]),
        ({"always_changed": True}, ENTRY, SEEN, ["runs every time"]),
        ({"cmd": "go"}, ENTRY, SEEN, ["command changed: run -> go"]),
        ({"cmd": ["go", "on"]}, ENTRY, SEEN, ["command changed: run -> go; on"]),
        ({}, ENTRY, SEEN._replace(deps={"d": TWO}), ["dep d changed (11111111 -> 22222222)"]),
        ({}, ENTRY, SEEN._replace(deps={"d": None}), ["dep d is missing"]),
        ({}, ENTRY._replace(deps={}), SEEN, ["dep d is not in dvc.lock yet"]),
        (
            {},
            ENTRY,
            SEEN._replace(params={"params.yaml": {"a": {"b": 2}}, "p.json": {"k": "v", "new": 0}}),
            ["params.yaml:a.b 1 -> 2", "p.json:new (none) -> 0"],
        ),
        (
            {},
            ENTRY,
            SEEN._replace(params={"params.yaml": {}, "p.json": {"k": "v"}}),
            ["param params.yaml:a.b is missing"],
        ),
        ({}, ENTRY, SEEN._replace(outs={"o": ONE}), ["out o differs from dvc.lock"]),
        ({}, ENTRY, SEEN._replace(outs={"o": None}), ["out o is missing"]),
        ({}, ENTRY._replace(outs={}), SEEN, ["out o is not in dvc.lock yet"]),
        ({}, ENTRY, SEEN._replace(uncached=frozenset({"o"})), ["out o is not in the cache"]),
        ({"frozen": True, "cmd": "go"}, ENTRY, SEEN._replace(outs={"o": None}), ["out o is missing"]),
    ],
)
def test_each_difference_is_a_reason_in_words(changes, entry, seen, sentences):
    reasons = judge(stage(**changes), entry, seen)
    assert [explain(reason) for reason in reasons] == sentences
    assert [as_dict(reason)["because"] for reason in reasons] == sentences


def test_list_items_are_params_too():
    one = stage(params=["a.1"])
    seen = SEEN._replace(params={"params.yaml": {"a": [5, 6]}})
    assert judge(one, ENTRY._replace(params={"params.yaml": {"a.1": 6}}), seen) == ()


@st.composite
def pipelines(draw):
    """Stages reading outs of earlier ones, in any order of the file, some of them stale."""
    count = draw(st.integers(1, 7))
    needs = {i: draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(count)}
    plain = {f"s{i}": {"cmd": "x", "deps": [f"o{n}" for n in needs[i]], "outs": [f"o{i}"]} for i in needs}
    frozen = draw(st.sets(st.sampled_from(sorted(plain))))
    plain = {name: one | {"frozen": name in frozen} for name, one in plain.items()}
    stale = draw(st.sets(st.sampled_from(sorted(plain))))
    return plain, draw(st.permutations(sorted(plain))), stale


def plan_of(plain, names, stale):
    stages = parse_pipeline({"stages": {name: plain[name] for name in names}}, Base("dvc.yaml", ""))
    graph = build_graph(stages)
    return plan(stages, graph, {name: (Reason("new"),) if name in stale else () for name in order(graph)})


@given(pipelines())
def test_the_plan_does_not_depend_on_the_order_of_the_file(drawn):
    plain, names, stale = drawn
    assert plan_of(plain, names, stale) == plan_of(plain, sorted(plain), stale)


@given(pipelines())
def test_a_plan_of_what_is_planned_adds_no_stage(drawn):
    plain, names, stale = drawn
    first = {name for name, reasons in plan_of(plain, names, stale).items() if reasons}
    assert {name for name, reasons in plan_of(plain, names, first).items() if reasons} == first


def test_of_a_mapping_only_the_values_that_changed_are_named():
    was, now = (
        {"trees": 10, "seed": 1, "deep": {"a": 1}},
        {"trees": 40, "seed": 1, "deep": {"a": 1}, "new": 2},
    )
    reason = Reason("param", "params.yaml:train", "modified", was=was, now=now)
    assert explain(reason) == "params.yaml:train.trees 10 -> 40, params.yaml:train.new (none) -> 2"


def test_what_is_missing_counts_when_it_was_made_into_something_else():
    reasons = (Reason("dep", "x", "missing", was="1"), Reason("out", "y", "not in cache"), Reason("cmd"))
    assert without_missing(reasons, {}) == without_missing(reasons, {"x": "1"}) == (Reason("cmd"),)
    assert without_missing(reasons, {"x": "2"}) == (reasons[0], reasons[2])
