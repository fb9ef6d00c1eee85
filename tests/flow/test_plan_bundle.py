"""A bundle that was judged in one place and is released in another: its verdict must have come along."""

import shutil
from pathlib import Path

import pytest

from tidegate.errors import UsageError
from tidegate.flow.budget import export as export_verdicts
from tidegate.flow.budget import merge_files
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan, plan_bundle
from tidegate.flow.release import Plan, apply
from tidegate.flow.transport import Asked, export, take_in
from tidegate.registry.keys import TRUSTED
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger


def build(root: Path) -> Plan:
    """The candidate's bundle and plan."""
    judge(root)
    made = plan(root)
    assert isinstance(made, Plan)
    return made


@pytest.fixture
def elsewhere(project, tmp_path) -> Path:
    """Another machine: the settings, nothing else, which trusts whom this project trusts."""
    build(project)
    root = tmp_path / "elsewhere"
    (root / ".tidegate/keys").mkdir(parents=True)
    shutil.copy(project / "tidegate.toml", root)
    shutil.copytree(Layout(project).keys / TRUSTED, Layout(root).keys / TRUSTED)
    return root


def carry(project: Path, root: Path, digest: str) -> None:
    """Take a bundle and all verdicts to the other machine."""
    target, verdicts = root / f"{digest[:8]}.tar", root / f"{digest[:8]}.jsonl"
    export(project, digest, target)
    take_in(root, target, Asked())
    export_verdicts(project, verdicts)
    merge_files(root, [verdicts])


def test_an_imported_bundle_goes_live_with_its_verdict(project, elsewhere) -> None:
    made = build(project)
    carry(project, elsewhere, made.bundle)
    planned = plan_bundle(elsewhere, made.bundle[:8])
    assert isinstance(planned, Plan)
    assert (planned.action, planned.bundle, planned.decision) == ("release", made.bundle, made.decision)
    assert planned.commit == made.commit
    apply(elsewhere)
    with open_ledger(Layout(elsewhere).ledger) as ledger:
        assert ledger.state().live.bundle == made.bundle


def test_without_its_verdict_a_bundle_is_not_released(project, elsewhere) -> None:
    made = build(project)
    target = elsewhere / "b.tar"
    export(project, made.bundle, target)
    take_in(elsewhere, target, Asked())
    with pytest.raises(UsageError, match="its verdict is not in this ledger") as caught:
        plan_bundle(elsewhere, made.bundle)
    assert "tidegate budget pull" in caught.value.hint


def test_a_better_one_against_what_is_live_here_is_rolled_out(project, elsewhere, answer) -> None:
    first = build(project)
    apply(project)
    carry(project, elsewhere, first.bundle)
    plan_bundle(elsewhere, first.bundle)
    apply(elsewhere)
    answer(project, 2)
    second = build(project)
    carry(project, elsewhere, second.bundle)
    planned = plan_bundle(elsewhere, second.bundle)
    assert isinstance(planned, Plan)
    assert (planned.action, planned.stable, planned.parts) == ("rollout", first.bundle, second.parts)
    assert [one.metric for one in planned.expected] == [one.metric for one in second.expected]


def test_one_judged_against_another_model_is_refused(project, elsewhere, answer) -> None:
    first = build(project)
    answer(project, 2)
    other = build(project)
    for made in (first, other):
        carry(project, elsewhere, made.bundle)
    plan_bundle(elsewhere, first.bundle)
    apply(elsewhere)
    with pytest.raises(UsageError, match="judged against another model than the one that is live here"):
        plan_bundle(elsewhere, other.bundle)


def test_what_is_live_already_is_nothing_to_do(project, elsewhere) -> None:
    made = build(project)
    carry(project, elsewhere, made.bundle)
    plan_bundle(elsewhere, made.bundle)
    apply(elsewhere)
    planned = plan_bundle(elsewhere, made.bundle)
    assert isinstance(planned, Plan)
    assert planned.action == "nothing"
