"""`tidegate contract`: drafts, checks, differences and examples, with their exit codes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tidegate.cli.main import main
from tidegate.data.contract import parse_contract

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two splits of one table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.parquet", "range(0, 500)")
    write(tmp_path / "data" / "test.parquet", "range(500, 600)")
    return tmp_path


def write(path: Path, rows: str, age: str = "i % 90") -> None:
    with duckdb.connect() as connection:
        query = f"select i as id, {age} as age, i * 0.25 as spent, ['free', 'pro'][1 + i % 2] as plan from {rows} t(i)"
        connection.execute(f"copy ({query}) to '{path}'")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The exit code and everything that a command prints."""

    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(["contract", *words])
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out + printed.err

    return call


@pytest.fixture
def drafted(project: Path, run: Run) -> Path:
    """The project with the contract that was drafted from both splits."""
    assert run("infer", "data/train.parquet", "data/test.parquet")[0] == 0
    return project


def test_a_draft_is_written_where_the_project_expects_it(project: Path, run: Run) -> None:
    code, said = run("infer", "data/train.parquet", "data/test.parquet")
    assert (code, said) == (
        0,
        "wrote contract.odcs.yaml: 4 columns; review it, then `tidegate contract check`\n",
    )
    contract = parse_contract((project / "contract.odcs.yaml").read_text())
    assert contract.name == "shop"
    assert [server.path for server in contract.servers] == ["data/train.parquet", "data/test.parquet"]


def test_a_contract_is_never_overwritten_without_force(drafted: Path, run: Run) -> None:
    path = drafted / "contract.odcs.yaml"
    path.write_text("mine")
    code, said = run("infer", "data/train.parquet")
    assert (code, path.read_text()) == (1, "mine")
    assert said.startswith("error: contract.odcs.yaml: exists already")
    assert run("infer", "data/train.parquet", "--force")[0] == 0
    assert path.read_text() != "mine"


def test_a_draft_may_be_printed(project: Path, run: Run) -> None:
    code, said = run("infer", "data/train.parquet", "--output", "-", "--name", "mine")
    assert (code, parse_contract(said).name) == (0, "mine")
    assert not (project / "contract.odcs.yaml").exists()


def test_data_that_keep_the_contract_pass(drafted: Path, run: Run) -> None:
    assert run("check") == (
        0,
        "✓ PASS  train.parquet: 500 rows, 0 rejected, 0 flagged\n"
        "✓ PASS  test.parquet: 100 rows, 0 rejected, 0 flagged\n",
    )


def test_what_breaks_the_contract_blocks_and_is_said(drafted: Path, run: Run) -> None:
    write(drafted / "data" / "test.parquet", "range(499, 600)", age="i % 90 * 10")
    code, said = run("check")
    assert code == 3
    assert (
        "✗ BLOCK  test.parquet: 101 rows, 1 rejected, 0 flagged\n  reject  test.parquet: column `age`: "
        in said
    )
    code, said = run("check", "data/test.parquet", "--json")
    (found,) = json.loads(said)["files"]
    assert (code, json.loads(said)["verdict"], found["rejected"]) == (3, "block", True)
    assert found["violations"][0]["rule"] == "range"
    assert found["violations"][0]["count"] > 0
    assert found["violations"][0]["sentence"] in run("check", "data/test.parquet")[1]


def test_two_splits_with_the_same_row_block(drafted: Path, run: Run) -> None:
    write(drafted / "data" / "test.parquet", "range(499, 600)")
    code, said = run("check")
    assert code == 3
    assert "1 of 101 rows are also in train.parquet, expected no row in two splits" in said


def test_differences_of_tables_are_said_and_printed_as_json(project: Path, run: Run) -> None:
    code, said = run("diff", "data/train.parquet", "data/test.parquet")
    assert code == 0
    assert said.startswith("  rows: 500 to 100 (-80.0%)\n")
    found = json.loads(run("diff", "data/train.parquet", "data/test.parquet", "--json")[1])
    assert {"sort", "column", "before", "after", "size", "sentence", "is_breaking"} == set(found[0])
    assert run("diff", "data/train.parquet", "data/train.parquet") == (0, "no difference\n")


def test_differences_of_contracts_mark_what_breaks(drafted: Path, run: Run) -> None:
    text = (drafted / "contract.odcs.yaml").read_text()
    (drafted / "new.yaml").write_text(re.sub(r"maximum: \d+", "maximum: 5", text, count=1))
    code, said = run("diff", "contract.odcs.yaml", "new.yaml")
    assert (code, said) == (0, "! column `age`: range: 0 to 98 is now 0 to 5\n")


def test_the_contract_is_shown_as_a_table_and_by_example(drafted: Path, run: Run) -> None:
    code, said = run("show")
    assert code == 0
    assert "plan    string   feature  required; values: one of 'free', 'pro'" in said
    assert json.loads(run("show", "--json")[1])["name"] == "shop"
    example: dict[str, Any] = json.loads(run("show", "--example")[1])
    assert example == {"row": {"age": 49, "spent": 85.0, "plan": "free"}}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("check",), 1, "error: contract.odcs.yaml: no such file\nhint:  tidegate contract infer FILE\n"),
        (("diff", "data/none.csv", "data/train.parquet"), 1, "error: data/none.csv: no such file"),
        (("diff", "HEAD:data/x.csv", "data/train.parquet"), 2, "error: HEAD: unknown revision"),
        (("infer", "data/none.csv"), 1, "error: none.csv: no such file"),
        (("infer",), 2, "error: tidegate contract infer: missing argument 'FILES...'"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    project: Path, run: Run, words: tuple[str, ...], code: int, message: str
) -> None:
    found, said = run(*words)
    assert found == code
    assert said.startswith(message)


def test_a_contract_without_files_asks_for_one(drafted: Path, run: Run) -> None:
    path = drafted / "contract.odcs.yaml"
    path.write_text(re.sub(r"servers:\n(- .*\n)+", "", path.read_text()))
    assert run("check") == (
        2,
        "error: contract.odcs.yaml: names no local server, and no file is given\nhint:  tidegate contract check FILE\n",
    )
