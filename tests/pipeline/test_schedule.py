import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.pipeline.schedule import Grant, Machine, State, next_grant, refuse_impossible, this_machine
from tidegate.pipeline.stages import Resources, Stage

MACHINE = Machine(cpus=4.0, gpus=("0", "1"), memory=8_000)


def stage(name, **resources):
    return Stage(name, name, "dvc.yaml", "x", ".", resources=Resources(**resources))


def test_a_stage_waits_for_what_it_needs():
    a, b = stage("a"), stage("b")
    graph = {"a": (), "b": ("a",)}
    assert next_grant(State((a, b), ()), graph, MACHINE) == Grant(a, ())
    assert next_grant(State((b,), (Grant(a, ()),)), graph, MACHINE) is None
    assert next_grant(State((b,), ()), graph, MACHINE) == Grant(b, ())


def test_a_need_outside_of_the_run_counts_as_done():
    assert next_grant(State((stage("b"),), ()), {"b": ("elsewhere",)}, MACHINE) == Grant(stage("b"), ())


@pytest.mark.parametrize("asked", [{"cpus": 3.0}, {"gpus": 2}, {"memory": 5_000}])
def test_what_does_not_fit_beside_the_others_waits_and_smaller_ones_go_first(asked):
    big, twin, small = stage("big", **asked), stage("twin", **asked), stage("small")
    graph = dict.fromkeys(("big", "twin", "small"), ())
    granted = next_grant(
        State((twin, small), (Grant(big, ("0", "1")[: big.resources.gpus]),)), graph, MACHINE
    )
    assert granted == Grant(small, ())


def test_gpus_are_given_out_one_by_one():
    first, second = stage("first", gpus=1), stage("second", gpus=1)
    graph = {"first": (), "second": ()}
    one = next_grant(State((first, second), ()), graph, MACHINE)
    assert one == Grant(first, ("0",))
    assert next_grant(State((second,), (one,)), graph, MACHINE) == Grant(second, ("1",))


@pytest.mark.parametrize(
    ("asked", "found"),
    [({"cpus": 5.0}, "5 cpus"), ({"gpus": 3}, "3 gpus"), ({"memory": 9_000}, "9,000 bytes")],
)
def test_what_can_never_fit_is_refused_at_once(asked, found):
    with pytest.raises(UsageError, match=f"stage `s`: meta.tidegate asks for {found}"):
        refuse_impossible([stage("s", **asked)], MACHINE)


def test_this_machine_has_processors_and_memory(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    machine = this_machine()
    assert machine.cpus >= 1
    assert machine.memory > 1 << 20
    assert machine.gpus == ("3", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine().gpus == ()


@given(st.data())
def test_all_stages_are_done_in_an_order_that_the_graph_allows_and_never_too_much_at_once(data):
    count = data.draw(st.integers(1, 6))
    names = [f"s{i}" for i in range(count)]
    graph = {
        name: tuple(data.draw(st.sets(st.sampled_from(names[:i])))) if i else ()
        for i, name in enumerate(names)
    }
    asked = st.builds(
        Resources, st.sampled_from([0.0, 1.0, 2.5, 4.0]), st.integers(0, 2), st.integers(0, 8_000)
    )
    waiting = [stage(name)._replace(resources=data.draw(asked)) for name in data.draw(st.permutations(names))]
    running, done = [], []
    while waiting or running:
        grant = next_grant(State(tuple(waiting), tuple(running)), graph, MACHINE)
        if grant is None:
            assert running
            finished = data.draw(st.sampled_from(running))
            running.remove(finished)
            done.append(finished.stage.key)
            continue
        assert set(graph[grant.stage.key]) <= set(done)
        waiting.remove(grant.stage)
        running.append(grant)
        assert sum(one.stage.resources.cpus for one in running) <= MACHINE.cpus
        assert sum(one.stage.resources.memory for one in running) <= MACHINE.memory
        taken = [name for one in running for name in one.gpus]
        assert len(taken) == len(set(taken)) == sum(one.stage.resources.gpus for one in running)
    assert sorted(done) == names
