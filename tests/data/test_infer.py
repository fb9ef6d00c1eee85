"""A drafted contract: what it guesses, why, and that the data it was drafted from keep it."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, parse_contract
from tidegate.data.contract.check import check_tables
from tidegate.data.contract.infer import Roles, infer_files, widen
from tidegate.data.contract.personal import suspect
from tidegate.data.contract.rules import Check, Items, Range
from tidegate.errors import UsageError

ROWS = """
select 'r' || i as id, (i * 7 % 91)::int as age, case when i % 7 = 0 then null else i * 0.001 - 0.5 end as score,
  ['free', 'pro', 'team'][1 + i % 3] as plan, 'ann' || i || '@mail.org' as contact, 'note ' || i as note,
  [i * 0.01, 0.5] as px, [[1.0, 2.0], [3.0, 4.0]] as img, (i % 10)::int as label,
  timestamp '2026-01-01' + interval (i) hour as at, i % 2 = 0 as ok
from range({n}) t(i)
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def run(query: str = ROWS.format(n=1000), name: str = "rows.parquet") -> Path:
        with duckdb.connect() as connection:
            connection.execute(f"copy ({query}) to '{tmp_path / name}'")
        return tmp_path / name

    return run


def test_the_draft_says_what_the_data_show(write: Write) -> None:
    contract = infer_files("demo", [write()]).contract
    assert contract.columns == (
        Column("age", "integer", checks=(Check("range", Range(0, 93)),)),
        Column("score", "number", is_required=False, checks=(Check("range", Range(-0.6, 0.6)),)),
        Column("plan", "string", checks=(Check("values", ("free", "pro", "team")),)),
        Column("contact", "string", checks=(Check("length", Range(None, 30)),)),
        Column("note", "string", checks=(Check("length", Range(None, 16)),)),
        Column(
            "px",
            "array",
            checks=(Check("items", Items("number", (2,), (Check("range", Range(0.0, 11.0)),))),),
        ),
        Column(
            "img",
            "array",
            checks=(Check("items", Items("number", (2, 2), (Check("range", Range(0.7, 4.3)),))),),
        ),
        Column("at", "timestamp"),
        Column("ok", "boolean"),
    )
    assert contract.others == (
        Column("id", "string", role="id", checks=(Check("unique"),)),
        Column("label", "integer", role="label", checks=(Check("values", tuple(range(10))),)),
    )


def test_the_draft_gives_its_reasons_as_comments(write: Write) -> None:
    text = infer_files("demo", [write()]).render()
    assert "# Drafted from rows.parquet by `tidegate contract infer`: 1,000 rows, 11 columns.\n" in text
    assert "  # 143 of 1,000 values are missing\n" in text
    assert "  # seen 0 to 84, widened by a tenth\n  - name: age\n" in text
    assert "  # looks like email addresses: remove the column, or add `tidegate.personal: true`" in text
    assert "  # 3 values seen, about 333 rows each\n" in text


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_the_data_keep_the_contract_that_was_drafted_from_them(write: Write, name: str) -> None:
    path = write(name=name)
    draft = infer_files("demo", [path])
    contract = parse_contract(draft.render())
    assert contract == draft.contract
    (checked,) = check_tables(contract, [path], now=0)
    assert [(one.rule, one.column, one.policy) for one in checked.violations] == [
        ("personal", "contact", "flag")
    ]


def test_text_files_are_read_as_what_their_cells_are(write: Write) -> None:
    kinds = {
        column.name: column.kind for column in infer_files("demo", [write(name="rows.csv")]).contract.every
    }
    assert kinds == {
        "id": "string", "age": "integer", "score": "number", "plan": "string", "contact": "string", "note": "string",
        "px": "string", "img": "string", "label": "integer", "at": "timestamp", "ok": "boolean",
    }  # fmt: skip


def test_splits_are_drafted_together_and_may_not_share_rows(write: Write) -> None:
    train = write("select i as x, i % 3 as label from range(100) t(i)", "train.parquet")
    test = write("select i as x, i % 4 as label from range(100, 200) t(i)", "test.parquet")
    contract = infer_files("demo", [train, test], names=["data/train.parquet", "data/test.parquet"]).contract
    assert contract.columns[0].checks == (Check("range", Range(0, 220)),)
    assert contract.others[0].checks == (Check("values", (0, 1, 2, 3)),)
    assert contract.table.leakage == ("x",)
    assert [tuple(server) for server in contract.servers] == [
        ("train", "data/train.parquet"),
        ("test", "data/test.parquet"),
    ]


def test_roles_may_be_named(write: Write) -> None:
    path = write("select i as a, i % 3 as b, i as c from range(50) t(i)")
    contract = infer_files("demo", [path], roles=Roles(id="a", label="b")).contract
    assert [(column.name, column.role) for column in contract.every] == [
        ("c", "feature"),
        ("a", "id"),
        ("b", "label"),
    ]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (["select 1 as x where false"], "rows0.parquet: no rows, a contract is drafted from values"),
        (
            ["select 1 as x", "select 'a' as x"],
            "rows1.parquet: column `x` is a string, in rows0.parquet a integer",
        ),
    ],
)
def test_what_cannot_be_drafted_is_said(write: Write, queries: list[str], message: str) -> None:
    paths = [write(query, f"rows{i}.parquet") for i, query in enumerate(queries)]
    with pytest.raises(UsageError) as caught:
        infer_files("demo", paths)
    assert str(caught.value) == message


def test_nan_and_nested_columns_do_not_stop_a_draft(write: Write) -> None:
    path = write(
        "select 'nan'::DOUBLE as a, null::INTEGER as b, {'k': 1} as c, [{'k': 1}] as d, 'nan'::FLOAT as e"
    )
    draft = infer_files("demo", [path])
    assert [column.name for column in draft.contract.columns] == ["a", "b", "e"]
    assert "1 values are NaN or infinite, which is a violation" in draft.notes["a"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.booleans())
def test_a_widened_range_holds_what_was_seen(one: float, two: float, is_whole: bool) -> None:
    low, high = sorted((one, two))
    if is_whole:
        low, high = int(low), int(high)
    limits = widen(low, high, is_whole=is_whole)
    assert limits.low <= low <= high <= limits.high
    assert limits.low >= 0 or low < 0


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("e_mail", [], "has the name of personal data"),
        ("customerEmail", [], "has the name of personal data"),
        ("birth_date", [], "has the name of personal data"),
        ("emailed", [], ""),
        ("plan_name", ["free"], ""),
        ("c", ["ann@mail.org", "x", "y", "z"], "looks like email addresses"),
        ("c", ["ann@mail.org", *["x"] * 9], ""),
        ("c", ["+49 30 1234567"], "looks like phone numbers"),
        ("c", ["4111 1111 1111 1111"], "looks like card numbers"),
        ("c", ["4111 1111 1111 1112"], ""),
        ("c", ["DE89 3704 0044 0532 0130 00"], "looks like IBANs"),
        ("c", ["078-05-1120"], "looks like social security numbers"),
        ("c", ["192.168.0.1"], "looks like IP addresses"),
        ("c", ["2026-01-31", "1234567"], ""),
    ],
)
def test_personal_data_are_suspected_by_name_and_content(name: str, values: list[object], why: str) -> None:
    assert suspect(name, values) == why
