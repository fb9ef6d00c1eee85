"""Tables: CSV and Parquet say the same, and what is wrong in a file is said in one line."""

import csv
import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.tables import Table, read_table
from tidegate.errors import NotFoundError, TidegateError, UsageError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("a,b", "1,2")` is a CSV file of these lines; bytes are written as they are."""

    def run(*lines: str, raw: bytes | None = None) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(("\n".join(lines) + "\n").encode() if raw is None else raw)
        return path

    return run


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[[str], Path]:
    """`parquet("select 1 as x")` is a Parquet file of what the query says."""

    def run(query: str) -> Path:
        path = tmp_path / "table.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"copy ({query}) to '{path}' (format parquet)")
        return path

    return run


def test_csv_and_parquet_of_the_same_rows_are_equal(write: Write, parquet: Callable[[str], Path]) -> None:
    lines = write("id,x,label,gap", "1,0.5,cat,1", "2,-1e3,größe,", '3,2.25,"a, b",3')
    table = read_table(lines)
    assert table == Table(
        ("id", "x", "label", "gap"),
        {"id": [1, 2, 3], "x": [0.5, -1000.0, 2.25], "label": ["cat", "größe", "a, b"], "gap": [1, None, 3]},
    )
    assert read_table(parquet(f"from read_csv('{lines}', header = true)")) == table


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(), st.floats(allow_nan=False), st.text()), max_size=6))
def test_numbers_and_text_come_back_from_csv(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    marked = [(number, value, f"t{text}") for number, value, text in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("i", "f", "s"), *marked])
    values = [list(column) for column in zip(*marked, strict=True)] or [[], [], []]
    assert read_table(path) == Table(("i", "f", "s"), dict(zip("ifs", values, strict=True)))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2"], [1, 2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1", ""], [1, None]),
        (["", "0.5"], [None, 0.5]),
        (["", ""], [None, None]),
        (["1", "x"], ["1", "x"]),
        (["", "x"], ["", "x"]),
        (["true", "false"], ["true", "false"]),
        (["1e3", "inf"], [1000.0, float("inf")]),
    ],
)
def test_a_column_is_numbers_when_every_cell_is(write: Write, cells: list[str], values: list[Any]) -> None:
    table = read_table(write("k,c", *(f"k,{cell}" for cell in cells)))
    assert table.values["c"] == values
    assert [type(value) for value in table.values["c"]] == [type(value) for value in values]


def test_blank_lines_byte_order_mark_and_windows_line_ends_are_no_data(write: Write) -> None:
    table = read_table(write(raw=b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n\r\n"))
    assert table == Table(("a", "b"), {"a": [1, 3], "b": [2, 4]})


def test_a_quoted_cell_may_hold_line_ends_and_quotes(write: Write) -> None:
    assert read_table(write("a,b", '"one\ntwo","say ""x"""')).values == {"a": ["one\ntwo"], "b": ['say "x"']}


def test_the_length_is_the_number_of_rows(write: Write) -> None:
    assert len(read_table(write("a", "1", "2"))) == 2
    assert len(read_table(write("a"))) == 0
    assert len(Table((), {})) == 0


def test_parquet_keeps_nulls_booleans_and_the_order_of_columns(parquet: Callable[[str], Path]) -> None:
    table = read_table(parquet("select * from (values (true, 1), (null, 2)) t(z, a)"))
    assert table == Table(("z", "a"), {"z": [True, None], "a": [1, 2]})
    assert read_table(parquet("select 1 as x where false")) == Table(("x",), {"x": []})


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "table.txt"])
def test_a_missing_file_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(NotFoundError) as caught:
        read_table(tmp_path / "data" / name)
    assert str(caught.value) == f"{name}: no such file in data"
    assert caught.value.hint == "tidegate repro"


def test_a_missing_file_right_here_is_not_found_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=r"^t\.csv: no such file in \.$"):
        read_table(Path("t.csv"))


@pytest.mark.parametrize("suffix", [".tsv", ".CSV", ""])
def test_another_suffix_is_an_unknown_kind(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    path.touch()
    with pytest.raises(UsageError) as caught:
        read_table(path)
    expected = f"table{suffix}: unknown kind of table `{suffix}`, expected .csv or .parquet"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "table.csv: no header line, expected the names of the columns"),
        (b"a,b,a\n1,2,3\n", "table.csv:1: column `a` appears twice, names must be distinct"),
        (b"a,b\n1,2\n3\n", "table.csv:3: 1 values, the header has 2"),
        (b"a,b\n\n1,2,3\n", "table.csv:3: 3 values, the header has 2"),
        (b"a,b\n1,\xff\n", "byte 6 is not UTF-8, expected CSV in UTF-8"),
        (b'a,b\n1,"open\n', "table.csv:2: unexpected end of data, expected CSV"),
        (b'a,b\n1,"x"y\n', "table.csv:2: ',' expected after '\"', expected CSV"),
        (
            b"a\n" + b"x" * 200_000 + b"\n",
            "table.csv:2: field larger than field limit (131072), expected CSV",
        ),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_said(write: Write, raw: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_table(write(raw=raw))
    assert str(caught.value).startswith("table.csv")
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_a_usage_error_of_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_table(path)
    assert caught.value.where == "table.parquet"
    assert str(caught.value).endswith(", expected Parquet")
    assert "\n" not in str(caught.value)


def test_parquet_without_its_package_says_what_to_install(
    parquet: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet("select 1 as x")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(TidegateError) as caught:
        read_table(path)
    assert str(caught.value) == "reading table.parquet: needs packages of the `gate` extra"
    assert caught.value.hint == "pip install 'tidegate[gate]'"


def test_numbers_are_the_named_columns_in_the_named_order() -> None:
    table = Table(("a", "b", "c"), {"a": [1, 2], "b": [0.5, True], "c": ["x", "y"]})
    found = table.numbers(["b", "a"])
    assert found.dtype == np.float64
    assert found.tolist() == [[0.5, 1.0], [1.0, 2.0]]
    assert table.numbers([]).shape == (2, 0)
    assert Table(("a",), {"a": []}).numbers(["a"]).shape == (0, 1)


def test_an_empty_cell_is_not_a_number() -> None:
    found = Table(("a",), {"a": [1, None]}).numbers(["a"])
    assert found[0, 0] == 1
    assert np.isnan(found[1, 0])


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        ([1, 2], "px", "table: no column `px`, did you mean `px_0`?"),
        ([1, 2], "label", "table: no column `label`"),
        ([1, "x"], "px_0", "table: row 2: column `px_0` holds 'x', expected a number"),
        (["", 2], "px_0", "table: row 1: column `px_0` holds '', expected a number"),
        (
            [1.5, datetime.date(2024, 2, 29)],
            "px_0",
            "table: row 2: column `px_0` holds datetime.date(2024, 2, 29), expected a number",
        ),
    ],
)
def test_a_column_that_is_not_there_or_no_number_is_named(values: list[Any], name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Table(("px_0",), {"px_0": values}).numbers([name])
    assert str(caught.value) == message


@pytest.mark.parametrize("cells", [["1", "2", "oops"], ["", "1", "oops"]])
def test_the_cell_that_is_no_number_is_named_not_the_first(write: Write, cells: list[str]) -> None:
    table = read_table(write("k,c", *(f"k,{cell}" for cell in cells)))
    with pytest.raises(UsageError, match="row 3: column `c` holds 'oops'"):
        table.numbers(["c"])


def test_a_number_too_large_for_a_float_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        Table(("a",), {"a": [10**400]}).numbers(["a"])


@pytest.mark.parametrize("cell", ["1_2", "1_0.5"])
def test_text_that_only_python_reads_as_a_number_stays_text(write: Write, cell: str) -> None:
    assert read_table(write("k,id", f"k,{cell}")).values["id"] == [cell]


def test_a_line_number_counts_the_lines_in_a_quoted_cell(write: Write) -> None:
    with pytest.raises(UsageError) as caught:
        read_table(write("a,b", '"one\ntwo",1', "3"))
    assert caught.value.where == "table.csv:4"


def test_a_file_of_blank_lines_has_no_header(write: Write) -> None:
    with pytest.raises(UsageError, match="no header line"):
        read_table(write("", ""))
