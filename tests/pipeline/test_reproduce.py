import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from tidegate.errors import ConflictError, NotFoundError, TidegateError, UsageError
from tidegate.pipeline.job import QUIET, Options, Request
from tidegate.pipeline.reproduce import examine, reproduce
from tidegate.store.lock import hold

FORCE = Options(force=True)


def actions(steps):
    return {step.stage: step.action for step in steps}


def kinds(steps):
    return {step.stage: [reason.kind for reason in step.reasons] for step in steps}


def change(root, *, trees):
    (root / "params.yaml").write_text(f"train:\n  trees: {trees}\n")


def test_the_second_run_has_nothing_to_do(root):
    assert kinds(examine(root)) == {"prepare": ["new"], "train": ["new", "upstream"]}
    first = reproduce(root)
    assert first.ran == ("prepare", "train")
    assert actions(reproduce(root).steps) == {"prepare": "skipped", "train": "skipped"}


def test_only_what_changed_runs_and_what_was_seen_is_restored(root):
    reproduce(root)
    change(root, trees=40)
    assert actions(reproduce(root).steps) == {"prepare": "skipped", "train": "ran"}
    change(root, trees=10)
    assert actions(reproduce(root).steps) == {"prepare": "skipped", "train": "restored"}


def test_a_stage_whose_dep_comes_out_the_same_is_skipped(root):
    reproduce(root)
    text = (root / "dvc.yaml").read_text().replace("cp raw.txt", "cat raw.txt | cat >")
    (root / "dvc.yaml").write_text(text)
    assert kinds(examine(root)) == {"prepare": ["cmd"], "train": ["upstream"]}
    assert actions(reproduce(root).steps) == {"prepare": "ran", "train": "skipped"}


def test_a_target_and_force(root):
    assert actions(reproduce(root, Request(words=("prepare",))).steps) == {"prepare": "ran"}
    assert actions(reproduce(root, Request(words=("prepare",), options=FORCE)).steps) == {"prepare": "ran"}


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_lost_or_changed_out_comes_back_from_the_cache(root, damage):
    reproduce(root)
    shutil.rmtree(root / "model")
    if damage == "changed":
        (root / "model").mkdir()
        (root / "model" / "stranger").write_text("x")
    assert actions(reproduce(root).steps)["train"] == "restored"
    assert [path.name for path in (root / "model").iterdir()] == ["weights"]


def test_a_damaged_object_is_not_trusted(root):
    reproduce(root)
    objects = [path for path in (root / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    for path in objects:
        path.chmod(0o644)
        path.write_text("torn")
        path.chmod(0o444)
    (root / "clean.txt").unlink()
    assert actions(reproduce(root).steps)["prepare"] == "ran"
    assert (root / "clean.txt").read_text() == "one"


def test_a_failing_command_names_stage_code_and_log_and_keeps_what_finished(root):
    (root / "dvc.yaml").write_text(
        (root / "dvc.yaml").read_text().replace("mkdir model &&", "echo oh no; exit 7;")
    )
    with pytest.raises(TidegateError, match="stage `train`: command ended with exit code 7") as error:
        reproduce(root)
    assert error.value.hint == "see .tidegate/run/logs/train.log"
    assert "oh no" in (root / ".tidegate/run/logs/train.log").read_text()
    assert "prepare:" in (root / "dvc.lock").read_text()
    assert "train:" not in (root / "dvc.lock").read_text()
    assert actions(examine(root)) == {"prepare": "skipped", "train": "stale"}


def test_logs_go_to_the_experiments_when_there_are_any(root):
    (root / "experiments" / "logs").mkdir(parents=True)
    reproduce(root)
    assert "> cp raw.txt clean.txt" in (root / "experiments/logs/prepare.log").read_text()


def test_output_is_passed_on_and_steps_are_told(root):
    seen, heard = [], []
    told = QUIET._replace(
        step=lambda step: seen.append((step.stage, step.action)),
        output=lambda stage, data: heard.append(data),
    )
    reproduce(root, listener=told)
    assert seen == [("prepare", "running"), ("prepare", "ran"), ("train", "running"), ("train", "ran")]
    assert b"> cp raw.txt clean.txt\n" in heard


@pytest.mark.parametrize(
    ("path", "text", "error", "found"),
    [
        ("raw.txt", None, UsageError, r"dvc.yaml:4:12: dep `raw.txt` of stage `prepare` does not exist"),
        (
            "params.yaml",
            "train: {}\n",
            UsageError,
            r"param `train.trees` of stage `train` is not in params.yaml",
        ),
        ("params.yaml", "train: [\n", UsageError, r"params.yaml:2:1"),
        ("dvc.yaml", None, NotFoundError, r"dvc.yaml: no such file"),
    ],
)
def test_missing_files_and_params_are_named(root, path, text, error, found):
    (root / path).unlink()
    if text is not None:
        (root / path).write_text(text)
    with pytest.raises(error, match=found):
        reproduce(root)


def test_an_out_that_was_not_made_is_an_error_and_not_recorded(root):
    (root / "dvc.yaml").write_text("stages:\n  a:\n    cmd: 'true'\n    outs: [o]\n")
    with pytest.raises(NotFoundError, match="out `o` is not there"):
        reproduce(root)
    assert not (root / "dvc.lock").exists()


def test_old_outs_are_removed_first_unless_persistent(root):
    (root / "dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: echo x >> o; echo x >> p\n    outs:\n    - o\n    - p: {persist: true}\n"
    )
    for _ in range(2):
        reproduce(root, Request(options=FORCE))
    assert (root / "o").read_text() == "x\n"
    assert (root / "p").read_text() == "x\nx\n"


def test_frozen_stages_do_not_run(root):
    reproduce(root)
    (root / "dvc.yaml").write_text(
        (root / "dvc.yaml").read_text().replace("  train:", "  train:\n    frozen: true")
    )
    change(root, trees=99)
    assert actions(reproduce(root, Request(options=FORCE)).steps)["train"] == "skipped"


def test_a_stage_told_so_runs_every_time(root):
    (root / "dvc.yaml").write_text("stages:\n  a:\n    cmd: echo hi\n")
    assert [reproduce(root).steps[0].action for _ in range(2)] == ["ran", "ran"]


def test_cached_outs_are_ignored_in_git_and_others_are_not(root):
    (root / "dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: touch o m\n    outs: [o]\n    metrics: [m: {cache: false}]\n"
    )
    (root / ".gitignore").write_text("/x")
    for _ in range(2):
        reproduce(root, Request(options=FORCE))
    assert (root / ".gitignore").read_text() == "/x\n/o\n"


def test_one_run_at_a_time(root, monkeypatch):
    monkeypatch.setattr("tidegate.pipeline.reproduce.WAIT_S", 0.0)
    with hold(root / ".tidegate/run/repro.lock", what="other"), pytest.raises(ConflictError):
        reproduce(root)


PROGRAM = (
    "import sys; from pathlib import Path; from tidegate.flow.repro import repro; repro(Path(sys.argv[1]))"
)


def wait_for(path):
    for _ in range(1000):
        if path.exists():
            return
        threading.Event().wait(0.02)
    pytest.fail(f"{path.name} did not appear")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_cut_short_leaves_nothing_running_and_is_finished_by_the_next(root, number):
    from tidegate.flow.repro import repro
    from tidegate.store.ledger import open_ledger

    text = (root / "dvc.yaml").read_text()
    waiting = "echo $$ > pid && mv pid going; test -e go || exec sleep 60; mkdir model &&"
    (root / "dvc.yaml").write_text(text.replace("mkdir model &&", waiting))
    first = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(root / "going")
    first.send_signal(number)
    assert first.wait(30) != 0
    (root / "go").touch()
    assert actions(repro(root).steps) == {"prepare": "skipped", "train": "ran"}
    with pytest.raises(ProcessLookupError):
        os.killpg(int((root / "going").read_text()), 0)
    with open_ledger(root / ".tidegate" / "ledger.db") as ledger:
        (event,) = ledger.events(kinds=("run.finished",))
    assert event.body["stages"] == ["prepare", "train"]
