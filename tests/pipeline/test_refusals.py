import subprocess

import pytest

from tidegate.errors import ConflictError, UsageError
from tidegate.pipeline.reproduce import examine, reproduce


@pytest.mark.parametrize(
    ("stage", "files", "found"),
    [
        ("{cmd: touch o, wdir: no, outs: [o]}", {}, r"stage `a`: wdir `no` is not a directory"),
        ("{cmd: touch o.tmp, outs: [o.tmp]}", {".dvcignore": "*.tmp"}, r"dvc\.yaml:2:\d+: out `o\.tmp` is hidden"),
        ("{cmd: touch .dvc/o, outs: [.dvc/o]}", {}, "is hidden"),
        ("{cmd: touch o, params: [d], outs: [o]}", {"params.yaml": "d: [2024-01-02]"}, "holds a date or time"),
    ],
)  # fmt: skip
def test_a_stage_that_dvc_would_refuse_does_not_run(root, stage, files, found):
    for name, text in {"dvc.yaml": f"stages:\n  a: {stage}\n", **files}.items():
        (root / name).write_text(text)
    with pytest.raises(UsageError, match=found):
        reproduce(root)
    assert not (root / "dvc.lock").exists()
    assert not list(root.rglob("o*.tmp"))


def test_what_git_tracks_is_neither_moved_nor_cached(root):
    (root / "clean.txt").write_text("kept in git")
    subprocess.run(["git", "-C", str(root), "add", "clean.txt"], check=True)
    with pytest.raises(ConflictError, match=r"clean\.txt: is tracked by git already"):
        reproduce(root)
    assert (root / "clean.txt").read_text() == "kept in git"


@pytest.mark.parametrize("stage", ["deps: [d], outs: [d/o]", "deps: [d/o], outs: [d]"])
def test_a_stage_cannot_read_around_or_inside_what_it_writes(root, stage):
    (root / "dvc.yaml").write_text(f"stages:\n  a: {{cmd: touch d/o, {stage}}}\n")
    with pytest.raises(UsageError, match=r"dvc\.yaml:2:\d+: stage `a` reads `d(/o)?` and writes there"):
        examine(root)
