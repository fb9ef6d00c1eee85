"""The note of a clean look: it answers only as long as nothing that the look depended on has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.data.hash import Hashed
from tidegate.pipeline import clean
from tidegate.pipeline.job import Request
from tidegate.pipeline.quick import clean_stages, note_path
from tidegate.pipeline.reproduce import look_over, reproduce, states


@pytest.fixture
def fresh(root, monkeypatch):
    """A project that was found clean, with a note that says so although its files are new."""
    monkeypatch.setattr(clean, "_GRAIN_NS", -(10**12))
    (root / "rest").mkdir()
    (root / "rest" / "notes.txt").write_text("words")
    reproduce(root)
    assert not any(step.reasons for step in look_over(root))
    return root


def test_a_clean_project_is_answered_from_the_note(fresh):
    assert clean_stages(str(fresh), whole=True) == ["prepare", "train"]
    assert clean_stages(str(fresh), whole=False) == ["prepare", "train"]


def change_content_but_not_times(root):
    path = root / "raw.txt"
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "a dep": lambda root: (root / "raw.txt").write_text("two"),
    "a dep whose size and mtime are as before": change_content_but_not_times,
    "a param": lambda root: (root / "params.yaml").write_text("train:\n  trees: 11\n"),
    "dvc.yaml": lambda root: (root / "dvc.yaml").write_text("stages: {}\n"),
    "dvc.lock": lambda root: (root / "dvc.lock").unlink(),
    "an out": lambda root: (root / "clean.txt").unlink(),
    "a file in an out": lambda root: (root / "model" / "more").write_text("x"),
    "an object in the cache": lambda root: shutil.rmtree(next((root / ".dvc/cache/files/md5").iterdir())),
    "DVC's config": lambda root: (root / ".dvc" / "config.local").write_text("[cache]\n    dir = /nowhere\n"),
    "a new .dvc file": lambda root: (root / "rest" / "a.dvc").write_text("outs:\n- path: a\n"),
    "a new dvc.yaml": lambda root: (root / "rest" / "dvc.yaml").write_text("stages: {}\n"),
    "a .gitignore": lambda root: (root / ".gitignore").write_text("/rest\n"),
    "a run to record": lambda root: (root / ".tidegate/run/repro.json").write_text("{}"),
    "a torn note": lambda root: os.truncate(note_path(str(root), str(root)), 60),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_any_change_the_note_is_silent(fresh, change):
    change(fresh)
    assert clean_stages(str(fresh), whole=True) is None


def test_files_that_changed_just_now_prove_nothing(root):
    reproduce(root)
    assert not any(step.reasons for step in look_over(root))
    assert clean_stages(str(root), whole=True) is None


def test_a_note_about_part_of_the_repository_does_not_speak_for_the_whole(fresh):
    (fresh / "rest" / "dvc.yaml").write_text("stages:\n  late:\n    cmd: touch o\n    outs: [o]\n")
    reproduce(fresh)
    assert clean_stages(str(fresh), whole=False) == ["prepare", "train"]
    assert clean_stages(str(fresh), whole=True) is None
    assert [step.stage for step in look_over(fresh) if step.reasons] == ["rest/dvc.yaml:late"]
    for _ in range(2):
        reproduce(fresh, Request(here="rest"))
    assert clean_stages(str(fresh / "rest"), whole=False) == ["late"]


def test_the_json_look_leaves_a_note_too(fresh):
    Path(note_path(str(fresh), str(fresh))).unlink()
    assert states(fresh) == {}
    assert clean_stages(str(fresh), whole=True) == ["prepare", "train"]


def test_what_lies_elsewhere_may_change_at_any_time(fresh, monkeypatch):
    far = "  far:\n    cmd: x\n    deps: ['s3://bucket/key']\n"
    frozen = (fresh / "dvc.yaml").read_text() + far + "    frozen: true\n"
    (fresh / "dvc.yaml").write_text(frozen)
    with (fresh / "dvc.lock").open("a") as lock:
        lock.write(
            "  far:\n    cmd: x\n    deps:\n    - path: s3://bucket/key\n      etag: a\n      size: 1\n"
        )
    assert not any(step.reasons for step in look_over(fresh))
    assert clean_stages(str(fresh), whole=True) == ["prepare", "train", "far"]
    monkeypatch.setattr(
        "tidegate.pipeline.project._hash_url", lambda project, url: Hashed("a", 1, kind="etag")
    )
    (fresh / "dvc.yaml").write_text(frozen.replace("    frozen: true\n", ""))
    assert not any(step.reasons for step in look_over(fresh))
    assert clean_stages(str(fresh), whole=True) is None


def test_outside_of_a_project_nothing_is_known(tmp_path):
    assert clean_stages(str(tmp_path), whole=True) is None


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["status"], "all 2 stages are up to date\n"),
        (["status", "--json"], "{}\n"),
        (["status", "-q"], ""),
        (
            ["repro"],
            "prepare          skipped: nothing changed\ntrain            skipped: nothing changed\n"
            "everything is up to date\n",
        ),
    ],
)
def test_the_quick_answer_reads_like_the_long_one_and_imports_nothing(fresh, words, printed):
    program = (
        "import sys; from tidegate.cli.start import answer; assert answer(sys.argv[1:]);"
        "sys.stderr.write(str(list(sys.modules)))"
    )
    quick = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=fresh, capture_output=True, text=True, check=True
    )
    assert quick.stdout == printed
    assert not {"click", "json", "pathlib.Path", "tidegate.pipeline.project"} & set(eval(quick.stderr))
    assert _printed(fresh, words) == printed
    Path(note_path(str(fresh), str(fresh))).unlink()
    assert _printed(fresh, words) == printed


def test_nobody_reading_the_quick_answer_is_no_fault(fresh):
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-c", "from tidegate.cli.start import main; main()", "status"]
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(program, cwd=fresh, stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def _printed(fresh: Path, words: list[str]) -> str:
    program = [sys.executable, "-c", "from tidegate.cli.start import main; main()", *words]
    return subprocess.run(program, cwd=fresh, capture_output=True, text=True, check=True).stdout
