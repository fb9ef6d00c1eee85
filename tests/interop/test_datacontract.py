"""The standard's own tool as the judge of the contracts that tidegate writes."""

import subprocess
from pathlib import Path

import duckdb
import pytest

from tidegate.data.contract import Column, Contract, parse_contract, render_contract
from tidegate.data.contract.infer import infer_files
from tidegate.data.contract.rules import (
    Allowance,
    Check,
    Freshness,
    Items,
    Query,
    Range,
    RowRule,
    Server,
    Serving,
    TableRules,
)

TOOL = Path(__file__).parents[2] / ".tools" / "datacontract" / "bin" / "datacontract"

EVERYTHING = Contract(
    "everything: größe",
    (
        Column("n", "number", True, "feature", (Check("range", Range(1e-7, 5, True)), Check("step", 0.5))),
        Column(
            "i", "integer", False, "feature", (Check("required", None, Allowance(high=5, is_percent=True)),)
        ),
        Column(
            "s",
            "string",
            checks=(Check("missing", ("N/A",)), Check("values", ("a", "no")), Check("length", Range(1, 9))),
        ),
        Column(
            "p",
            "string",
            checks=(Check("pattern", r"^\d+'\"$"),),
            flags=frozenset({"pattern"}),
            is_personal=True,
        ),
        Column("b", "boolean", is_nan_missing=True, examples=(True,)),
        Column("d", "date", checks=(Check("range", Range("2026-01-01")),)),
        Column(
            "t", "array", checks=(Check("items", Items("number", (8, 8), (Check("range", Range(0, 16)),))),)
        ),
        Column("l", "array", checks=(Check("items", Items("string", (-1,), (), Range(0, 4))),)),
    ),
    (
        Column("id", "string", role="id", checks=(Check("unique"),)),
        Column("at", "timestamp", role="other", checks=(Check("range", Range("2026-01-01T00:00:00")),)),
    ),
    TableRules(
        Allowance(10, 1000),
        (("id", "at"),),
        ("n", "i"),
        ("*ssn*",),
        "flag",
        "reject",
        (RowRule("sane", "n >= 0 or i is null", "flag"),),
        (Query("q", "select count(*) from ${object}", Allowance(low=1, is_open=True), "flag"),),
        Freshness("at", 3600),
        frozenset({"rows"}),
    ),
    Serving("flag", "ignore"),
    (Server("train", "data/train.parquet"),),
)


def lint(path: Path) -> str:
    """What the tool says about a contract; a failure fails the test."""
    if not TOOL.exists():
        pytest.fail(f"{TOOL.relative_to(TOOL.parents[3])} is not installed: run make tools")
    done = subprocess.run(
        [str(TOOL), "lint", str(path)], capture_output=True, text=True, check=False, cwd=path.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_contract_with_every_rule_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "contract.odcs.yaml"
    path.write_text(render_contract(EVERYTHING))
    assert parse_contract(path.read_text()) == EVERYTHING
    assert "Data contract is valid" in lint(path)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_drafted_contract_is_valid(tmp_path: Path, name: str) -> None:
    data, path = tmp_path / name, tmp_path / "contract.odcs.yaml"
    query = "select i as id, i * 0.1 as x, 'a' as c, [1.0, 2.0] as t, date '2026-01-01' + i as d from range(100) r(i)"
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select id, x, c, t, d from ({query.replace('+ i', '+ i::int')})) to '{data}'"
        )
    path.write_text(infer_files("draft", [data]).render())
    assert "Data contract is valid" in lint(path)


def test_the_contract_of_the_example_is_valid(tmp_path: Path) -> None:
    import jinja2

    source = Path(__file__).parents[2] / "src" / "tidegate" / "cli" / "scaffold" / "contract.odcs.yaml.jinja"
    path = tmp_path / "contract.odcs.yaml"
    path.write_text(jinja2.Template(source.read_text(), trim_blocks=True).render(digits=True))
    assert len(parse_contract(path.read_text()).columns) == 64
    assert "Data contract is valid" in lint(path)
