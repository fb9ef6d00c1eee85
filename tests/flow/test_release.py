"""Gate, plan, apply, rollback on a small project: what ships is what was judged, once, and back again."""

import json

import pytest

from tidegate.errors import ConflictError, CorruptError, NotFoundError, UsageError
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.provenance import provenance_of
from tidegate.flow.release import Plan, apply, move_entries, plan_path, read_plan, rollback
from tidegate.rollout.decide import promote as promoted
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger
from tidegate.store.state import State


def state_of(root) -> State:
    with open_ledger(Layout(root).ledger) as ledger:
        return ledger.state()


def events_of(root) -> list[str]:
    with open_ledger(Layout(root).ledger) as ledger:
        return [event.kind for event in ledger.events()]


def release(root) -> Plan:
    judge(root)
    made = plan(root)
    assert isinstance(made, Plan)
    apply(root)
    return made


def promote(root) -> None:
    """Let the newest rollout win, as the watcher would."""
    state = state_of(root)
    move = promoted(state.rollout, state.rollout.started + 1, "promoted by hand")
    with open_ledger(Layout(root).ledger) as ledger:
        ledger.append_all(move_entries(move, state))


def test_the_first_candidate_is_judged_by_floors_and_the_dummy(project):
    decision = judge(project)
    assert decision.verdict == "pass"
    assert decision.baseline is None


def test_asking_again_about_the_same_rows_spends_nothing(project):
    first, second = judge(project), judge(project)
    assert first == second
    assert events_of(project) == ["gate.decided"]


def test_the_first_release_goes_live_at_once(project):
    made = release(project)
    state = state_of(project)
    assert (made.action, made.version, state.live.bundle) == ("release", 1, made.bundle)
    assert events_of(project) == ["gate.decided", "bundle.registered", "release.applied"]


def test_a_later_release_starts_a_rollout(project, answer):
    first = release(project)
    answer(project, 2)
    second = release(project)
    rollout = state_of(project).rollout
    assert (rollout.stable, rollout.candidate, rollout.phase) == (first.bundle, second.bundle, "running")
    assert rollout.weight == 0.1


def test_apply_twice_changes_nothing(project):
    release(project)
    before = events_of(project)
    again = apply(project)
    assert (again.release, again.rollout, events_of(project)) == (None, None, before)


def test_a_stale_plan_is_refused(project, answer, tmp_path):
    release(project)
    answer(project, 2)
    judge(project)
    kept = tmp_path / "kept.json"
    plan(project, kept)
    answer(project, 1)
    release(project)
    with pytest.raises(ConflictError, match="stale"):
        apply(project, kept)


def test_plan_needs_a_verdict_on_these_rows(project, answer):
    judge(project)
    answer(project, 3)
    with pytest.raises(UsageError, match="no verdict"):
        plan(project)


def test_plan_returns_the_verdict_that_did_not_pass(project, answer):
    release(project)
    answer(project, 200)
    assert judge(project).verdict == "block"
    assert plan(project).verdict == "block"


def test_one_rollout_at_a_time(project, answer):
    release(project)
    answer(project, 2)
    release(project)
    answer(project, 1)
    judge(project)
    with pytest.raises(ConflictError, match="one at a time"):
        plan(project)


def test_the_same_candidate_again_is_nothing_to_do(project):
    release(project)
    judge(project)
    made = plan(project)
    assert made.action in ("nothing", "rollout")
    before = state_of(project).live
    apply(project)
    assert state_of(project).live == before


def test_rollback_aborts_the_rollout_in_progress(project, answer):
    first = release(project)
    answer(project, 2)
    release(project)
    done = rollback(project)
    state = state_of(project)
    assert (done.bundle, state.rollout, state.rollouts[-1].phase) == (first.bundle, None, "rolled_back")
    assert state.live.bundle == first.bundle


def test_rollback_to_a_version_ends_the_rollout_in_progress(project, answer):
    first = release(project)
    answer(project, 2)
    release(project)
    promote(project)
    answer(project, 1)
    release(project)
    done = rollback(project, to="1")
    state = state_of(project)
    assert (done.rollout.phase, done.release.number, state.live.bundle) == ("rolled_back", 3, first.bundle)
    assert (state.rollout, state.rollouts[-1].phase) == (None, "rolled_back")
    assert events_of(project)[-2:] == ["rollout.rolled_back", "release.rolled_back"]


def test_what_happens_while_the_gate_thinks_makes_it_think_again(project, monkeypatch):
    from tidegate.flow import judge as module

    gather, calls = module.gather, []

    def interrupted(config, layout, ledger):
        found = gather(config, layout, ledger)
        if not calls:
            ledger.append("test.happened", "x", {})
        calls.append(found)
        return found

    monkeypatch.setattr(module, "gather", interrupted)
    assert judge(project).verdict == "pass"
    assert len(calls) == 2
    assert events_of(project) == ["test.happened", "gate.decided"]


def test_rollback_releases_the_previous_bundle_again(project, answer):
    first = release(project)
    answer(project, 2)
    release(project)
    promote(project)
    done = rollback(project)
    assert (done.release.number, done.bundle) == (3, first.bundle)
    assert state_of(project).live.cause == "rollback"


def test_rollback_to_what_is_live_changes_nothing(project):
    made = release(project)
    before = events_of(project)
    assert rollback(project, to=made.bundle[:12]).release is None
    assert rollback(project, to="1").release is None
    assert events_of(project) == before


@pytest.mark.parametrize("to", [None, "77", "feed"])
def test_there_is_nothing_before_the_first_release(project, to):
    release(project)
    with pytest.raises(NotFoundError):
        rollback(project, to=to)


def test_a_bundle_with_one_changed_byte_is_not_applied(project):
    judge(project)
    made = plan(project)
    model = Layout(project).bundles / made.bundle / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptError, match="differs"):
        apply(project)
    assert state_of(project).live is None


@pytest.mark.parametrize("text", ["", "{}", '{"id": 3}', "\0"])
def test_a_broken_plan_is_refused(project, text):
    path = plan_path(Layout(project))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with pytest.raises(UsageError, match="not a plan"):
        read_plan(path)


def test_a_plan_that_cites_no_passing_verdict_is_refused(project):
    judge(project)
    plan(project)
    path = plan_path(Layout(project))
    edited = json.loads(path.read_text()) | {"decision": "0" * 64}
    path.write_text(json.dumps(edited))
    with pytest.raises(ConflictError, match="no verdict that passed"):
        apply(project)
    assert state_of(project).live is None


def test_a_changed_test_set_is_scored_anew_by_the_live_model(project):
    release(project)
    table = (project / "data/processed/test.csv").read_text().splitlines()
    rows = [
        "id,truth,prediction",
        *(f"{line.split(',')[0]},{line.split(',')[1]},{line.split(',')[1]}" for line in table[1:]),
    ]
    (project / "experiments/metrics/evaluation.csv").write_text("\n".join(rows))
    decision = judge(project)
    assert decision.verdict == "pass"
    assert decision.baseline is not None


def test_the_bundle_names_its_parameters_and_commit(project):
    made = release(project)
    provenance = provenance_of(Layout(project), made.bundle)
    assert (provenance.commit, provenance.params, provenance.run) == ("", {}, None)
