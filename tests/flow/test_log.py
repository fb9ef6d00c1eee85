"""The log of a project, as `[log]` says."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.data.contract import parse_contract
from tidegate.domain import Label, Prediction
from tidegate.flow import log as flow_log
from tidegate.flow.evidence import watch_release
from tidegate.flow.judge import judge
from tidegate.flow.log import Keeper, hidden_inputs, keep_log, open_log, query_log
from tidegate.flow.plan import plan
from tidegate.flow.release import apply
from tidegate.project import Config, Log, load_config, parse_config
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger
from tidegate.store.predictions import entry_of, log_size, read_predictions

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: people
version: 1.0.0
status: active
schema:
  - name: people
    logicalType: object
    properties:
      - name: age
        logicalType: number
      - name: email
        logicalType: string
        customProperties: [{property: tidegate.personal, value: true}]
      - name: income
        logicalType: number
        classification: restricted
      - name: pixels
        logicalType: array
        logicalTypeOptions: {minItems: 2, maxItems: 2}
        items: {logicalType: number}
"""
CONTRACT_OF_TINY = """apiVersion: v3.1.0
kind: DataContract
id: tiny
version: 1.0.0
status: active
schema:
  - name: tiny
    logicalType: object
    properties: [{name: x0, logicalType: number}, {name: x1, logicalType: number}]
"""
WAIT_S = 60.0


def config(table: str = "") -> Config:
    return parse_config(f'[project]\nname = "people"\n[log]\n{table}')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one bundle, of which only the contract is looked at."""
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "people"\n')
    bundle = Layout(tmp_path).bundles / "b1"
    bundle.mkdir(parents=True)
    (bundle / "contract.odcs.yaml").write_text(CONTRACT)
    return tmp_path


def write(root: Path, settings: Config, request: str = "a", unit: str = "ann") -> None:
    log = open_log(settings, Layout(root), "w")
    log.hide("b1", hidden_inputs(parse_contract(CONTRACT, "contract"), settings.log))
    inputs = (41.0, "ann@example.org", 90_000.0, 1.0, 2.0)
    row = Prediction(request, time.time(), unit, "people", "b1", "stable", inputs, 1, (), 0.1, 200)
    log.write([entry_of(row)])
    log.write_labels([Label(request, time.time(), 1)])
    log.close()


@pytest.mark.parametrize(
    ("redact", "expected"), [((), {1, 2}), (("age",), {0, 1, 2}), (("pixels", "nothing"), {1, 2, 3, 4})]
)
def test_personal_inputs_are_hidden_and_those_that_the_project_names(
    redact: tuple[str, ...], expected: set[int]
) -> None:
    assert hidden_inputs(parse_contract(CONTRACT, "contract"), Log(redact=redact)) == expected


def test_what_is_hidden_is_in_no_file(root: Path) -> None:
    write(root, config('unit = "hash"'), unit="unit-of-ann")
    keep_log(root, grace_s=0)
    folder = Layout(root).log
    assert [row.inputs for row in read_predictions(folder)[0]] == [(41.0, None, None, 1.0, 2.0)]
    for path in folder.iterdir():
        assert b"ann" not in path.read_bytes()


def test_the_key_of_units_is_made_once_for_its_owner_only(root: Path) -> None:
    for request in ("a", "b"):
        write(root, config('unit = "hash"'), request)
    units = {row.unit for row in read_predictions(Layout(root).log)[0]}
    assert len(units) == 1
    key = Layout(root).keys / "log.key"
    assert (len(key.read_bytes()), key.stat().st_mode & 0o777) == (32, 0o600)


def test_inputs_are_asked_for_by_name(root: Path) -> None:
    write(root, config())
    sql = 'select age, email, "pixels[1]", is_right from joined'
    assert query_log(root, sql).rows == [(41.0, None, 2.0, True)]


def test_a_bundle_that_is_gone_leaves_the_list_of_inputs(root: Path) -> None:
    write(root, config())
    (Layout(root).bundles / "b1/contract.odcs.yaml").write_text("{")
    assert query_log(root, "select inputs[1] from predictions").rows == [(41.0,)]


def test_keeping_compacts_and_deletes_and_the_ledger_says_what(root: Path) -> None:
    for request in ("a", "b"):
        write(root, config(), request)
    assert keep_log(root, grace_s=0).compacted.segments == 4
    for path in Layout(root).log.glob("*.parquet"):
        os.utime(path, (1000, 1000))
    write(root, config(), "c")
    (gone_first, gone_second) = keep_log(root, grace_s=60).trimmed
    assert {gone_first.reason, gone_second.reason} == {"age"}
    with open_ledger(Layout(root).ledger) as ledger:
        (event,) = ledger.events()
    assert (event.kind, event.subject) == ("log.trimmed", "people")
    assert (event.body["reason"], event.body["files"], event.body["newest"]) == ("age", 2, 1000)
    assert [row.request for row in read_predictions(Layout(root).log)[0]] == ["c"]


def test_the_folder_is_bounded(root: Path) -> None:
    (root / "tidegate.toml").write_text('[project]\nname = "people"\n[log]\nmax_bytes = "1B"\nretain = ""\n')
    write(root, config())
    assert {one.reason for one in keep_log(root, grace_s=0).trimmed} == {"size"}
    assert read_predictions(Layout(root).log)[0] == []


def test_a_project_without_a_log_has_nothing_to_keep(root: Path) -> None:
    assert keep_log(root).trimmed == []
    assert not Layout(root).ledger.exists()


def test_the_process_that_keeps_the_log_compacts_it(root: Path) -> None:
    write(root, config())
    for path in Layout(root).log.glob("*.seg"):
        os.utime(path, (time.time() - 100, time.time() - 100))
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.flow.log", str(root)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [(size.segments, size.parquet) for size in log_size(Layout(root).log)] == [(0, 1), (0, 1)]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that a keeper starts, each of which ends at once."""
    found: list[list[str]] = []
    start = subprocess.Popen

    def run(words: list[str], **more: object) -> "subprocess.Popen[bytes]":
        found.append(words)
        return start(["true"])

    monkeypatch.setattr(subprocess, "Popen", run)
    return found


def test_a_keeper_starts_when_it_is_time_or_when_much_waits(
    root: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, config())
    keeper = Keeper(root, Log())
    moments = (0, 9, 11, 22, 33, 3600, 3660)
    counts = [_started(keeper, started, now=float(now)) for now in moments]
    assert counts == [0, 0, 1, 1, 1, 1, 2]
    monkeypatch.setattr(flow_log, "MOST_BYTES", 10)
    assert _started(keeper, started, now=3700.0) == 3
    keeper.close()
    assert started[0][1:] == ["-m", "tidegate.flow.log", str(root)]


def _started(keeper: Keeper, started: list[list[str]], *, now: float) -> int:
    """How many were started by `now`, each of them having ended."""
    end = time.monotonic() + WAIT_S
    before = len(started)
    while True:
        keeper.tick(now)
        process = keeper._process
        if process is None or process.poll() is not None or time.monotonic() > end:
            break
        process.wait(WAIT_S)
    assert len(started) <= before + 1
    return len(started)


def test_the_monitor_watches_no_input_that_the_log_hides(project: Path) -> None:
    settings = project / "tidegate.toml"
    settings.write_text(
        settings.read_text() + '[monitor]\nwindow = "1s"\nmin_rows = 50\n[log]\nredact = ["x0"]\n'
    )
    for step in (judge, plan, apply):
        step(project)
    layout, settings = Layout(project), load_config(project)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
    watched = watch_release(settings, layout, state)
    log = open_log(settings, layout, "w")
    log.hide(state.live.bundle, hidden_inputs(parse_contract(CONTRACT_OF_TINY, "contract"), settings.log))
    start = state.live.at
    for second in range(4):
        rows = [
            Prediction(
                f"{second}.{n}",
                start + second,
                "u",
                "tiny",
                state.live.bundle,
                "stable",
                (9.0, 8.0),
                n % 2,
                (),
                1.0,
                200,
            )
            for n in range(100)
        ]
        log.write(list(map(entry_of, rows)))
    log.close()
    seen = watched.seen(start + 10, dropped=0)
    assert seen.rows >= 300
    assert not [feature for feature in seen.features if "x0" in str(feature)]
