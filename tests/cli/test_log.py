"""`tidegate log` on the command line."""

import csv
import io
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.cli.log import command
from tidegate.domain import Label, Prediction
from tidegate.errors import UsageError
from tidegate.store.layout import Layout
from tidegate.store.predictions import PredictionLog, entry_of


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three logged predictions, the last one fresh, and a label of the first."""
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    log = PredictionLog(Layout(tmp_path).log, "w")
    for request, at in (("a", 1000.0), ("b", 2000.0), ("c", time.time() - 60)):
        row = Prediction(request, at, "ann", "tiny", "b" * 64, "stable", (0.5,), 3, (0.9,), 1.5, 200)
        log.write([entry_of(row)])
    log.write_labels([Label("a", 3000.0, "3")])
    log.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)


def shown(*words: str) -> list[str]:
    return [row["request"] for row in json.loads(run(*words, "--json").output)]


def test_the_newest_come_first_and_no_more_than_asked_for(root: Path) -> None:
    assert shown() == ["c", "b", "a"]
    assert shown("-n", "2") == ["c", "b"]
    heads, line = run("-n", "1").output.splitlines()
    assert heads.split()[:3] == ["at", "request", "unit"]
    assert line.split()[2:] == ["c", "ann", "stable", "b" * 12, "3", "0.900", "1.50", "200"]


def test_a_request_or_a_time_is_searched_for(root: Path) -> None:
    assert shown("--request", "b") == ["b"]
    assert shown("--request", "nobody") == []
    assert shown("--since", "1h") == ["c"]
    assert shown("--since", "30s") == []
    with pytest.raises(UsageError, match="not a duration like"):
        run("--since", "yesterday")


def test_the_same_rows_are_shown_after_a_compaction(root: Path) -> None:
    before = run("--json").output
    assert run("compact").output.startswith("2 segments compacted, 4 rows")
    assert run("--json").output == before
    assert run("compact", "--json").output == run("compact", "--json").output
    assert json.loads(run("compact", "--json").output) == {
        "segments": 0,
        "rows": 0,
        "saved": 0,
        "deleted": [],
    }


def test_what_is_too_old_is_deleted_by_hand_too(root: Path) -> None:
    (root / "tidegate.toml").write_text('[project]\nname = "tiny"\n[log]\nmax_bytes = "1B"\n')
    said = run("compact").output.splitlines()
    assert said[0].startswith("0 segments compacted")
    assert [line.partition(" ")[2] for line in said[1:]] == ["deleted for its size"] * 2
    assert shown() == []


def test_a_query_prints_a_table_csv_or_json(root: Path) -> None:
    sql = "select request, latency_ms, is_right from joined order by request"
    assert [line.split() for line in run("query", sql).output.splitlines()] == [
        ["request", "latency_ms", "is_right"],
        ["a", "1.5", "True"],
        ["b", "1.5"],
        ["c", "1.5"],
    ]
    table = list(csv.reader(io.StringIO(run("query", sql, "--format", "csv").output)))
    assert table[:2] == [["request", "latency_ms", "is_right"], ["a", "1.5", "True"]]
    assert json.loads(run("query", sql, "--json").output)[1] == {
        "request": "b",
        "latency_ms": 1.5,
        "is_right": None,
    }
    times = json.loads(run("query", "select time, flags from predictions limit 1", "--json").output)
    assert times[0]["time"].startswith("1970-01-01T00:16:40")


def test_a_query_says_when_there_is_more(root: Path) -> None:
    done = run("query", "select * from range(5)", "--limit", "2", "--format", "csv")
    assert done.stdout.splitlines() == ["range", "0", "1"]
    assert done.stderr == "only the first 2 rows, `--limit` for more\n"


def test_the_size_is_shown_by_stream(root: Path) -> None:
    heads, predictions, labels = (line.split() for line in run("size").output.splitlines())
    assert heads == ["stream", "segments", "open", "MB", "parquet", "MB", "since"]
    assert (predictions[:4], labels[:4]) == (["predictions", "1", "0", "0.0"], ["labels", "1", "0", "0.0"])
    assert [one["segments"] for one in json.loads(run("size", "--json").output)] == [1, 1]
