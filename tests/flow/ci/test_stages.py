"""Only what changes affect runs, in time, and what comes from the cache keeps the contract."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from tidegate.flow.ci.stages import look_ahead, run_stages

PIPELINE = """stages:
  copy:
    cmd: cp in.csv out.csv
    deps: [in.csv]
    outs: [out.csv]
  count:
    cmd: wc -l < out.csv > lines.txt
    deps: [out.csv]
    outs: [lines.txt]
  other:
    cmd: OTHER
    deps: [other.txt]
    outs: [other.out]
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: urn:tiny
version: 1.0.0
status: active
name: tiny
servers:
- {server: out, type: local, path: out.csv, format: csv}
schema:
- name: tiny
  properties:
  - name: age
    logicalType: integer
    logicalTypeOptions: {minimum: 0, maximum: MAXIMUM}
"""


@pytest.fixture
def pipeline(tmp_path, write):
    """Three stages, one of them on its own."""
    write(tmp_path, "tidegate.toml", '[project]\nname = "tiny"\n')
    set_other(tmp_path, "cp other.txt other.out")
    write(tmp_path, "in.csv", "age\n30\n")
    write(tmp_path, "other.txt", "1\n")
    return tmp_path


def set_other(root, command):
    (root / "dvc.yaml").write_text(PIPELINE.replace("OTHER", command))


def take(root, room):
    affected = run_stages(room(root), look_ahead(root))
    return affected.ended, {step.stage: step.action for step in affected.stages}


def test_only_what_is_affected_runs(pipeline, write, room):
    ended, _ = take(pipeline, room)
    assert ended.because == "3 of 3 stages ran: `copy`, `count`, `other`"
    assert take(pipeline, room)[0].because == "0 of 3 stages ran"
    write(pipeline, "other.txt", "2\n")
    assert take(pipeline, room)[0].because == "1 of 3 stages ran: `other`"


def test_results_of_the_cache_are_not_computed_again(pipeline, room):
    take(pipeline, room)
    for name in ("out.csv", "lines.txt", "other.out"):
        (pipeline / name).unlink()
    ended, stages = take(pipeline, room)
    assert ended.because == "0 of 3 stages ran, 3 from the cache"
    assert set(stages.values()) == {"restored"}


def test_one_failure_leaves_the_others_to_run(pipeline, room):
    set_other(pipeline, "echo 3 > other.out; exit 3")
    ended, stages = take(pipeline, room)
    assert ended.outcome == "failed"
    assert ended.because.startswith("`other` failed: stage `other`: command ended with exit code 3")
    assert stages == {"copy": "ran", "count": "ran", "other": "failed"}


def test_what_needs_a_failed_stage_stays_stale(pipeline, room):
    text = (pipeline / "dvc.yaml").read_text()
    (pipeline / "dvc.yaml").write_text(text.replace("cp in.csv out.csv", "exit 7"))
    ended, stages = take(pipeline, room)
    assert ended.failed == ("copy",)
    assert stages == {"copy": "failed", "count": "stale", "other": "ran"}


def test_a_missing_dep_is_no_verdict(pipeline, room):
    (pipeline / "other.txt").unlink()
    ended, _ = take(pipeline, room)
    assert (ended.outcome, ended.could_run) == ("undecided", False)
    assert "other.txt" in ended.because


def test_a_stage_that_hangs_fails_in_time(pipeline, configure, room):
    configure(pipeline, 'timeout = "500ms"')
    set_other(pipeline, "sleep 60")
    ended, stages = take(pipeline, room)
    assert ended.because == "`other` failed: stage `other`: took longer than 500ms"
    assert stages["copy"] == "ran"


def test_what_a_stage_writes_against_the_contract_fails_it(pipeline, write, room):
    write(pipeline, "contract.odcs.yaml", CONTRACT.replace("MAXIMUM", "20"))
    ended, stages = take(pipeline, room)
    assert (ended.outcome, stages["copy"]) == ("failed", "failed")
    assert "breaks the data contract" in ended.because


def test_what_comes_from_the_cache_is_held_to_the_contract_too(pipeline, write, room):
    take(pipeline, room)
    (pipeline / "out.csv").unlink()
    write(pipeline, "contract.odcs.yaml", CONTRACT.replace("MAXIMUM", "20"))
    ended, _ = take(pipeline, room)
    assert (ended.outcome, ended.failed) == ("failed", ("out.csv: age range",))


def test_what_is_not_here_comes_from_the_default_remote(pipeline, write, room, tmp_path_factory):
    from tidegate.flow.sync import push

    remote = tmp_path_factory.mktemp("remote")
    write(pipeline, ".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    take(pipeline, room)
    push(pipeline)
    shutil.rmtree(pipeline / ".dvc/cache")
    (pipeline / "out.csv").unlink()
    assert take(pipeline, room)[0].because == "0 of 3 stages ran, 3 from the cache"


def test_without_a_pipeline_it_says_so(tmp_path, write, room):
    write(tmp_path, "tidegate.toml", '[project]\nname = "tiny"\n')
    ended, stages = take(tmp_path, room)
    assert (ended.outcome, ended.because) == ("skipped", "no pipeline, dvc.yaml names no stage")
    assert stages == {}


def test_results_are_no_inputs_but_sources_are(pipeline, write, room, git):
    git(pipeline, "init", "--quiet")
    write(pipeline, ".gitignore", "/.tidegate/\n/.dvc/\n")
    before = take(pipeline, room)[0].inputs
    assert take(pipeline, room)[0].inputs == before
    write(pipeline, "other.txt", "2\n")
    assert take(pipeline, room)[0].inputs != before


def test_it_works_in_any_thread_where_signals_are_not_heard(pipeline, room):
    with ThreadPoolExecutor(1) as pool:
        ended, _ = pool.submit(take, pipeline, room).result(timeout=60)
    assert ended.outcome == "passed"
