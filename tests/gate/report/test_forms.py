"""The forms for machines: JUnit XML, SARIF and JSON say the same as the pages."""

import json
import re
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.gate.report import render_json, render_junit, render_sarif
from tidegate.gate.report.record import Case, Report, Step

SUITE = {"name", "tests", "failures", "errors", "skipped", "time"}
CASE = {"name", "classname", "time"}
INSIDE = {"failure", "error", "skipped", "system-out"}


def suites(report):
    root = ElementTree.fromstring(render_junit(report))
    return {suite.get("name"): suite for suite in root}


def outcomes(suite):
    return {case.get("name"): case[0].tag if len(case) else "passed" for case in suite}


def results(report):
    return json.loads(render_sarif(report))["runs"][0]["results"]


def test_junit_has_a_suite_a_step_and_a_case_a_rule(blocked):
    found = suites(blocked)
    assert list(found) == ["style", "tests", "contract", "stages", "gate"]
    assert outcomes(found["gate"]) == {
        "not_worse accuracy": "failure", "slices label=8": "failure", "min f1_macro": "system-out", "churn": "error",
        "quantile latency_ms q0.99": "system-out", "size": "system-out", "labels": "system-out",
    }  # fmt: skip
    failure = found["gate"][0][0]
    assert failure.get("message") == failure.text == blocked.decision.findings[0].because
    assert found["gate"].attrib == {
        "name": "gate", "tests": "7", "failures": "2", "errors": "1", "skipped": "0", "time": "3.200",
    }  # fmt: skip
    assert outcomes(found["style"]) == {"style": "system-out"}
    assert len(found["tests"]) == 14


def test_junit_says_where_a_test_fails(failed):
    case = suites(failed)["tests"].find("testcase[@name='test_scale']")
    assert case[0].text == "assert 15 == 16\ntests/test_train.py:12"
    assert case.get("classname") == "digits.tests"


def test_a_step_that_fails_without_a_failed_case_is_one_itself():
    report = Report(
        "digits", "", 0.0, steps=(Step("tests", "failed", "it crashed", 1.0, (Case("a", "passed"),)),)
    )
    assert outcomes(suites(report)["tests"]) == {"a": "passed", "tests": "failure"}


def test_skipped_and_undecided_steps_are_shown_as_such():
    steps = (Step("gate", "skipped", "nothing changed", 0.0), Step("contract", "undecided", "no data", 0.0))
    found = suites(Report("digits", "", 0.0, steps=steps))
    assert outcomes(found["gate"]) == {"gate": "skipped"}
    assert outcomes(found["contract"]) == {"contract": "error"}


def test_a_decision_without_a_run_of_ci_has_its_suite(blocked):
    assert list(suites(replace(blocked, steps=()))) == ["gate"]


def test_junit_counts_add_up(samples):
    for report in samples.values():
        root = ElementTree.fromstring(render_junit(report))
        for attribute in ("tests", "failures", "errors"):
            assert int(root.get(attribute)) == sum(int(suite.get(attribute)) for suite in root)


@given(text=st.text())
@example(text="a\x00\x0b\ufffe\ud800]]>&<!--")
def test_junit_holds_any_text_and_only_what_servers_know(hostile, text):
    root = ElementTree.fromstring(render_junit(hostile(text)))
    for suite in root:
        assert set(suite.attrib) == SUITE
        assert re.fullmatch(r"\d+\.\d{3}", suite.get("time"))
        for case in suite:
            assert set(case.attrib) == CASE
            assert {child.tag for child in case} <= INSIDE


def test_sarif_has_complaints_at_their_lines_and_findings_at_the_settings(blocked, failed):
    complaint = results(failed)[0]
    place = complaint["locations"][0]["physicalLocation"]
    assert complaint["ruleId"] == "style"
    assert complaint["level"] == "error"
    assert complaint["message"] == {"text": "F401: `os` is not used"}
    assert place == {"artifactLocation": {"uri": "src/train.py"}, "region": {"startLine": 3}}
    found = {result["message"]["text"].partition(":")[0]: result for result in results(blocked)}
    assert {name: result["level"] for name, result in found.items()} == {
        "not_worse accuracy": "error", "slices label=8": "error", "churn": "warning", "labels": "note",
    }  # fmt: skip
    uri = found["churn"]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "tidegate.toml"


def test_sarif_lists_each_rule_once_with_help(blocked):
    run = json.loads(render_sarif(blocked))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["gate.not_worse", "gate.slices", "gate.churn", "gate.labels"]
    assert all(rule["help"]["text"].endswith(".") for rule in rules)
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_a_complaint_keeps_its_print_when_lines_move(failed):
    def prints(*lines):
        cases = tuple(Case("F401", "failed", "`os` is not used", "src/a.py", line) for line in lines)
        report = replace(failed, steps=(Step("style", "failed", "", 0.1, cases),), decision=None)
        return [result["partialFingerprints"]["tidegate/v1"] for result in results(report)]

    assert prints(3) == prints(30)
    first, second = prints(3, 9)
    assert first == prints(3)[0]
    assert first.removesuffix(":1") == second.removesuffix(":2")


def test_a_broken_rule_of_the_contract_without_a_place_is_at_the_settings():
    case = Case("p00 range", "failed", "3 rows above 16")
    report = Report("digits", "", 0.0, steps=(Step("contract", "failed", "", 0.1, (case,)),))
    place = results(report)[0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "tidegate.toml"}, "region": {"startLine": 1}}


@given(text=st.text())
@example(text="a b/ü\ud800%.py")
def test_sarif_holds_any_text(hostile, text):
    report = hostile(text)
    complaint = Step("style", "failed", text, 0.1, (Case(text, "failed", text, text, -3),))
    log = json.loads(render_sarif(replace(report, steps=(complaint,))))
    assert set(log) == {"$schema", "version", "runs"}
    for result in log["runs"][0]["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", place["artifactLocation"]["uri"])
        assert place["region"]["startLine"] >= 1


def test_json_is_the_record(samples):
    for report in samples.values():
        page = render_json(report)
        assert page.endswith("}\n")
        assert msgspec.json.decode(page, type=Report) == report


@pytest.mark.parametrize(("text", "kept"), [("half \ud83d", "half ?"), ("ü\n\x00", "ü\n\x00")])
def test_json_holds_any_text(hostile, text, kept):
    assert json.loads(render_json(hostile(text)))["name"] == kept
