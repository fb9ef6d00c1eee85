"""The watcher's ticks: what the log says becomes moves of the rollout and alerts, each exactly once."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tidegate.domain import Label, Prediction
from tidegate.flow.evidence import ReleaseWatch
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.release import apply, rollback
from tidegate.flow.watch import Watcher
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger, open_ledger
from tidegate.store.predictions import PredictionLog, entry_of

SETTINGS = """
[[rollout.guard]]
metric = "error_rate"
ignore_below = 0.02
[[rollout.guard]]
metric = "wrong_rate"
ignore_below = 0.02

[monitor]
window = "1s"
min_rows = 50
"""


class Life:
    """A project with a live bundle, the log of its gateway and a watcher, under a clock of the test's own."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.root = root
        self.ledger = ledger
        self.log = PredictionLog(Layout(root).log, "test")
        self.watcher = Watcher(root, ledger)
        self.now = time.time()
        self._count = 0
        self._random = np.random.default_rng(7)

    def answer(self, n: int, *, wrong: float = 0.02, canary_wrong: float = 0.02, shift: float = 0.0) -> None:
        """A second of traffic: `n` users, of whom the canary takes its share, and their labels."""
        state = self.ledger.state()
        rollout, live = state.rollout, state.live
        predictions, labels = [], []
        for _ in range(n):
            self._count += 1
            is_canary = rollout is not None and self._random.random() < rollout.weight
            bundle = rollout.candidate if rollout and is_canary else live.bundle
            at = self.now + self._random.random()
            truth = int(self._random.integers(2))
            is_wrong = self._random.random() < (canary_wrong if is_canary else wrong)
            low, high = sorted(self._random.uniform(0, 16, 2).tolist())
            inputs = (low + shift, high + shift) if truth else (high + shift, low + shift)
            role = "canary" if is_canary else "stable"
            request = f"r{self._count}"
            output = 1 - truth if is_wrong else truth
            predictions.append(
                Prediction(request, at, request, "tiny", bundle, role, inputs, output, (), 1.0, 200)
            )
            labels.append(Label(request, at, truth))
        self.log.write(list(map(entry_of, predictions)))
        self.log.write_labels(labels)
        self.now += 1.0

    def look(self) -> None:
        self.watcher.tick(self.now + 0.5)

    def run(self, seconds: int, n: int = 200, **traffic: float) -> None:
        for _ in range(seconds):
            self.answer(n, **traffic)
            self.look()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.ledger.events()]


def release(root: Path) -> None:
    judge(root)
    plan(root)
    apply(root)


@pytest.fixture
def life(project: Path):
    settings = project / "tidegate.toml"
    settings.write_text(settings.read_text() + SETTINGS)
    release(project)
    with open_ledger(Layout(project).ledger) as ledger:
        yield Life(project, ledger)


@pytest.fixture
def rolling(life: Life, answer: Callable[[Path, int], None]) -> Life:
    """A second release on its way."""
    answer(life.root, 2)
    release(life.root)
    # the test's clock begins with the rollout's, however long the release took
    life.now = life.ledger.state().rollout.started
    return life


def test_quiet_traffic_moves_and_raises_nothing(life: Life) -> None:
    before = life.kinds()
    life.run(6, wrong=0.03)
    assert life.kinds() == before


def test_a_candidate_as_good_is_stepped_and_promoted(rolling: Life) -> None:
    rolling.run(20, n=500, wrong=0.005, canary_wrong=0.005)
    state = rolling.ledger.state()
    assert [kind for kind in rolling.kinds() if kind.startswith("rollout")] == [
        "rollout.started",
        "rollout.stepped",
        "rollout.promoted",
    ]
    assert rolling.kinds()[-1] == "release.applied"
    assert (state.live.cause, state.live.bundle) == ("promoted", state.rollouts[-1].candidate)


def test_wrong_answers_are_rolled_back_with_numbers_and_time(rolling: Life) -> None:
    rolling.run(4, canary_wrong=0.6)
    rollout = rolling.ledger.state().rollouts[-1]
    assert (rollout.phase, rollout.weight) == ("rolled_back", 0.0)
    assert all(
        part in rollout.because for part in ("wrong_rate canary", "E = ", "needed 20", "s after the start")
    )
    evidence = rolling.ledger.events(kinds=("rollout.rolled_back",))[0].body["evidence"]
    assert {guard["metric"] for guard in evidence["guards"]} == {"error_rate", "wrong_rate"}


def test_a_watcher_that_starts_late_reaches_the_same_verdict(rolling: Life) -> None:
    for _ in range(3):
        rolling.answer(200, canary_wrong=0.6)
    rolling.watcher = Watcher(rolling.root, rolling.ledger)
    rolling.look()
    assert rolling.ledger.state().rollouts[-1].phase == "rolled_back"


def test_an_ended_rollout_is_left_alone(rolling: Life) -> None:
    rolling.look()
    rollback(rolling.root)
    before = rolling.kinds()
    rolling.run(3)
    assert rolling.kinds() == before


def test_a_candidate_that_cannot_be_opened_is_rolled_back(rolling: Life) -> None:
    rollout = rolling.ledger.state().rollout
    model = Layout(rolling.root).bundles / rollout.candidate / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(b"no model")
    rolling.look()
    ended = rolling.ledger.state().rollouts[-1]
    assert ended.phase == "rolled_back"
    assert "cannot be served" in ended.because


def test_shifted_inputs_raise_one_ticket_that_names_the_columns(life: Life) -> None:
    life.run(2)
    life.run(5, shift=6.0)
    (alert,) = life.ledger.state().alerts
    assert (alert.kind, alert.severity) == ("drift", "ticket")
    assert "x0" in alert.because
    assert life.kinds().count("alert.raised") == 1


def test_lost_quality_pages_and_says_how_many_are_wrong(life: Life) -> None:
    life.run(2)
    life.run(6, wrong=0.4)
    (alert,) = life.ledger.state().alerts
    assert (alert.kind, alert.severity) == ("performance", "page")
    assert "labeled answers are wrong" in alert.because


def test_the_next_release_ends_the_alerts_of_the_last(rolling: Life) -> None:
    rolling.run(3, shift=6.0)
    assert rolling.ledger.state().alerts
    rolling.run(1, canary_wrong=0.9)
    rolling.run(3, canary_wrong=0.9)
    assert rolling.ledger.state().rollouts[-1].phase == "rolled_back"
    assert rolling.ledger.state().alerts, "a rollout that failed is no release"


def test_rows_that_the_log_lost_are_a_ticket_until_no_more_are_lost(life: Life) -> None:
    gap = Layout(life.root).run / "gateway-0.dropped"
    life.look()
    gap.parent.mkdir(exist_ok=True)
    gap.write_text("7")
    life.look()
    (alert,) = life.ledger.state().alerts
    assert (alert.kind, alert.because[:2]) == ("log", "7 ")
    life.look()
    assert life.ledger.state().alerts == ()


def test_rows_that_the_log_goes_on_losing_are_one_ticket_until_it_loses_none(life: Life) -> None:
    gap = Layout(life.root).run / "gateway-0.dropped"
    life.look()
    gap.parent.mkdir(exist_ok=True)
    for lost in ("7", "9"):
        gap.write_text(lost)
        life.look()
        assert [alert.because[:2] for alert in life.ledger.state().alerts] == ["7 "]
    life.look()
    assert life.ledger.state().alerts == ()


def test_a_window_ends_with_time_alone(life: Life) -> None:
    life.run(2)
    begin = life.now
    for _ in range(5):
        life.answer(200, shift=6.0)
    life.watcher.tick(begin)
    assert life.ledger.state().alerts == ()
    life.watcher.tick(life.now + 1.5)
    assert [alert.kind for alert in life.ledger.state().alerts] == ["drift"]


def test_what_did_not_move_is_not_read_again(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    life.run(2)
    life.look()
    life.look()
    looks = []
    seen = ReleaseWatch.seen
    monkeypatch.setattr(ReleaseWatch, "seen", lambda *words, **how: looks.append(1) or seen(*words, **how))
    life.look()
    assert looks == []
    life.answer(1)
    life.look()
    assert looks == [1]
