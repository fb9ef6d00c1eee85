"""The rollout in a person's hands."""

from pathlib import Path

import pytest

from tidegate.errors import ConflictError, NotFoundError
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.release import apply
from tidegate.flow.steer import status, steer
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger


def release(root: Path) -> None:
    judge(root)
    plan(root)
    apply(root)


@pytest.fixture
def rolling(project: Path, answer) -> Path:
    release(project)
    answer(project, 2)
    release(project)
    return project


def kinds(root: Path) -> list[str]:
    with open_ledger(Layout(root).ledger) as ledger:
        return [event.kind for event in ledger.events()]


def test_before_the_first_rollout_there_is_no_status(project: Path) -> None:
    with pytest.raises(NotFoundError, match="there was none yet"):
        status(project)


def test_the_status_of_a_rollout_without_traffic_knows_nothing_yet(rolling: Path) -> None:
    found = status(rolling)
    assert (found.rollout.phase, found.evidence.units) == ("running", 0)


def test_pausing_and_resuming_keep_the_share(rolling: Path) -> None:
    paused, resumed = steer(rolling, "pause"), steer(rolling, "resume")
    assert (paused.phase, resumed.phase) == ("paused", "running")
    assert paused.weight == resumed.weight == 0.1


def test_promoting_releases_the_candidate(rolling: Path) -> None:
    candidate = status(rolling).rollout.candidate
    assert steer(rolling, "promote").phase == "promoted"
    assert kinds(rolling)[-2:] == ["rollout.promoted", "release.applied"]
    with open_ledger(Layout(rolling).ledger) as ledger:
        assert ledger.state().live.bundle == candidate
    assert status(rolling).evidence is None


def test_aborting_ends_it_for_good(rolling: Path) -> None:
    assert steer(rolling, "abort").weight == 0.0
    for name in ("pause", "resume", "promote", "abort"):
        with pytest.raises(ConflictError, match="no rollout is in progress"):
            steer(rolling, name)


def test_what_runs_cannot_be_resumed(rolling: Path) -> None:
    with pytest.raises(ConflictError, match="is running, not paused"):
        steer(rolling, "resume")
