"""Where a candidate comes from: as git, locks and ledger say, never as the clock says."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.provenance import gather_provenance, provenance_of, public_url
from tidegate.flow.release import Plan
from tidegate.flow.repro import repro, storable
from tidegate.project import load_config
from tidegate.registry.provenance import PROVENANCE, Provenance
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

STAGES = """stages:
  train:
    cmd: mkdir -p model && cp raw.txt model/model.onnx
    deps: [raw.txt]
    params: [lr]
    outs: [model]
  report:
    cmd: cp more.txt report.txt
    deps: [more.txt]
    outs: [report.txt]
"""
SETTINGS = '[project]\nname = "tiny"\n\n[model]\npath = "model/model.onnx"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of two stages that have run, the second after a change once more."""
    for name, text in {
        "tidegate.toml": SETTINGS,
        "dvc.yaml": STAGES,
        "params.yaml": "lr: 0.1\n",
        "raw.txt": "weights\n",
        "more.txt": "one\n",
        ".gitignore": ".tidegate\n/model\n/report.txt\n",
    }.items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    repro(tmp_path)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True)


def gathered(root: Path) -> Provenance:
    return gather_provenance(load_config(root), Layout(root))


def runs(root: Path) -> list[str]:
    with open_ledger(Layout(root).ledger) as ledger:
        return [event.subject for event in ledger.events(kinds=("run.finished",))]


def test_a_candidate_is_told_by_commit_commands_params_hashes_and_run(root: Path) -> None:
    git(root, "remote", "add", "origin", "https://me:secret@example.com/team/tiny.git")
    found = gathered(root)
    assert len(found.commit) == 40
    assert not found.uncommitted_changes
    assert found.source == "git+https://example.com/team/tiny.git"
    assert found.params == {"params.yaml:lr": 0.1}
    assert found.commands["report"] == "cp more.txt report.txt"
    assert found.deps.keys() == {"raw.txt", "more.txt"}
    assert found.outs["model"].endswith(".dir")
    assert found.run
    assert [found.run.id] == runs(root)
    assert found.run.started <= found.run.ended
    assert found.run.started.endswith("Z")


def test_the_same_candidate_is_told_the_same_at_any_time(root: Path) -> None:
    assert gathered(root) == gathered(root)


def test_the_same_candidate_is_the_same_bundle_whenever_and_wherever_it_is_packed(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its verdict is recorded once, and is part of it."""
    judge(project)
    copy = Path(shutil.copytree(project, tmp_path_factory.mktemp("elsewhere") / "copy"))
    first, again, elsewhere = plan(project), plan(project), plan(copy)
    assert isinstance(first, Plan)
    assert isinstance(again, Plan)
    assert isinstance(elsewhere, Plan)
    assert first.bundle == again.bundle == elsewhere.bundle
    # the copy was made before there was a key
    keys = [next((Layout(root).keys / "trusted").iterdir()).name for root in (project, copy)]
    assert keys[0] != keys[1]


def test_the_run_is_the_newest_that_left_the_model_as_it_is(root: Path) -> None:
    first = gathered(root).run
    (root / "more.txt").write_text("two\n")
    repro(root)
    second = gathered(root).run
    assert first
    assert second
    assert [first.id, second.id] == runs(root)


def test_a_model_that_no_run_made_has_none(root: Path) -> None:
    lock = root / "dvc.lock"
    text = lock.read_text()
    (path,) = [line for line in text.splitlines() if line.strip().endswith(".dir")]
    lock.write_text(text.replace(path.split()[-1], f"{'0' * 32}.dir"))
    found = gathered(root)
    assert found.run is None
    assert found.uncommitted_changes
    (root / "tidegate.toml").write_text('[project]\nname = "tiny"\n\n[model]\npath = "elsewhere.onnx"\n')
    assert gathered(root).run is None


def test_a_bundle_of_either_form_tells_where_it_comes_from(tmp_path: Path) -> None:
    folder = Layout(tmp_path).bundles / ("ab" * 32)
    folder.mkdir(parents=True)
    old = '{"commit":"abc","deps":{},"outs":{},"params":{"p:x":1},"uncommitted_changes":false}'
    (folder / PROVENANCE).write_text(old)
    assert provenance_of(Layout(tmp_path), folder.name).params == {"p:x": 1}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://github.com/a/b.git", "git+https://github.com/a/b.git"),
        ("https://user:token@host.org:8443/a/b?private_token=x#y", "git+https://host.org:8443/a/b"),
        ("https://token@host.org/a", "git+https://host.org/a"),
        ("https://us@er:to@ken@host.org/a", "git+https://host.org/a"),
        ("ssh://git@host.org:22/a/b.git", "git+ssh://host.org:22/a/b.git"),
        ("git@host.org:a/b.git", "git+ssh://host.org/a/b.git"),
        ("host.org:a/b.git", "git+ssh://host.org/a/b.git"),
        ("git://host.org/a", "git+git://host.org/a"),
        ("/srv/secret-project", ""),
        ("../other", ""),
        ("./a:b", ""),
        ("file:///srv/x", ""),
        ("https://", ""),
        ("https://[broken", ""),
        ("", ""),
    ],
)
def test_the_repository_is_named_without_what_is_nobodys_business(url: str, shown: str) -> None:
    assert public_url(url) == shown


def test_params_are_kept_as_json_can_hold_them() -> None:
    assert storable({1: [float("inf"), 0.5], "x": {"y": float("nan")}}) == {
        "1": ["inf", 0.5],
        "x": {"y": "nan"},
    }
