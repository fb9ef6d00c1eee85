"""`tidegate budget` as a person sees it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tidegate.domain import Decision, Verdict
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose test set was asked twice."""
    root = tmp_path / "one"
    root.mkdir()
    (root / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    ask(root, "a", "block", 0.05 / 64)
    ask(root, "b", "pass", 0.05 / 64)
    return root


def ask(root: Path, candidate: str, verdict: Verdict, error: float, at: float = 1_700_000_000.0) -> None:
    """Write a verdict down as the gate does."""
    decision = Decision(candidate, None, "t" * 64, "r", "", (), verdict, error, 1, at, n=2000)
    with open_ledger(Layout(root).ledger) as ledger:
        ledger.append("gate.decided", candidate, msgspec.to_builtins(decision), at=at)


def test_the_budget_in_words_and_in_json(root: Path, run: Callable) -> None:
    said = run(root, "budget").out
    assert "test set tttttttttttt, 2,000 rows" in said
    assert "2 of 32 submissions, 1 passed, last 2023-11-14 22:13:20Z" in said
    assert "the next submission is tested at error 2.52e-05 and leaves" in said
    assert "19,753 labels for not_worse accuracy (10% of answers change, equally good)" in said
    found = run(root, "budget", "--json").json
    (one,) = found["test_sets"]
    assert (one["submissions"], one["allowed"], one["passes"]) == (2, 32, 1)
    assert one["next_error"] == pytest.approx(2.52016e-5, rel=1e-5)
    assert one["error_spent"] + one["error_left"] == pytest.approx(0.05)
    assert set(found) == {"test_sets", "conflicts", "fresh"}


def test_nothing_asked_yet(tmp_path: Path, run: Callable) -> None:
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    assert "no test set was asked yet" in run(tmp_path, "budget").out


def test_verdicts_travel_as_a_file_and_conflicts_are_named(root: Path, tmp_path: Path, run: Callable) -> None:
    file, other = str(tmp_path / "budget.jsonl"), tmp_path / "two"
    other.mkdir()
    (other / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    ask(other, "b", "block", 1e-5)
    assert "2 verdicts in" in run(root, "budget", "export", file).out
    said = run(other, "budget", "merge", file).out
    assert said.startswith("2 new verdicts, 0 known already")
    assert "candidate b on test set tttttttttttt was given block and pass by different machines" in said
    assert run(other, "budget", "merge", file, "--json").json["new"] == 0
    assert "`block`, the strictest test's, stands" in run(other, "budget").out
    run(other, "audit", "verify")
    Path(file).write_text(Path(file).read_text().replace('"block"', '"pass"'))
    assert "differs from its hash" in run(other, "budget", "merge", file, expect=6).err
    assert "no such file" in run(other, "budget", "merge", "none.jsonl", expect=1).err


def test_verdicts_travel_through_the_git_remote(root: Path, tmp_path: Path, run: Callable) -> None:
    server = str(tmp_path / "server.git")
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    subprocess.run(["git", "-C", str(root), "init", "--quiet"], check=True)
    subprocess.run(["git", "-C", str(root), "remote", "add", "origin", server], check=True)
    assert "2 verdicts sent, origin keeps 2" in run(root, "budget", "push").out
    assert run(root, "budget", "push", "--json").json["sent"] == 0
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", server, str(clone)], check=True, capture_output=True)
    (clone / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    assert run(clone, "budget", "pull").out == "2 new verdicts, 0 known already\n"
    assert run(clone, "budget", "pull", server, "--json").json == {"new": 0, "known": 2, "conflicts": []}
    assert "git ls-remote nowhere" in run(clone, "budget", "pull", "nowhere", expect=1).err


def test_jobs_that_share_a_remote_stand_in_one_line(built: Path, tmp_path: Path, run: Callable) -> None:
    server, roots = str(tmp_path / "server.git"), [tmp_path / "ci-1", tmp_path / "ci-2"]
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    for root in roots:
        shutil.copytree(built, root, symlinks=True)
        shutil.rmtree(root / ".tidegate", ignore_errors=True)
    first, again = (run(root, "gate", "--share", server, "--json").json for root in roots)
    assert again == first
    (one,) = run(roots[1], "budget", "--json").json["test_sets"]
    assert (one["is_current"], one["submissions"], one["passes"]) == (True, 1, 1)
    assert run(roots[1], "gate", "--json").json == first, "what was merged answers alone, too"
    run(roots[1], "plan")
    run(roots[1], "apply")
    assert "1 verdict from" in run(roots[1], "audit", "log").out
    run(roots[1], "audit", "verify")
