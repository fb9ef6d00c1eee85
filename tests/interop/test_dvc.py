import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.pipeline.reproduce import examine, reproduce

Make = Callable[[str], Path]
Dvc = Callable[..., str]


def actions(steps):
    return {step.stage: step.action for step in steps}


def objects(root: Path) -> dict[str, bytes]:
    cache = root / ".dvc" / "cache"
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


def test_dvc_finds_nothing_to_do_after_tidegate(make_project: Make, dvc: Dvc):
    root = make_project("ours")
    assert actions(reproduce(root).steps) == {"prepare": "ran", "train": "ran", "report": "ran"}
    assert json.loads(dvc(root, "status", "--json")) == {}
    before = (root / "dvc.lock").read_bytes()
    dvc(root, "repro")
    assert (root / "dvc.lock").read_bytes() == before


def test_tidegate_finds_nothing_to_do_after_dvc(make_project: Make, dvc: Dvc):
    root = make_project("theirs")
    dvc(root, "repro")
    before = (root / "dvc.lock").read_bytes()
    assert {step.action for step in examine(root)} == {"skipped"}
    assert {step.action for step in reproduce(root).steps} == {"skipped"}
    assert (root / "dvc.lock").read_bytes() == before


def test_lock_cache_run_cache_and_gitignore_are_equal_byte_for_byte(make_project: Make, dvc: Dvc):
    ours, theirs = make_project("ours"), make_project("theirs")
    reproduce(ours)
    dvc(theirs, "repro")
    for name in ("dvc.lock", ".gitignore", "data/.gitignore", "reports/.gitignore"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    assert objects(ours) == objects(theirs)


def test_the_lock_stays_equal_when_one_stage_changes(make_project: Make, dvc: Dvc):
    ours, theirs = make_project("ours"), make_project("theirs")
    for root in (ours, theirs):
        dvc(root, "repro")
        pipeline = (root / "dvc.yaml").read_text()
        long = "cat data/clean/words.txt > model.bin && " + " && ".join(["echo a rather long command"] * 5)
        (root / "dvc.yaml").write_text(pipeline.replace("cat data/clean/words.txt > model.bin", long))
    assert actions(reproduce(ours).steps) == {"prepare": "skipped", "train": "ran", "report": "skipped"}
    dvc(theirs, "repro")
    assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    assert json.loads(dvc(ours, "status", "--json")) == {}


def test_each_restores_what_the_other_ran(make_project: Make, dvc: Dvc):
    root = make_project("shared")
    reproduce(root)
    (root / "dvc.lock").unlink()
    shutil.rmtree(root / "data" / "clean")
    assert "cached - skipping run" in dvc(root, "repro")
    (root / "dvc.lock").unlink()
    (root / "model.bin").unlink()
    assert set(actions(reproduce(root).steps).values()) == {"restored"}
    assert json.loads(dvc(root, "status", "--json")) == {}


@pytest.mark.parametrize(
    ("path", "text", "stale"),
    [
        ("prepare.txt", "v2", {"prepare"}),
        ("raw/more/n.txt", "other", {"prepare"}),
        ("raw/skip.tmp", "other", set()),
        ("params.yaml", "lr: 0.001\ntrain:\n  trees: 40\n  sizes: [1]\n", {"train"}),
        ("settings.toml", "depth = 4\n", {"train"}),
        ("model.bin", "changed by hand", {"train"}),
    ],
)
def test_both_see_the_same_changes(make_project: Make, dvc: Dvc, path, text, stale):
    root = make_project("seen")
    reproduce(root)
    (root / path).write_text(text)
    assert set(json.loads(dvc(root, "status", "--json"))) == stale
    own = {s.stage for s in examine(root) if any(reason.kind != "upstream" for reason in s.reasons)}
    assert own == stale


def test_a_run_without_commit_leaves_objects_to_save_but_nothing_to_run(make_project: Make, dvc: Dvc):
    root = make_project("uncommitted")
    dvc(root, "repro", "--no-commit")
    steps = reproduce(root).steps
    assert "ran" not in actions(steps).values()
    assert json.loads(dvc(root, "status", "--json")) == {}
