"""Differences of two tables and of two contracts: what changed, and how much."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.compare import compare_tables
from tidegate.data.contract.revision import table_at
from tidegate.data.contract.rules import Check, Range, RowRule, TableRules
from tidegate.data.contract.versions import compare_contracts
from tidegate.errors import NotFoundError

Write = Callable[[str, str], Path]
OLD = "select i as id, i * 0.001 as x, ['a', 'b'][1 + i % 2] as c, case when i % 10 = 0 then null else i end as y from range(1000) t(i)"  # noqa: E501


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def run(query: str, name: str) -> Path:
        with duckdb.connect() as connection:
            connection.execute(f"copy ({query}) to '{tmp_path / name}'")
        return tmp_path / name

    return run


def said(write: Write, new: str, old: str = OLD) -> list[str]:
    return [
        change.sentence for change in compare_tables(write(old, "old.parquet"), write(new, "new.parquet"))
    ]


def test_a_table_does_not_differ_from_itself_whatever_its_format(write: Write) -> None:
    assert said(write, OLD) == []
    assert compare_tables(write(OLD, "old.parquet"), write(OLD, "new.csv")) == []


def test_rows_columns_and_types_come_with_their_numbers(write: Write) -> None:
    new = (
        OLD.replace("range(1000)", "range(1500)")
        .replace("i * 0.001 as x", "'s' as x")
        .replace(" as c", " as d")
    )
    found = said(write, new)
    assert found[0] == "rows: 1,000 to 1,500 (+50.0%)"
    assert {
        "column `c` (string) is gone",
        "column `d` (string) is new",
        "column `x`: a number is now text",
    } <= set(found)


def test_missing_values_and_ranges_are_compared(write: Write) -> None:
    new = OLD.replace("i % 10 = 0", "i % 4 = 0").replace("i * 0.001 as x", "i * 0.002 as x")
    found = said(write, new)
    assert "column `y`: 10.0% to 25.0% null" in found
    assert "column `x`: range 0 to 0.999 is now 0 to 1.998" in found


def test_a_shift_is_measured_in_the_spread(write: Write) -> None:
    (shift,) = [
        change
        for change in compare_tables(
            write(OLD, "old.parquet"),
            write(OLD.replace("i * 0.001 as x", "i * 0.001 + 0.5 as x"), "new.parquet"),
        )
        if change.sort == "quantiles"
    ]
    assert shift.size == pytest.approx(0.5 / 0.98, rel=0.05)


def test_new_vanished_and_shifted_values_are_named(write: Write) -> None:
    new = OLD.replace("['a', 'b'][1 + i % 2]", "['a', 'c', 'c', 'c'][1 + i % 4]")
    found = said(write, new)
    assert "column `c`: 1 new value 'c' (75.0% of rows)" in found
    assert "column `c`: 1 vanished value 'b' (50.0% of rows)" in found
    assert "column `c`: 'a' 50.0% to 25.0% of rows" in found


def test_what_may_break_the_reader_is_marked(write: Write) -> None:
    changes = compare_tables(
        write(OLD, "old.parquet"), write(OLD.replace("i * 0.001 as x, ", ""), "new.parquet")
    )
    assert [(change.column, change.is_breaking) for change in changes] == [("x", True)]


AGE = Column("age", "integer", checks=(Check("range", Range(0, 120)),))
PLAN = Column("plan", "string", checks=(Check("values", ("a", "b")),))
BASE = Contract("c", (AGE, PLAN))


@pytest.mark.parametrize(
    ("new", "sentence", "is_breaking"),
    [
        ((AGE,), "column `plan` (required string) is gone", True),
        ((AGE, PLAN, Column("x", "number", False)), "column `x` (optional number) is new", False),
        ((AGE, PLAN, Column("x", "number")), "column `x` (required number) is new", True),
        ((AGE._replace(kind="number"), PLAN), "column `age`: an integer is now a number", False),
        ((AGE, PLAN._replace(is_required=False)), "column `plan`: is now optional", False),
        ((AGE._replace(checks=(Check("range", Range(0, 100)),)), PLAN), "column `age`: range: 0 to 120 is now 0 to 100", True),  # noqa: E501
        ((AGE._replace(checks=(Check("range", Range(0, 150)),)), PLAN), "column `age`: range: 0 to 120 is now 0 to 150", False),  # noqa: E501
        ((AGE._replace(checks=()), PLAN), "column `age`: range: no longer 0 to 120", False),
        ((AGE, PLAN._replace(checks=(Check("values", ("a", "b", "c")),))),
         "column `plan`: values: one of 'a', 'b' is now one of 'a', 'b', 'c'", False),
        ((AGE, PLAN._replace(checks=(Check("values", ("a",)),))), "column `plan`: values: one of 'a', 'b' is now one of 'a'", True),  # noqa: E501
        ((AGE._replace(flags=frozenset({"range"})), PLAN), "column `age`: only flagged: nothing is now range", False),
        ((PLAN, AGE), "the features stand in another order", True),
    ],
)  # fmt: skip
def test_contracts_differ_column_by_column(new: tuple[Column, ...], sentence: str, is_breaking: bool) -> None:
    changes = compare_contracts(BASE, Contract("c", new))
    assert [(change.sentence, change.is_breaking) for change in changes] == [(sentence, is_breaking)]


def test_contracts_differ_in_what_they_say_of_the_table() -> None:
    table = TableRules(row_rules=(RowRule("sane", "age > 0"),))
    (change,) = compare_contracts(BASE, BASE._replace(table=table))
    assert change.sentence == "table: row_rules: nothing is now sane"
    assert compare_contracts(BASE, BASE) == []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A commit with one file in git, one behind a `.dvc` file and one in a directory of `dvc.lock`."""
    root = tmp_path / "repo"
    (root / "data").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    for md5, data in {
        "aa01": b"behind a dvc file",
        "bb02.dir": json.dumps([{"md5": "cc03", "relpath": "deep/t.csv"}]).encode(),
        "cc03": b"in a directory",
    }.items():
        path = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (root / ".dvc" / "config").write_text("")
    (root / "plain.csv").write_text("in git")
    (root / "data" / "raw.csv.dvc").write_text("outs:\n- {md5: aa01, path: raw.csv}\n")
    lock = "schema: '2.0'\nstages:\n  s:\n    cmd: x\n    outs:\n    - {path: out, md5: bb02.dir}\n"
    (root / "dvc.lock").write_text(lock)
    subprocess.run(["git", "-C", str(root), "add", "plain.csv", "data", "dvc.lock"], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), *identity, "commit", "-q", "-m", "one"], check=True)
    return root


@pytest.mark.parametrize(
    ("path", "content"),
    [("plain.csv", "in git"), ("data/raw.csv", "behind a dvc file"), ("out/deep/t.csv", "in a directory")],
)
def test_a_file_is_found_as_a_revision_had_it(
    repository: Path, tmp_path: Path, path: str, content: str
) -> None:
    found = table_at(repository, "HEAD", path, folder=tmp_path)
    assert (found.name, found.read_text()) == (Path(path).name, content)


@pytest.mark.parametrize("path", ["none.csv", "out/none.csv"])
def test_a_file_that_the_revision_lacks_is_said(repository: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(NotFoundError):
        table_at(repository, "HEAD", path, folder=tmp_path)
