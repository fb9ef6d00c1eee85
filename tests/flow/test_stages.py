from pathlib import Path

import pytest

from tidegate.errors import ConflictError, NotFoundError, UsageError
from tidegate.flow.stages import Listing, add, freeze, list_stages, summary
from tidegate.flow.track import Adding
from tidegate.flow.track import add as track
from tidegate.pipeline.edit import NewOut, NewStage
from tidegate.pipeline.reproduce import reproduce, states

GROUP = "stages:\n  make:\n    foreach: [a, b]\n    do:\n      cmd: echo ${item}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository outside of git with one file."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    (tmp_path / "in.txt").write_text("1")
    return tmp_path


def test_a_new_stage_runs(root: Path):
    done = add(root, NewStage("copy", "cp in.txt out.txt", deps=("in.txt",), outs=(NewOut("out.txt"),)))
    assert done.keys == ("copy",)
    assert done.to_git == ()
    reproduce(root)
    assert states(root) == {}


def test_a_stage_that_does_not_fit_is_not_written(root: Path):
    add(root, NewStage("copy", "cp in.txt out.txt", deps=("in.txt",), outs=(NewOut("out.txt"),)))
    before = (root / "dvc.yaml").read_text()
    with pytest.raises(UsageError, match="circle"):
        add(root, NewStage("back", "touch in.txt", deps=("out.txt",), outs=(NewOut("in.txt"),)))
    with pytest.raises(NotFoundError, match="nowhere"):
        add(root, NewStage("far", "ls", wdir="nowhere"))
    with pytest.raises(UsageError, match="not inside"):
        add(root, NewStage("far", "ls", wdir=".."))
    assert (root / "dvc.yaml").read_text() == before


def test_a_new_file_is_judged_together_with_the_others(root: Path):
    (root / "sub").mkdir()
    add(root, NewStage("copy", "cp in.txt out.txt", outs=(NewOut("out.txt"),)))
    with pytest.raises(UsageError, match=r"also an out of stage"):
        add(root, NewStage("copy", "ls", outs=(NewOut("../out.txt"),)), "sub")
    assert not (root / "sub/dvc.yaml").exists()


def test_a_group_is_frozen_as_a_whole(root: Path):
    (root / "dvc.yaml").write_text(GROUP)
    with pytest.raises(UsageError, match="one of 2"):
        freeze(root, ["make@a"], frozen=True)
    assert freeze(root, ["make"], frozen=True).keys == ("make@a", "make@b")
    assert "frozen: true" in (root / "dvc.yaml").read_text()
    freeze(root, ["make"], frozen=False)
    assert (root / "dvc.yaml").read_text() == GROUP


def test_data_are_frozen_in_their_file(root: Path):
    track(root, Adding(("in.txt",)))
    before = (root / "in.txt.dvc").read_text()
    freeze(root, ["in.txt.dvc"], frozen=True)
    assert "frozen: true" in (root / "in.txt.dvc").read_text()
    freeze(root, ["in.txt.dvc"], frozen=False)
    assert (root / "in.txt.dvc").read_text() == before


def test_a_stage_that_exists_is_replaced_only_by_force(root: Path):
    add(root, NewStage("one", "ls"))
    with pytest.raises(ConflictError, match="exists already"):
        add(root, NewStage("one", "pwd"))
    add(root, NewStage("one", "pwd"), force=True)
    assert list_stages(root, Listing())[0].cmd == "pwd"


def test_a_word_that_names_nothing_is_an_error(root: Path):
    add(root, NewStage("one", "ls"))
    with pytest.raises(NotFoundError, match="two"):
        list_stages(root, Listing(("one", "two")))
    with pytest.raises(NotFoundError):
        list_stages(root, Listing(here="sub"))


def test_a_summary_is_cut_at_80_letters(root: Path):
    add(root, NewStage("one", "ls", desc="x" * 81))
    (stage,) = list_stages(root, Listing())
    assert summary(stage) == "x" * 79 + "…"
    assert summary(stage._replace(desc="\n  two \nthree")) == "two"
    assert summary(stage._replace(desc="")) == "No outputs or dependencies"
