"""`tidegate report` on the command line, and the report that `tidegate gate` writes."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.cli import gate, report
from tidegate.errors import UsageError
from tidegate.flow import comment
from tidegate.store.layout import Layout

SETTINGS = """[project]
name = "tiny"
[[gate.rule]]
kind = "min"
value = 0.5
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of 400 evaluation rows, 380 of them right, that was never asked about."""
    (tmp_path / "tidegate.toml").write_text(SETTINGS)
    path = tmp_path / "experiments/metrics/evaluation.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        rows = [(n, n % 2, (n + (n < 20)) % 2) for n in range(400)]
        csv.writer(file).writerows([("id", "truth", "prediction"), *rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(report.command, words, catch_exceptions=False, standalone_mode=False)


def judge(*words: str) -> Result:
    return CliRunner().invoke(gate.command, words, catch_exceptions=False, standalone_mode=False)


def test_markdown_is_printed_and_its_first_line_answers(root: Path) -> None:
    assert run().output.splitlines()[0].startswith("### ⏸ tiny: cannot tell")
    judge()
    done = run()
    assert done.output.splitlines()[0].startswith("### ✅ tiny: you may merge")
    assert not done.return_value


def test_a_blocked_candidate_is_told_with_exit_code_0(root: Path) -> None:
    path = root / "tidegate.toml"
    path.write_text(path.read_text().replace("0.5", "0.99"))
    assert judge().return_value == 3
    done = run()
    assert done.output.startswith("### ❌ tiny: do not merge")
    assert not done.return_value


@pytest.mark.parametrize("words", [("--json",), ("--format", "json")])
def test_programs_get_the_record(root: Path, words: tuple[str, ...]) -> None:
    judge()
    found = json.loads(run(*words).output)
    assert (found["name"], found["decision"]["verdict"]) == ("tiny", "pass")
    assert found["candidate"]["metrics"]["accuracy"]["value"] == 0.95


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (("--format", "junit"), "<?xml"),
        (("--format", "sarif"), "{"),
        (("--format", "html"), "<!doctype html>"),
        (("--format", "md"), "### "),
    ],
)
def test_the_form_is_chosen(root: Path, words: tuple[str, ...], start: str) -> None:
    assert run(*words).output.lower().startswith(start)


def test_a_file_gets_the_form_of_its_suffix_unless_told(root: Path) -> None:
    assert run("--out", "r.html").output == ""
    assert (root / "r.html").read_text().lower().startswith("<!doctype html>")
    run("--out", "r.txt", "--format", "md")
    assert (root / "r.txt").read_text().startswith("### ")
    with pytest.raises(UsageError, match=r"unknown kind of report `\.txt`"):
        run("--out", "r.txt")


def test_the_comment_is_told_apart_from_the_report(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def post(where: Path, markdown: str) -> str:
        seen.append(markdown)
        return "https://example.com/1"

    monkeypatch.setattr(comment, "comment", post)
    done = run("--comment", "--json")
    assert json.loads(done.stdout)["name"] == "tiny"
    assert done.stderr == "commented: https://example.com/1\n"
    assert seen[0].startswith("### ")


def test_outside_ci_nothing_is_commented(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    assert run("--comment").stderr == "no comment: this is no CI job of a pull or merge request\n"


def test_the_gate_writes_the_whole_report_by_suffix(root: Path) -> None:
    judge("--report", "gate.md")
    assert "| `accuracy` | 95.0% | at least 50.0% |" in (root / "gate.md").read_text().replace("\\", "")
    judge("--report", "gate.json")
    assert json.loads((root / "gate.json").read_text())["decision"]["submission"] == 1


def test_a_report_that_cannot_be_written_asks_nothing_of_the_test_set(root: Path) -> None:
    with pytest.raises(UsageError, match="unknown kind of report"):
        judge("--report", "gate.pdf")
    assert not Layout(root).ledger.exists()
