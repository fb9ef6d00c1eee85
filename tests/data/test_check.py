"""Tables against the contract: every rule is counted, shown with examples and said in a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.check import Checked, check_tables
from tidegate.data.contract.rules import (
    Allowance,
    Check,
    Freshness,
    Items,
    Query,
    Range,
    RowRule,
    TableRules,
    Violation,
)
from tidegate.errors import NotFoundError, TidegateError, UsageError

NOW = 1_800_000_000.0
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("select 1 as x", "csv")` is a file with the rows of a query."""

    def run(query: str, kind: str = "parquet", name: str = "rows") -> Path:
        path = tmp_path / f"{name}.{kind}"
        with duckdb.connect() as connection:
            connection.execute(f"copy ({query}) to '{path}'")
        return path

    return run


def check(path: Path, *columns: Column, table: TableRules | None = None) -> Checked:
    return check_tables(Contract("t", columns, (), table or TableRules()), [path], now=NOW)[0]


def column(kind: str, *checks: Check, **more: Any) -> Column:
    return Column("x", kind, **({"is_required": False, "checks": checks} | more))


def values(*cells: str) -> str:
    return f"select * from (values {', '.join(f'({cell})' for cell in cells)}) as t(x)"


CASES = [
    ("number", Check("range", Range(0, 2)), values("-1.0", "0", "2", "2.5", "null"), 2, "are out of range", "0 to 2"),
    ("number", Check("range", Range(0, 2, True, True)), values("0.0", "1", "2"), 2, "are out of range", "above 0 and below 2"),  # noqa: E501
    ("integer", Check("range", Range(None, 9)), values("10", "9"), 1, "are out of range", "at most 9"),
    ("number", Check("step", 0.1), values("0.3::DOUBLE", "0.35::DOUBLE"), 1, "are off the step", "a multiple of 0.1"),
    ("string", Check("values", ("a", "b'")), values("'a'", "'b'''", "'c'", "null"), 1, "are not allowed ones", "one of 'a', \"b'\""),  # noqa: E501
    ("integer", Check("values", (1, 2)), values("1", "3"), 1, "are not allowed ones", "one of 1, 2"),
    ("boolean", Check("values", (True,)), values("true", "false"), 1, "are not allowed ones", "one of True"),
    ("string", Check("pattern", r"^\d+$"), values("'12'", "'1a'", "'٣'"), 2, "do not match", r"a match of `^\d+$`"),
    ("string", Check("length", Range(2, 3)), values("'é'", "'éé'", "'éééé'"), 2, "have another length", "2 to 3 characters"),  # noqa: E501
    ("string", Check("missing", ("N/A",)), values("'N/A'", "'a'"), 1, "stand for a missing one", "a value"),
    ("string", Check("unique"), values("'a'", "'a'", "'a'", "'b'", "null", "null"), 2, "repeat an earlier one", "distinct values"),  # noqa: E501
    ("date", Check("range", Range("2026-01-01")), values("date '2025-12-31'", "date '2026-01-01'"), 1, "are out of range", "at least 2026-01-01"),  # noqa: E501
    ("timestamp", Check("range", Range(None, "2026-01-01T00:00:00")), values("timestamp '2026-01-01 00:00:01'"), 1, "are out of range", "at most 2026-01-01T00:00:00"),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize(("type_", "rule", "query", "count", "found", "expected"), CASES)
def test_a_rule_counts_what_breaks_it(
    write: Write, kind: str, type_: str, rule: Check, query: str, count: int, found: str, expected: str
) -> None:
    violations = check(write(query, kind), column(type_, rule)).violations
    assert [(one.rule, one.column, one.times, one.policy) for one in violations] == [
        (rule.rule, "x", count, "reject")
    ]
    assert found in violations[0].found
    assert violations[0].expected == expected
    assert 1 <= len(violations[0].examples) <= count


@pytest.mark.parametrize(
    ("type_", "query", "stored"),
    [
        ("number", values("'1'"), "VARCHAR"),
        ("integer", values("'1'"), "VARCHAR"),
        ("string", values("1"), "INTEGER"),
        ("boolean", values("1"), "INTEGER"),
        ("date", values("'2026-01-01'"), "VARCHAR"),
        ("array", values("1"), "INTEGER"),
    ],
)
def test_a_column_of_another_type_is_one_violation_and_nothing_else(
    write: Write, type_: str, query: str, stored: str
) -> None:
    (violation,) = check(write(query), column(type_, is_required=True)).violations
    assert (violation.rule, violation.times) == ("type", 1)
    assert f"are of another type (stored as {stored})" in violation.found


@pytest.mark.parametrize(
    ("type_", "cells", "wrong"),
    [
        ("number", ["1", "1e3", "-0.5", " 2 ", "1_000", "one"], 2),
        ("integer", ["1", "-2", "3.0", "3.5", "1e3", "x"], 3),
        ("boolean", ["true", "FALSE", "yes", "1"], 2),
        ("date", ["2026-01-31", "2026-02-31", "2026-01-31 10:00:00"], 2),
        (
            "timestamp",
            ["2026-01-31 10:00:00", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00", "soon"],
            1,
        ),
    ],
)
def test_text_is_read_as_its_column_s_kind(tmp_path: Path, type_: str, cells: list[str], wrong: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{cell},1\n" for cell in cells))
    (violation,) = check(path, column(type_)).violations
    assert (violation.rule, violation.times) == ("type", wrong)


def test_nan_is_no_null_and_no_number(write: Write) -> None:
    path = write(values("'nan'::DOUBLE", "'inf'::DOUBLE", "null", "1.0"))
    found = check(path, column("number", Check("range", Range(0, 2)), is_required=True)).violations
    assert [(one.rule, one.times) for one in found] == [("required", 1), ("finite", 2)]
    assert found[1].examples[0].row == 1


def test_nan_may_stand_for_null(write: Write) -> None:
    path = write(values("'nan'::DOUBLE", "1.0"))
    assert check(path, column("number", is_nan_missing=True)).violations == ()
    found = check(path, column("number", is_nan_missing=True, is_required=True)).violations
    assert [(one.rule, one.times) for one in found] == [("required", 1)]


def test_whole_numbers_may_be_stored_as_floats(write: Write) -> None:
    assert check(write(values("1.0::DOUBLE", "null")), column("integer")).violations == ()
    (found,) = check(write(values("1.5::DOUBLE", "'nan'::DOUBLE")), column("integer")).violations
    assert (found.rule, found.times) == ("type", 2)


@pytest.mark.parametrize(
    ("cell", "is_fine"),
    [
        ("[[1.0, 2.0], [3.0, 4.0]]", True),
        ("[[1.0, 2.0]]", False),
        ("[[1.0, 2.0], [3.0]]", False),
        ("[[1.0, 2.0], null]", False),
        ("[[1.0, 2.0], [3.0, null]]", False),
        ("[[1.0, 2.0], [3.0, 5.0]]", False),
        ("[[1.0, 2.0], [3.0, 'nan'::DOUBLE]]", False),
    ],
)
def test_a_tensor_keeps_its_shape_and_its_items_their_range(write: Write, cell: str, is_fine: bool) -> None:
    tensor = column("array", Check("items", Items("number", (2, 2), (Check("range", Range(0, 4)),))))
    assert [one.rule for one in check(write(values(cell)), tensor).violations] == [] if is_fine else ["items"]


def test_exceptions_are_allowed_up_to_a_share(write: Write) -> None:
    path = write("select case when i < 5 then null else i end as x from range(100) t(i)")

    def allowed(high: float) -> Check:
        return Check("required", None, Allowance(high=high, is_open=True, is_percent=True))

    assert check(path, column("integer", allowed(6))).violations == ()
    (found,) = check(path, column("integer", allowed(5))).violations
    assert str(found) == (
        "rows.parquet: column `x`: 5 of 100 values are null (row 1, 2, 3, 4, 5), "
        "expected a value (exceptions: less than 5 %)"
    )


def test_a_flag_is_said_and_passes(write: Write) -> None:
    checked = check(
        write(values("3")), column("integer", Check("range", Range(0, 2)), flags=frozenset({"range"}))
    )
    assert [one.policy for one in checked.violations] == ["flag"]
    assert not checked.is_rejected


def test_an_example_names_the_row_by_its_number_and_its_id(write: Write) -> None:
    contract = Contract(
        "t", (column("integer", Check("range", Range(0, 2))),), (Column("id", "string", role="id"),)
    )
    path = write("select 'r' || i as id, i as x from range(5) t(i)")
    (found,) = check_tables(contract, [path], now=NOW)[0].violations
    assert [tuple(one) for one in found.examples] == [(4, "r3", 3), (5, "r4", 4)]


def test_missing_unknown_and_banned_columns_are_named(write: Write) -> None:
    path = write("select 1 as aeg, 'x' as Social_SSN, 2 as extra")
    table = TableRules(unknown="flag", banned=("*ssn*",))
    checked = check_tables(Contract("t", (Column("age", "integer"),), (), table), [path], now=NOW)[0]
    assert [(one.rule, one.column, one.policy) for one in checked.violations] == [
        ("column", "age", "reject"),
        ("unknown", "aeg", "flag"),
        ("banned", "Social_SSN", "reject"),
        ("unknown", "extra", "flag"),
    ]
    assert checked.violations[0].found == "no column `age` (did you mean `aeg`?)"


def test_an_optional_column_may_be_absent(write: Write) -> None:
    assert check(write("select 1 as y"), column("integer")).violations == ()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_no_rows_are_too_few(write: Write, kind: str) -> None:
    checked = check(write("select 1 as x where false", kind), column("integer"))
    assert [str(one) for one in checked.violations] == [f"rows.{kind}: 0 rows, expected at least 1"]


def test_row_counts_are_bounded(write: Write) -> None:
    (found,) = check(
        write(values("1", "2")), column("integer"), table=TableRules(rows=Allowance(low=1000))
    ).violations
    assert str(found) == "rows.parquet: 2 rows, expected at least 1,000"


def test_a_rule_between_columns_is_held_and_null_is_unknown(write: Write) -> None:
    path = write("select * from (values (1, 2), (3, 2), (null, 2)) t(low, high)")
    columns = [Column(name, "integer", is_required=False) for name in ("low", "high")]
    (found,) = check(
        path, *columns, table=TableRules(row_rules=(RowRule("ordered", "low <= high", "flag"),))
    ).violations
    assert (found.rule, found.times, found.policy) == ("row", 1, "flag")
    assert found.found == "rule `ordered` is false in 1 of 3 rows (row 2)"


def test_columns_may_be_unique_together(write: Write) -> None:
    path = write("select * from (values (1, 2), (1, 2), (1, 3)) t(a, b)")
    columns = [Column("a", "integer"), Column("b", "integer")]
    (found,) = check(path, *columns, table=TableRules(keys=(("a", "b"),))).violations
    assert (found.rule, found.times, found.found) == ("key", 1, "1 rows repeat `a`, `b`")


def test_stale_data_are_said_with_their_time(write: Write) -> None:
    path = write(values("timestamp '2026-01-01 00:00:00'", "timestamp '2025-01-01 00:00:00'"))
    table = TableRules(fresh=Freshness("x", 86_400))
    (found,) = check(path, column("timestamp"), table=table).violations
    assert (
        str(found) == "rows.parquet: the newest `x` is 2026-01-01 00:00Z, expected 2027-01-14 08:00Z or later"
    )
    fresh = check_tables(
        Contract("t", (column("timestamp"),), (), table), [path], now=1_767_225_600.0 + 86_400
    )
    assert fresh[0].violations == ()


def test_rows_of_two_splits_are_leakage_whatever_the_file_s_format(write: Write) -> None:
    train = write("select i as x, i * 0.5 as y from range(100) t(i)", "parquet", "train")
    test = write("select i as x, i * 0.5 as y from range(97, 120) t(i)", "csv", "test")
    columns = (Column("x", "integer"), Column("y", "number"))
    contract = Contract("t", columns, (), TableRules(leakage=("x", "y")))
    first, second = check_tables(contract, [train, test], now=NOW)
    assert first.violations == ()
    assert (
        str(second.violations[0])
        == "test.csv: 3 of 23 rows are also in train.parquet, expected no row in two splits"
    )
    assert [one.row for one in second.violations[0].examples] == [1, 2, 3]


def test_splits_in_one_file_may_not_share_rows(write: Write) -> None:
    path = write("select * from (values (1, 'a'), (1, 'b'), (2, 'a'), (2, 'a')) t(x, part)")
    contract = Contract(
        "t", (Column("x", "integer"),), (Column("part", "string", role="split"),), TableRules(leakage=("x",))
    )
    (found,) = check_tables(contract, [path], now=NOW)[0].violations
    assert (found.rule, found.times) == ("leakage", 2)


def test_undeclared_personal_data_are_suspected(write: Write) -> None:
    path = write("select 'ann' || i || '@mail.org' as c, 'x' as first_name, 'y' as note from range(9) t(i)")
    table = TableRules(personal="reject")
    found = check(path, Column("note", "string"), table=table).violations
    assert [(one.column, one.found) for one in found] == [
        ("c", "column `c` looks like email addresses"),
        ("first_name", "column `first_name` has the name of personal data"),
    ]
    assert (
        check(
            path,
            Column("c", "string", is_personal=True),
            Column("first_name", "string", is_personal=True),
            table=table,
        ).violations
        == ()
    )


def test_a_query_of_the_contract_gives_one_number(write: Write) -> None:
    path = write(values("1", "2", "3"))
    query = Query("big", "select count(*) from ${object} where x > 1", Allowance(high=1), "flag")
    (found,) = check(path, column("integer"), table=TableRules(queries=(query,))).violations
    assert (str(found), found.policy) == ("rows.parquet: query `big` gives 2, expected at most 1", "flag")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("copy (select 1) to 'out.csv'", "contract: query `q`: expected one `select`"),
        ("select 1; select 2", "contract: query `q`: expected one `select`"),
        ("select x from ${object}", "contract: query `q`: did not give one number, expected one"),
        ("select 'a'", "contract: query `q`: did not give one number, expected one"),
        ("select * from read_csv('/etc/hostname')", "file system operations are disabled by configuration"),
        ("selec 1", "contract: query `q`: syntax error at or near"),
    ],
)
def test_a_query_may_only_ask_about_the_table(write: Write, sql: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(
            write(values("1", "2")),
            column("integer"),
            table=TableRules(queries=(Query("q", sql, Allowance()),)),
        )
    assert message in str(caught.value)


EVIL = ['a"; drop table t; --', "x'y", "größe 1", "select", " ", "a b.c", "%s", "$1", "?", "{0}", "\\"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_names_and_values_are_quoted(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / f"it's {kind}.{kind}"
    quoted, value = '"' + name.replace('"', '""') + '"', name.replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select '{value}' as {quoted}, 1 as other) to '{str(path).replace(chr(39), chr(39) * 2)}'"
        )
    checks = (Check("values", (name,)), Check("unique"))
    checked = check(path, Column(name, "string", checks=checks), Column("other", "integer"))
    assert checked.violations == ()
    (found,) = check(path, Column(name, "string", checks=(Check("values", (name + "x",)),))).violations
    assert found.examples[0].value == name


def test_a_very_wide_table_is_checked_in_parts(write: Write) -> None:
    wide = ", ".join(f"{i} as c{i}" for i in range(1500))
    columns = [Column(f"c{i}", "integer", checks=(Check("range", Range(0, 1498)),)) for i in range(1500)]
    assert [one.column for one in check(write(f"select {wide}"), *columns).violations] == ["c1499"]


def test_examples_are_capped_when_everything_is_wrong(write: Write) -> None:
    names = ", ".join(f"i as c{n}" for n in range(120))
    columns = [Column(f"c{i}", "integer", checks=(Check("range", Range(None, -1)),)) for i in range(120)]
    found = check(write(f"select {names} from range(1000) t(i)"), *columns).violations
    assert len(found) == 120
    assert {len(one.examples) for one in found[:100]} == {5}
    assert {len(one.examples) for one in found[100:]} == {0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.parquet", None, "none.parquet: no such file"),
        ("empty.parquet", b"", "empty.parquet: the file is empty, expected Parquet"),
        ("empty.csv", b"", "empty.csv: the file is empty, expected CSV"),
        ("text.parquet", b"x,y\n1,2\n3,4\n5,6\n", "text.parquet: "),
        ("rows.json", b"{}", "rows.json: unknown kind of table `.json`, expected .csv or .parquet"),
        ("latin.csv", b"x\n\xff\xfe\n", "latin.csv: "),
        ("ragged.csv", b"x,y\n1,2\n1,2,3\n", "ragged.csv: "),
    ],
)
def test_what_is_no_table_is_said_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((NotFoundError, UsageError)) as caught:
        check(path, column("integer"))
    assert isinstance(caught.value, TidegateError)
    assert str(caught.value).startswith(message)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pattern_that_only_python_knows_is_the_contract_s_fault(write: Write) -> None:
    with pytest.raises(UsageError, match=r"^contract: a pattern is not understood, "):
        check(write(values("'a'")), column("string", Check("pattern", "(?=a)")))


def test_a_violation_is_one_sentence(write: Write) -> None:
    (found,) = check(write(values("0.5", "17.25")), column("number", Check("range", Range(0, 16)))).violations
    assert isinstance(found, Violation)
    assert (
        str(found)
        == "rows.parquet: column `x`: 1 of 2 values are out of range (row 2: 17.25), expected 0 to 16"
    )
