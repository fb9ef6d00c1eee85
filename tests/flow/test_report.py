"""What a report says of a project: told from what is recorded, spending nothing, never more than the gate shows."""

import base64
import csv
import subprocess

import msgspec
import pytest

from tidegate.errors import UsageError
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.release import Plan, apply
from tidegate.flow.report import gather_report, render, write_report
from tidegate.flow.repro import repro
from tidegate.gate.report.record import Report, Step
from tidegate.pipeline import job
from tidegate.pipeline.plan import Reason
from tidegate.pipeline.reproduce import examine
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

STAGES = """stages:
  clean:
    cmd: cp raw.csv data/clean.csv && cp raw.csv data/other.csv && mkdir -p data/parts && cp raw.csv data/parts/a.csv
      && wc -c < raw.csv > experiments/metrics/scores.json
    deps: [raw.csv]
    params: [scale, noise]
    outs: [data/clean.csv, data/other.csv, data/parts]
    metrics: [{experiments/metrics/scores.json: {cache: false}}]
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: urn:tiny
version: 1.0.0
status: active
name: tiny
servers:
- {server: clean, type: local, path: data/clean.csv, format: csv}
schema:
- name: tiny
  properties:
  - {name: x, logicalType: number, required: true}
"""


def configure(root, old, new):
    path = root / "tidegate.toml"
    path.write_text(path.read_text().replace(old, new, 1))


def release(root):
    judge(root)
    made = plan(root)
    assert isinstance(made, Plan)
    apply(root)


def write_rows(path, heads, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


def write_scored(root, wrong, flipped=()):
    """The candidate's answers with scores: wrong on the first `wrong` rows, of some the truth itself is wrong."""
    rows = []
    for n in range(400):
        real = n % 2
        said = (n + (n < wrong)) % 2
        rows.append((n, (real + (n in flipped)) % 2, said, 0.9 if said else 0.1))
    write_rows(root / "experiments/metrics/evaluation.csv", ("id", "truth", "prediction", "score"), rows)


def events_of(root):
    with open_ledger(Layout(root).ledger) as ledger:
        return [event.kind for event in ledger.events()]


def numbers_in(value):
    """Every number of a record, however deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [found for one in value for found in numbers_in(one)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_without_a_verdict_the_rows_still_speak(project):
    found = gather_report(project)
    assert (found.name, found.live, found.decision, found.baseline) == ("tiny", "", None, None)
    assert found.candidate.metrics["accuracy"].value == 0.95
    assert all(line.live is None and line.verdict is None for line in found.comparisons)
    assert found.merge == ("Nothing: there is no verdict on these evaluation rows.",)
    assert (found.budget.submissions, found.budget.asked) == (32, 0)
    assert events_of(project) == []


def test_a_first_release_has_no_live_columns(project):
    judge(project)
    found = gather_report(project)
    assert found.decision.verdict == "pass"
    assert found.merge == ("The first release: v1 gets all traffic of tiny at once.",)
    assert (found.fixed, found.broken, found.data, found.params) == (None, None, (), ())
    assert all(cell.live is None for cell in found.confusion)
    assert (found.budget.asked, found.budget.passed) == (1, 1)


def test_a_better_candidate_is_shown_beside_live(project, answer):
    release(project)
    answer(project, 2)
    judge(project)
    found = gather_report(project)
    first = found.comparisons[0]
    assert (found.live, first.live, first.candidate, first.verdict) == ("v1", 0.95, 0.995, "pass")
    assert (found.fixed.count, found.broken.count) == (18, 0)
    assert [(row.id, row.truth, row.candidate, row.live) for row in found.fixed.shown[:2]] == [
        ("2", "0", "0", "1"),
        ("3", "1", "1", "0"),
    ]
    assert len(found.fixed.shown) == 12
    assert {(cell.truth, cell.answer, cell.candidate - cell.live) for cell in found.confusion} == {
        ("0", "0", 9), ("0", "1", -9), ("1", "0", -9), ("1", "1", 9),
    }  # fmt: skip
    assert found.merge == (
        "A rollout from v1 to v2 by canary 10% -> 50% -> 100%, each step for at least 1s.",
        "error_rate: an equally good candidate is through after about 12,222 requests at a base rate of 0.0%.",
    )


def test_the_wrong_rate_of_live_plans_the_labels(project, answer):
    configure(project, 'window = "200ms"', 'window = "200ms"\n[[rollout.guard]]\nmetric = "wrong_rate"')
    release(project)
    answer(project, 2)
    judge(project)
    line = gather_report(project).merge[-1]
    assert line.startswith("wrong_rate: an equally good candidate is through after about")
    assert line.endswith("labels at a base rate of 5.0%.")


def test_a_blocked_candidate_ships_nothing(project, answer):
    release(project)
    answer(project, 200)
    judge(project)
    found = gather_report(project)
    assert found.merge == ("Nothing: the gate blocks.",)
    assert found.broken.count == 180
    assert (found.broken.shown[0].live, found.broken.shown[0].candidate) == ("0", "1")


def test_one_rollout_at_a_time(project, answer):
    release(project)
    answer(project, 2)
    release(project)
    answer(project, 1)
    judge(project)
    (line,) = gather_report(project).merge
    assert line.endswith("running at 10%, has ended: one at a time.")


def test_what_is_live_already_is_not_released_again(project):
    release(project)
    judge(project)
    assert gather_report(project).merge == (
        "Nothing: v1, which is live, has the same model, evaluation, contract, settings and environment.",
    )
    (project / "model/artifacts/model.onnx").write_bytes(b"another")
    assert gather_report(project).merge[0].startswith("A rollout from v1 to v2")


@pytest.mark.parametrize("wrong", [2, 380])
def test_a_gate_that_shows_verdicts_lets_no_score_out(project, wrong):
    settings = (
        'show = "verdict"\n[[gate.rule]]\nkind = "slices"\nby = ["truth"]\n[[gate.rule]]\nkind = "labels"\n'
    )
    configure(project, "[[gate.rule]]", f"{settings}[[gate.rule]]")
    configure(project, 'window = "200ms"', 'window = "200ms"\n[[rollout.guard]]\nmetric = "wrong_rate"')
    write_scored(project, 20, flipped=(30, 31, 32))
    release(project)
    write_scored(project, wrong, flipped=(30, 31, 32))
    decision = judge(project)
    found = gather_report(project)
    assert found.decision == decision
    assert (found.candidate, found.baseline, found.fixed, found.broken, found.suspects) == (None,) * 5
    assert (found.slices, found.confusion) == ((), ())
    assert {line.rule: line.verdict for line in found.comparisons}["at least 50.0%"] == (
        "pass" if wrong == 2 else "block"
    )
    known = {*numbers_in(msgspec.to_builtins(decision)), found.at, found.budget.next_error, 32, 2, 1}
    assert set(numbers_in(msgspec.to_builtins(found))) <= known
    scores = {0.95, 0.995, 0.05, 0.9}
    assert not scores & set(numbers_in(msgspec.to_builtins(msgspec.structs.replace(found, decision=None))))
    assert "95.0%" not in render(found, "md") and "wrong_rate" not in render(found, "md")


def test_rows_that_cannot_be_read_are_said_to_be_missing(project):
    (project / "experiments/metrics/evaluation.csv").unlink()
    found = gather_report(project)
    assert found.missing == ("evaluation.csv: no such file",)
    assert (found.decision, found.candidate, found.budget, found.comparisons) == (None, None, None, ())
    assert found.merge == ("Nothing: there is no verdict on these evaluation rows.",)


def test_scores_that_no_rule_asks_for_may_be_anything(project):
    path = project / "experiments/metrics/evaluation.csv"
    write_rows(path, ("id", "truth", "prediction", "score"), [(n, n % 2, n % 2, "none") for n in range(400)])
    judge(project)
    found = gather_report(project)
    assert found.decision.verdict == "pass"
    assert "auc" not in found.candidate.metrics


def test_scores_are_told_although_no_rule_asks_for_them(project):
    write_scored(project, 20)
    release(project)
    write_scored(project, 10)
    decision = judge(project)
    found = gather_report(project)
    assert found.decision == decision
    line = next(line for line in found.comparisons if line.metric == "log_loss")
    assert line.change == pytest.approx(line.candidate - line.live)
    assert line.low < line.change < line.high < 0
    assert found.fixed.shown[0].confidence == pytest.approx(0.9)


def test_suspect_truths_are_shown_with_their_pictures(project):
    pixels = [f"p{n:02}" for n in range(16)]
    rows = [(n, n % 2, *((n * k) % 17 for k in range(16))) for n in range(400)]
    write_rows(project / "data/processed/test.csv", ("id", "label", *pixels), rows)
    write_scored(project, 0, flipped=(30, 31, 32))
    found = gather_report(project).suspects
    assert found.count == 3
    assert {(row.id, row.truth, row.candidate) for row in found.shown} == {
        ("30", "1", "0"), ("31", "0", "1"), ("32", "1", "0"),
    }  # fmt: skip
    assert [row.confidence for row in found.shown] == pytest.approx([0.1] * 3)
    head, _, data = found.shown[0].picture.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")


def test_pictures_are_files_as_long_as_they_are_small(project):
    names = ["small.png", "large.png", *["small.png"] * 398]
    write_rows(
        project / "data/processed/test.csv",
        ("id", "label", "file"),
        [(n, n % 2, names[n]) for n in range(400)],
    )
    (project / "small.png").write_bytes(b"small")
    (project / "large.png").write_bytes(b"x" * 200_000)
    write_scored(project, 0, flipped=(0, 1))
    shown = {row.id: row.picture for row in gather_report(project).suspects.shown}
    assert shown == {"0": f"data:image/png;base64,{base64.b64encode(b'small').decode()}", "1": ""}


def test_a_broken_held_out_table_costs_the_pictures_alone(project):
    (project / "data/processed/test.csv").write_text("")
    write_scored(project, 5, flipped=(30,))
    found = gather_report(project)
    assert found.candidate.n == 400
    assert found.suspects is None
    assert found.missing == ("test.csv: the file is empty, expected CSV",)


def test_of_numbers_the_rows_whose_error_changed_most_are_shown(project):
    configure(project, 'task = "binary"', 'task = "regression"')
    configure(project, "margin = 0.05", 'metric = "mae"\nmargin = 0.5')
    configure(project, '[[gate.rule]]\nkind = "min"\nvalue = 0.5\n', "")

    def answer(off):
        rows = [(n, n / 10, n / 10 + off(n)) for n in range(400)]
        write_rows(project / "experiments/metrics/evaluation.csv", ("id", "truth", "prediction"), rows)

    answer(lambda n: 1 + n % 2 / 10)
    release(project)
    answer(lambda n: 1.05 + (n == 7) - (n == 6))
    judge(project)
    found = gather_report(project)
    assert found.decision.verdict == "pass"
    assert found.candidate.metrics["mae"].value == pytest.approx(1.05)
    assert (found.confusion, found.suspects) == ((), None)
    assert (found.fixed.count, found.broken.count) == (200, 200)
    assert [(row.id, row.truth, row.live, row.candidate) for row in found.fixed.shown[:1]] == [
        ("6", "0.6", "1.6", "0.65")
    ]
    assert found.broken.shown[0].id == "7"


@pytest.fixture
def pipeline(project):
    """The small project with a stage that makes a table the contract will know, one that it will not, a folder."""
    (project / "dvc.yaml").write_text(STAGES)
    (project / "params.yaml").write_text("scale: 1\nnoise: {seed: 1, kind: none}\n")
    write_raw(project, 100)
    (project / ".gitignore").write_text("/.tidegate/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", "-C", str(project), *words], check=True)
    repro(project)
    release(project)
    (project / "contract.odcs.yaml").write_text(CONTRACT)
    return project


def write_raw(root, rows):
    write_rows(root / "raw.csv", ("x",), [(n % 10,) for n in range(rows)])


def test_data_and_params_that_differ_from_what_made_live_are_told(pipeline):
    write_raw(pipeline, 150)
    (pipeline / "params.yaml").write_text("scale: 2\nnoise: {seed: 1, kind: white}\n")
    repro(pipeline)
    found = gather_report(pipeline)
    assert [(one.name, one.was, one.now) for one in found.params] == [
        ("params.yaml:noise.kind", "none", "white"),
        ("params.yaml:scale", "1", "2"),
    ]
    notes = {one.name: one.notes for one in found.data}
    assert notes == {
        "data/clean.csv": ("rows: 100 to 150 (+50.0%)",),
        "data/other.csv": ("rows: 100 to 150",),
        "data/parts": ("1 files: 1 changed",),
        "raw.csv": ("rows: 100 to 150",),
    }
    clean = found.data[0]
    assert len(clean.was) == len(clean.now) == 8
    assert clean.was != clean.now


def test_data_whose_old_version_is_lost_are_told_as_such(pipeline):
    write_raw(pipeline, 150)
    repro(pipeline)
    for path in (pipeline / ".dvc/cache/files/md5").glob("*/*"):
        path.chmod(0o644)
        path.unlink()
    notes = {one.name: one.notes for one in gather_report(pipeline).data}
    lost = ("the version of live is not in the cache",)
    assert notes == {
        "data/clean.csv": lost,
        "data/other.csv": lost,
        "data/parts": lost,
        "raw.csv": ("rows: 100 to 150",),
    }


def test_data_that_came_or_went_have_one_side(pipeline):
    text = (pipeline / "dvc.yaml").read_text()
    (pipeline / "dvc.yaml").write_text(text.replace("data/other.csv, data/parts", "data/parts").replace(
        "cp raw.csv data/other.csv", "cp raw.csv new.txt").replace("[data/clean", "[new.txt, data/clean"))  # fmt: skip
    repro(pipeline)
    found = {one.name: (bool(one.was), bool(one.now), one.notes) for one in gather_report(pipeline).data}
    assert found == {"data/other.csv": (True, False, ()), "new.txt": (False, True, ())}


def test_nothing_differs_from_what_is_live(pipeline):
    found = gather_report(pipeline)
    assert (found.data, found.params) == ((), ())
    assert [(stage.name, stage.action) for stage in found.stages] == [("clean", "skipped")]


def test_a_stale_stage_says_why_and_ships_nothing(pipeline):
    (pipeline / "params.yaml").write_text("scale: 3\nnoise: {seed: 1, kind: none}\n")
    judge(pipeline)
    found = gather_report(pipeline)
    (stage,) = found.stages
    assert (stage.name, stage.action, stage.because) == ("clean", "stale", ("params.yaml:scale 1 -> 3",))
    assert found.merge == ("Nothing: stage `clean` is not up to date.",)


def test_the_stages_of_this_very_run_are_told_instead(pipeline):
    ran = (job.Step("clean", "ran", (Reason("new"),), 1.5), job.Step("raw.csv.dvc", "running"))
    (stage,) = gather_report(pipeline, stages=ran).stages
    assert (stage.name, stage.action, stage.because, stage.seconds) == ("clean", "ran", ("never ran",), 1.5)
    assert gather_report(pipeline, stages=examine(pipeline)).stages[0].action == "skipped"


def test_a_failed_step_ships_nothing(project):
    judge(project)
    steps = (Step("style", "passed", "", 0.1), Step("tests", "failed", "2 of 9 tests fail", 1.0))
    found = gather_report(project, steps=steps, took=3.0)
    assert (found.steps, found.took) == (steps, 3.0)
    assert found.merge == ("Nothing: tests failed.",)


def test_a_live_bundle_that_is_not_here_is_said_to_be_missing(project):
    release(project)
    for folder in Layout(project).bundles.iterdir():
        if folder.is_dir():
            folder.rename(project / folder.name)
    found = gather_report(project)
    assert len(found.missing) == 2
    assert all(line.endswith("no such bundle here") for line in found.missing)


@pytest.mark.parametrize(
    ("name", "start"),
    [("r.md", "### "), ("r.html", "<!doctype html>"), ("r.xml", "<?xml"), ("r.sarif", "{"), ("r.json", "{")],
)
def test_the_suffix_chooses_the_form(project, name, start):
    judge(project)
    write_report(project, project / name)
    assert (project / name).read_text().lower().startswith(start)


def test_another_suffix_is_refused(project):
    with pytest.raises(UsageError, match=r"unknown kind of report `\.pdf`, expected \.md"):
        write_report(project, project / "r.pdf")


def test_the_json_is_the_record(project):
    judge(project)
    found = gather_report(project)
    assert msgspec.json.decode(render(found, "json"), type=Report) == found
