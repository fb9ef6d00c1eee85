"""SQL over the log: all rows, once, by name; and nothing but the log within reach."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from tidegate.domain import Label, Prediction
from tidegate.errors import TidegateError, UsageError
from tidegate.store.predictions import (
    Answered,
    Entry,
    Input,
    Limits,
    PredictionLog,
    Question,
    ask,
    compact,
    entry_of,
    trim,
)

FOREVER = "select count(*) from range(1000000000) a, range(1000000000) b where (a.range + b.range) % 7 = 3"


def entry(request: str, output: str | int | float | None = 1, bundle: str = "b1", **changes: object) -> Entry:
    fields = {"at": 1_700_000_000.25, "inputs": (0.5, None, "north"), "status": 200} | changes
    row = Prediction(
        request,
        fields["at"],
        "u",
        "e",
        bundle,
        "stable",
        fields["inputs"],
        output,
        (0.1, 0.9),
        0.7,
        fields["status"],
    )
    return entry_of(row)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three compacted predictions and two labels, one more of each in segments that are open."""
    folder = tmp_path / "log"
    log = PredictionLog(folder, "w")
    log.write(
        [entry("a", 3), entry("b", 3.0, bundle="b2", inputs=("south", 2.0)), entry("c", None, status=500)]
    )
    log.write_labels([Label("a", 5.0, 3), Label("b", 6.0, "4")])
    log.close()
    compact(folder, grace_s=0)
    open_log = PredictionLog(folder, "w")
    open_log.write([entry("d", "cat", at=1_700_000_001.0)])
    open_log.write_labels([Label("a", 7.0, 9), Label("unknown", 8.0, 1)])
    yield folder
    open_log.close()


def names(bundles: Collection[str]) -> dict[str, tuple[Input, ...]]:
    known = {
        "b1": (Input("age"), Input("status"), Input("region", is_text=True)),
        "b2": (Input("region", is_text=True), Input("age")),
    }
    return {bundle: known[bundle] for bundle in bundles}


def answer(folder: Path, sql: str) -> list[tuple[object, ...]]:
    return ask(folder, Question(sql, names)).rows


def test_compacted_rows_and_open_ones_are_one_table(folder: Path) -> None:
    assert answer(folder, "select request from predictions order by request") == [
        ("a",),
        ("b",),
        ("c",),
        ("d",),
    ]
    assert answer(
        folder, "select count(*), min(time)::varchar from predictions where time < '2023-11-14 22:13:21'"
    ) == [(3, "2023-11-14 22:13:20.25")]


def test_inputs_stand_under_the_names_they_have_in_their_bundle(folder: Path) -> None:
    sql = "select request, age, region, input_status from predictions order by request limit 2"
    assert answer(folder, sql) == [("a", 0.5, "north", None), ("b", 2.0, "south", None)]


def test_a_bundle_that_is_not_here_leaves_its_inputs_as_a_list(folder: Path) -> None:
    sql = "select inputs, texts from predictions where request = 'a'"
    assert ask(folder, Question(sql)).rows == [([0.5, None, None], [None, None, "north"])]


def test_answers_are_texts_and_where_they_are_numbers_values(folder: Path) -> None:
    sql = "select output, value from predictions order by request"
    assert answer(folder, sql) == [("3", 3.0), ("3", 3.0), (None, None), ("cat", None)]


def test_the_first_label_of_a_request_is_joined(folder: Path) -> None:
    sql = "select request, truth, is_right, labeled_at::varchar from joined order by request"
    assert answer(folder, sql) == [
        ("a", "3", True, "1970-01-01 00:00:05"),
        ("b", "4", False, "1970-01-01 00:00:06"),
        ("c", None, None, None),
        ("d", None, None, None),
    ]
    assert answer(folder, "select count(*) from labels") == [(4,)]


def test_an_empty_log_has_the_same_columns(folder: Path, tmp_path: Path) -> None:
    described = "select column_name from (describe joined)"
    assert answer(tmp_path / "none", described) == ask(folder, Question(described)).rows
    assert answer(tmp_path / "none", "select * from joined") == []


def test_no_more_rows_than_asked_for(folder: Path) -> None:
    cut = ask(folder, Question("select request from predictions order by request", limit=2))
    assert cut == Answered(("request",), [("a",), ("b",)], True)
    assert not ask(folder, Question("select 1", limit=1)).is_cut


@pytest.mark.parametrize(
    "sql",
    [
        "copy predictions to 'stolen.csv'",
        "create table t as select 1",
        "set enable_external_access = true",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "pragma database_list",
        "explain analyze copy predictions to 'stolen.csv'",
        "select 1; select 2",
        "",
    ],
)
def test_only_one_select_is_taken(folder: Path, sql: str) -> None:
    with pytest.raises(UsageError, match="the log is read-only, expected one SELECT"):
        answer(folder, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from read_csv('/etc/passwd')",
        "select * from glob('/etc/*')",
        "select * from '/etc/passwd.csv'",
        "select * from read_csv('http://localhost:1/x.csv')",
        "select * from parquet_scan('/etc/*.parquet')",
    ],
)
def test_a_query_reaches_no_file_and_no_network(folder: Path, sql: str) -> None:
    with pytest.raises(UsageError, match=r"(?i)disabled|permission|cannot access"):
        answer(folder, sql)


def test_a_query_leaves_the_folder_as_it_is(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    answer(folder, "select * from predictions")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_wrong_sql_is_said_in_a_line(folder: Path) -> None:
    with pytest.raises(UsageError, match="nothing_here") as raised:
        answer(folder, "select nothing_here from predictions")
    assert "\n" not in str(raised.value)
    with pytest.raises(UsageError, match="syntax error"):
        answer(folder, "selekt 1")


def test_a_query_that_takes_too_long_is_stopped(folder: Path) -> None:
    with pytest.raises(TidegateError, match=r"no answer after 0\.2 s"):
        ask(folder, Question(FOREVER, timeout_s=0.2))


def test_nobody_waits_for_a_query_and_a_killed_one_leaves_nothing_for_long(folder: Path) -> None:
    program = f"""
from pathlib import Path
from tidegate.store.predictions import Question, ask
ask(Path({str(folder)!r}), Question({FOREVER!r}, timeout_s=600))
"""
    asking = subprocess.Popen([sys.executable, "-c", program])
    try:
        end = time.monotonic() + 60
        while not list(folder.glob(".query-*/*w*.seg")) and time.monotonic() < end:
            threading.Event().wait(0.01)
        log = PredictionLog(folder, "v")
        log.write([entry("later")])
        log.close()
        assert compact(folder, grace_s=0).rows == 1
        assert len(trim(folder, Limits(max_bytes=1), now=1e10)) == 3
        assert asking.poll() is None
    finally:
        asking.kill()
        asking.wait()
    (left,) = folder.glob(".query-*")
    os.utime(left, (1000, 1000))
    compact(folder, grace_s=0)
    assert not left.exists()


def test_a_query_that_takes_too_much_memory_is_stopped(folder: Path) -> None:
    with pytest.raises(TidegateError, match=r"(?i)memory"):
        answer(folder, "select list(a.range) from range(400000000) a")
