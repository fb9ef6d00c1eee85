"""kill -9 at any moment: the same command finishes, and nothing that was written is broken."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Run = Callable[..., object]

pytestmark = pytest.mark.slow


def _delays(words: tuple[str, ...], seconds: float, count: int) -> list[float]:
    """Moments spread at random over the command's measured duration, the same ones on every run."""
    draw = random.Random(" ".join(words))
    return [draw.uniform(0, seconds * 1.1) for _ in range(count)]


def _events(root: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(root / ".tidegate/ledger.db") as ledger:
        return list(ledger.execute("select kind, subject from event order by seq"))


def _kill_and_finish(server, tidegate, copies: list[Path], words: tuple[str, ...], seconds: float) -> int:
    """Kill the command in every copy, then let it finish; returns how many kills came before its end."""
    killed = 0
    for copy, delay in zip(copies, _delays(words, seconds, len(copies)), strict=True):
        killed += server.run(copy, words, kill_after=delay).code != 0
        tidegate(copy, *words)
        tidegate(copy, "audit", "verify")
    return killed


def _released(root: Path, tidegate: Run) -> Path:
    for words in (("repro",), ("gate",), ("plan",), ("apply",)):
        tidegate(root, *words)
    return root


def _second_plan(root: Path, tidegate: Run, candidate: Run) -> Path:
    _released(root, tidegate)
    candidate(root, slope=2.0, wrong=10)
    for words in (("repro",), ("gate",), ("plan",)):
        tidegate(root, *words)
    return root


def test_repro_finishes_after_being_killed(server, tidegate, project, fresh_copy) -> None:
    sample = fresh_copy(project, 999)
    took = tidegate(sample, "repro").seconds
    whole = (sample / "dvc.lock").read_bytes()

    copies = [fresh_copy(project, number) for number in range(40)]
    killed = _kill_and_finish(server, tidegate, copies, ("repro",), took)

    assert killed >= 10
    for copy in copies:
        assert (copy / "dvc.lock").read_bytes() == whole
        tidegate(copy, "status")


def test_a_killed_repro_leaves_a_lock_that_parses_with_only_finished_stages(
    server, tidegate, project, fresh_copy
) -> None:
    took = tidegate(fresh_copy(project, 999), "repro").seconds
    for number, delay in enumerate(_delays(("lock",), took, 10)):
        copy = fresh_copy(project, number)
        server.run(copy, ("repro",), kill_after=delay)
        lock = copy / "dvc.lock"
        stages = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
        outs = [out["path"] for stage in stages.values() for out in stage["outs"]]
        assert [out for out in outs if not (copy / out).exists()] == []


def test_plan_finishes_after_being_killed_and_its_bundle_verifies(
    server, tidegate, project, fresh_copy
) -> None:
    for words in (("repro",), ("gate",)):
        tidegate(project, *words)
    took = tidegate(fresh_copy(project, 999), "plan").seconds

    copies = [fresh_copy(project, number) for number in range(15)]
    _kill_and_finish(server, tidegate, copies, ("plan",), took)

    for copy in copies:
        bundles = sorted(path.name for path in (copy / ".tidegate/bundles").iterdir() if path.name[0] != ".")
        assert len(bundles) == 1
        tidegate(copy, "bundle", "verify", bundles[0])


@pytest.mark.parametrize("which", ["first", "second"])
def test_apply_finishes_after_being_killed_and_releases_once(
    server, tidegate, candidate, project, fresh_copy, which: str
) -> None:
    if which == "first":
        for words in (("repro",), ("gate",), ("plan",)):
            tidegate(project, *words)
    else:
        _second_plan(project, tidegate, candidate)
    sample = fresh_copy(project, 999)
    took = tidegate(sample, "apply").seconds

    copies = [fresh_copy(project, number) for number in range(10)]
    _kill_and_finish(server, tidegate, copies, ("apply",), took)

    assert [_events(copy) == _events(sample) for copy in copies] == [True] * len(copies)


def test_rollback_finishes_after_being_killed_and_flips_once(
    server, tidegate, candidate, project, fresh_copy
) -> None:
    _second_plan(project, tidegate, candidate)
    tidegate(project, "apply")
    tidegate(project, "rollout", "promote")
    sample = fresh_copy(project, 999)
    took = tidegate(sample, "rollback", "--to", "1").seconds

    copies = [fresh_copy(project, number) for number in range(15)]
    _kill_and_finish(server, tidegate, copies, ("rollback", "--to", "1"), took)

    assert [_events(copy) == _events(sample) for copy in copies] == [True] * len(copies)
