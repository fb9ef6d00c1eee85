"""What programs read: the JSON of every command that looks at a live endpoint, and their exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def asked(digits: Path, endpoint, run: Callable) -> Path:
    """The example, live, after 300 requests whose labels came."""
    done = run(digits, "replay", "--requests", "300", "--json").json
    assert (done["sent"], done["failed"], done["labeled"]) == (300, 0, 300)
    return digits


def test_ps_names_service_release_and_version(asked: Path, run: Callable) -> None:
    found = run(asked, "ps", "--json").json
    assert found["endpoint"] == "digits"
    assert found["service"]["is_ready"] is True
    assert (found["live"]["number"], found["version"]) == (1, 1)
    assert (found["rollout"], found["alerts"]) == (None, [])


def test_log_shows_the_newest_first_and_no_more_than_asked_for(asked: Path, run: Callable) -> None:
    rows = run(asked, "log", "-n", "5", "--json").json
    assert len(rows) == 5
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert len(rows[0]["inputs"]) == 64
    assert len(run(asked, "log", "-n", "5").out.splitlines()) == 6


def test_monitor_counts_every_label_in_whole_batches(asked: Path, run: Callable) -> None:
    found = run(asked, "monitor", "--json").json
    assert found["release"] == 1
    assert found["labels"] == 300
    assert found["alerts"] == []


def test_labels_come_from_the_command_line_too(asked: Path, run: Callable, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("request,truth\nnobody-1,3\nnobody-2,4\n")
    done = run(asked, "labels", "add", str(file), "--label", "nobody-3=5", "--json").json
    assert done == {"accepted": 3, "unknown": ["nobody-3", "nobody-1", "nobody-2"]}
    assert "expected FILE or --label" in run(asked, "labels", "add", expect=2).err
    assert "expected REQUEST=TRUTH" in run(asked, "labels", "add", "--label", "x", expect=2).err


def test_predict_takes_a_row_or_a_table(asked: Path, run: Callable) -> None:
    found = run(asked, "predict", "data/processed/test.csv", "-n", "3", "--json").json
    assert len(found["rows"]) == len(found["predictions"]) == len(found["scores"]) == 3
    row = json.dumps([0] * 64)
    assert run(asked, "predict", "--row", row, "--json").json["rows"] == ["row"]
    assert "64 columns" in run(asked, "predict", "--row", "[1, 2]", expect=2).err
    assert "not JSON" in run(asked, "predict", "--row", "{", expect=2).err
    assert "either TABLE or --row" in run(asked, "predict", expect=2).err


def test_bundles_are_listed_and_shown(asked: Path, run: Callable) -> None:
    (only,) = run(asked, "bundle", "ls", "--json").json
    assert (only["version"], only["is_live"]) == (1, True)
    shown = run(asked, "bundle", "show", only["bundle"][:8], "--json").json
    assert shown["bundle"] == only["bundle"]
    assert {"model.onnx", "contract.odcs.yaml", "provenance.json"} <= set(shown["files"])
    assert "params.yaml:train.trees = 10" in run(asked, "bundle", "show", only["bundle"]).out


def test_without_a_rollout_its_commands_say_so(asked: Path, run: Callable) -> None:
    assert "there was none yet" in run(asked, "rollout", "status", expect=1).err
    for verb in ("pause", "resume", "promote", "abort"):
        assert "no rollout is in progress" in run(asked, "rollout", verb, expect=1).err
    assert "no rollout is in progress" in run(asked, "replay", "--until", "decided", expect=1).err


def test_a_replay_that_waits_in_vain_fails_and_says_for_what(asked: Path, run: Callable) -> None:
    words = ("replay", "--until", "alert", "--requests", "20")
    assert "no alert within" in run(asked, *words, expect=1).err
    assert run(asked, *words, "--json", expect=1).json["outcome"] == ""


def test_the_gate_plans_labels_and_writes_its_report(asked: Path, run: Callable, tmp_path: Path) -> None:
    needs = run(asked, "gate", "--plan", "--json").json
    assert {"rule", "assuming", "error", "power", "labels"} == set(needs[0])
    report = tmp_path / "gate.md"
    run(asked, "gate", "--report", str(report))
    assert "not_worse" in report.read_text() or "min" in report.read_text()


def test_metrics_count_the_requests(endpoint, asked: Path) -> None:
    text = endpoint.ask("GET", "/metrics").body
    counted = [
        line for line in text.splitlines() if line.startswith("tidegate_request_duration_seconds_count")
    ]
    assert any('path="/predict"' in line and float(line.split()[-1]) >= 300 for line in counted)
