"""The gate as a verb: rows and files in, one recorded verdict out."""

import csv
import sys

import msgspec
import pytest

from tidegate.domain import Decision
from tidegate.errors import UsageError
from tidegate.flow.judge import decisions, judge, needs, needs_of_easeml
from tidegate.flow.plan import plan
from tidegate.flow.release import apply
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

# as an earlier version wrote it into ledgers that exist
OLD = {
    "candidate": "c" * 64, "baseline": None, "test_set": "t" * 64, "rules": "r" * 64, "commit": "abc",
    "findings": [
        {"check": "min accuracy", "verdict": "pass", "estimate": 0.95, "low": 0.9, "high": 0.98, "n": 400,
         "n_needed": None, "because": "380 right of 400 rows", "guarantee": "exact"}
    ],
    "verdict": "pass", "error": 0.00078125, "submission": 1, "at": 1.0,
}  # fmt: skip


def write_evaluation(root, wrong, *, start=400, columns=(), extra=lambda _: ()):
    """The candidate's answers to the held-out table, wrong on the first `wrong` rows."""
    with (root / "experiments/metrics/evaluation.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "truth", "prediction", *columns))
        for n in range(400):
            writer.writerow((start + n, n % 2, (n + (n < wrong)) % 2, *extra(n)))


def configure(root, text):
    path = root / "tidegate.toml"
    path.write_text(path.read_text().replace("[rollout]", f"{text}\n[rollout]"))


def checks(decision):
    return {found.check: found for found in decision.findings}


def test_events_of_an_earlier_version_are_read():
    found = msgspec.convert(OLD, Decision)
    assert found.findings[0].severity == "block"
    assert (found.findings[0].kind, found.show, found.n) == ("", "interval", 0)


def test_the_first_release_is_compared_with_simple_models(project):
    write_evaluation(project, 20)
    found = checks(judge(project))
    assert found["simpler dummy"].verdict == "pass"
    for name in ("simpler linear", "simpler tree"):
        assert found[name].severity == "warn"
        assert found[name].n == 400


def test_why_a_simple_model_was_not_judged_is_said(project):
    write_evaluation(project, 20, start=0)
    found = checks(judge(project))["simpler linear"]
    assert found.because.endswith("data/processed/test.csv holds other rows than the evaluation")
    (project / "data/processed/train.csv").write_text("id,label,name\n1,0,x\n")
    write_evaluation(project, 21, start=0)
    assert "share no column of features" in checks(judge(project))["simpler linear"].because


def test_asking_again_costs_nothing_and_says_the_same(project):
    write_evaluation(project, 20)
    first = judge(project)
    assert judge(project) == first
    with open_ledger(Layout(project).ledger) as ledger:
        assert decisions(ledger) == (first,)


def test_another_model_file_is_asked_about_where_a_rule_measures_it(project):
    configure(
        project, '[[gate.rule]]\nkind = "size"\nmax = "1MB"\n[[gate.rule]]\nkind = "memory"\nmax = "500MB"\n'
    )
    first = judge(project)
    assert (checks(first)["size"].verdict, checks(first)["memory"].verdict) == ("pass", "pass")
    path = project / "model/artifacts/model.onnx"
    path.write_bytes(path.read_bytes() + b"\x00" * 2_000_000)
    second = judge(project)
    assert (second.submission, checks(second)["size"].verdict) == (2, "block")


def test_a_live_model_is_asked_anew_when_the_test_set_has_changed(project):
    write_evaluation(project, 20, start=0)
    judge(project)
    plan(project)
    apply(project)
    write_evaluation(project, 20)
    decision = judge(project)
    assert decision.baseline is not None
    assert checks(decision)["not_worse accuracy"].live == 1.0


def test_other_rows_than_the_held_out_ones_cannot_be_compared(project):
    write_evaluation(project, 20)
    judge(project)
    plan(project)
    apply(project)
    write_evaluation(project, 20, start=600)
    with pytest.raises(UsageError) as caught:
        judge(project)
    message = (
        "live (400) and candidate (400) share 200 evaluation ids, they must be evaluated on the same rows"
    )
    assert caught.value.message == message


def test_only_verdicts_are_recorded_where_only_they_are_shown(project):
    configure(project, "")
    path = project / "tidegate.toml"
    path.write_text(path.read_text().replace("error = 0.05", 'error = 0.05\nshow = "verdict"', 1))
    judge(project)
    with open_ledger(Layout(project).ledger) as ledger:
        (event,) = ledger.events(kinds=("gate.decided",))
    assert event.body["verdict"] == "pass"
    assert {found["estimate"] for found in event.body["findings"]} == {None}
    assert all("interval" not in found["because"] for found in event.body["findings"])


def test_metrics_of_the_projects_own_are_found_in_its_source(project):
    (project / "src").mkdir()
    (project / "src/own_metric_of_a_test.py").write_text(
        "def cost(rows):\n    return (rows['truth'] != rows['prediction']) * 3.0\n"
    )
    configure(project, '[[gate.rule]]\nkind = "max"\nmetric = "own_metric_of_a_test:cost"\nvalue = 0.5\n')
    found = checks(judge(project))["max own_metric_of_a_test:cost"]
    assert (found.verdict, found.estimate) == ("pass", pytest.approx(0.15))


def test_latency_and_slices_are_read_from_the_rows(project):
    rules = (
        '[[gate.rule]]\nkind = "quantile"\ncolumn = "latency_ms"\nq = 0.9\nmax = 50.0\n'
        '[[gate.rule]]\nkind = "slices"\nbins = ["latency_ms:4"]\nwhere = ["latency_ms > 20"]\n'
    )
    configure(project, rules)
    write_evaluation(project, 20, columns=("latency_ms",), extra=lambda n: (n % 40,))
    assert checks(judge(project))["quantile latency_ms q0.9"].verdict == "pass"
    plan(project)
    apply(project)
    write_evaluation(project, 18, columns=("latency_ms",), extra=lambda n: (n % 40,))
    found = judge(project)
    assert {f.slice for f in found.findings if f.kind == "slices"} >= {"latency_ms > 20"} or len(
        [f for f in found.findings if f.kind == "slices"]
    ) == 3


def test_labels_are_planned_by_our_tests_and_by_the_bounds_of_others(project):
    ours, theirs = needs(project), needs_of_easeml(project)
    assert {need.rule for need in ours} == {"not_worse accuracy", "min accuracy"}
    blind = max(need.labels for need in theirs if need.rule == "not_worse accuracy")
    assert blind > 10 * max(need.labels or 0 for need in ours if need.rule == "not_worse accuracy")


def test_what_passed_by_a_metric_of_ones_own_is_planned_until_the_metric_changes(project, monkeypatch):
    own, outside = project / "src/own_metric_of_a_plan.py", sys.path.copy()
    own.parent.mkdir()
    own.write_text("def accuracy(rows):\n    return rows['truth'] == rows['prediction']\n")
    configure(project, '[[gate.rule]]\nkind = "min"\nvalue = 0.8\nmetric = "own_metric_of_a_plan:accuracy"\n')
    assert judge(project).verdict == "pass"
    monkeypatch.setattr(sys, "path", outside)
    monkeypatch.delitem(sys.modules, "own_metric_of_a_plan")
    assert plan(project).action == "release"
    own.write_text(own.read_text() + "# edited\n")
    with pytest.raises(UsageError, match="no verdict on these evaluation rows"):
        plan(project)
    assert judge(project).submission == 2
