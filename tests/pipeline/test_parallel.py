"""Stages side by side: what may run at once does, and an interrupt or a failure leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tidegate.errors import TidegateError, UsageError
from tidegate.pipeline.job import QUIET, Request
from tidegate.pipeline.reproduce import reproduce

# two stages that each wait for the other to have begun: they end only when they run at once
MEETING = """\
stages:
  one:
    cmd: mkfifo a 2>/dev/null; touch one.begun; while ! test -e two.begun; do read -t 0.05 < /dev/null; done; touch o1
    outs: [o1]
  two:
    cmd: touch two.begun; while ! test -e one.begun; do read -t 0.05 < /dev/null; done; touch o2
    outs: [o2]
  both:
    cmd: cat o1 o2 > o3
    deps: [o1, o2]
    outs: [o3]
"""


@pytest.fixture(autouse=True)
def shell(monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/bash")


def test_independent_stages_run_at_once_and_dependent_ones_after(root):
    (root / "dvc.yaml").write_text(MEETING)
    steps = reproduce(root, Request(jobs=2)).steps
    assert {step.stage: step.action for step in steps} == dict.fromkeys(("one", "two", "both"), "ran")
    assert steps[-1].stage == "both"
    assert {step.action for step in reproduce(root, Request(jobs=2)).steps} == {"skipped"}


def test_output_says_whose_it_is(root):
    (root / "dvc.yaml").write_text("stages:\n  a: {cmd: echo from a}\n  b: {cmd: echo from b}\n")
    heard = {}
    listener = QUIET._replace(output=lambda stage, data: heard.update({stage: heard.get(stage, b"") + data}))
    reproduce(root, Request(jobs=2), listener=listener)
    assert heard == {"a": b"> echo from a\nfrom a\n", "b": b"> echo from b\nfrom b\n"}


FAILING = """\
stages:
  bad: {cmd: exit 3, outs: [b]}
  after: {cmd: cp b c, deps: [b], outs: [c]}
  good: {cmd: touch g, outs: [g]}
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_stops_the_run(root, jobs):
    (root / "dvc.yaml").write_text(FAILING)
    with pytest.raises(TidegateError, match="stage `bad`: command ended with exit code 3"):
        reproduce(root, Request(jobs=jobs))
    assert not (root / "c").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_keep_going_runs_what_does_not_need_the_failed_stage(root, jobs):
    (root / "dvc.yaml").write_text(FAILING)
    outcome = reproduce(root, Request(jobs=jobs, on_error="keep_going"))
    assert {step.stage: step.action for step in outcome.steps} == {"bad": "failed", "good": "ran"}
    assert [step.stage for step in outcome.failed] == ["bad"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_ignoring_errors_tries_everything(root, jobs):
    (root / "dvc.yaml").write_text(FAILING)
    outcome = reproduce(root, Request(jobs=jobs, on_error="ignore"))
    assert {step.stage: step.action for step in outcome.steps} == {
        "bad": "failed",
        "after": "failed",
        "good": "ran",
    }


def test_a_stage_that_asks_for_more_than_there_is_is_refused_before_anything_runs(root):
    (root / "dvc.yaml").write_text(
        "stages:\n  a: {cmd: touch o, outs: [o]}\n  b: {cmd: x, outs: [p], meta: {tidegate: {cpus: 9999}}}\n"
    )
    with pytest.raises(UsageError, match="asks for 9,999 cpus"):
        reproduce(root, Request(jobs=2))
    assert not (root / "o").exists()


def test_a_stage_is_given_its_gpus(root, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    (root / "dvc.yaml").write_text(
        "stages:\n  a: {cmd: echo $CUDA_VISIBLE_DEVICES > o, outs: [o], meta: {tidegate: {gpus: 1}}}\n"
    )
    reproduce(root, Request(jobs=2))
    assert (root / "o").read_text() == "7\n"


PROGRAM = """
import sys
from pathlib import Path
from tidegate.pipeline.job import Request
from tidegate.pipeline.reproduce import reproduce
reproduce(Path(sys.argv[1]), Request(jobs=2))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_stage_at_work(root, number):
    waiting = "echo $$ > {0}.pid; mv {0}.pid {0}.going; exec sleep 60"
    (root / "dvc.yaml").write_text(
        "stages:\n" + "".join(f"  {n}: {{cmd: '{waiting.format(n)}', outs: [{n}]}}\n" for n in ("a", "b"))
    )
    run = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)], stderr=subprocess.DEVNULL)
    for name in ("a", "b"):
        for _ in range(1000):
            if (root / f"{name}.going").exists():
                break
            threading.Event().wait(0.02)
        else:
            pytest.fail(f"{name} did not start")
    run.send_signal(number)
    assert run.wait(30) != 0
    assert all(is_gone(int((root / f"{name}.going").read_text())) for name in ("a", "b"))


def is_gone(process):
    for _ in range(500):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        threading.Event().wait(0.02)
    return False
