"""The report as JUnit XML: a test suite a step, a test case a thing looked at, as CI servers list them."""

import re
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tidegate.domain import Finding
from tidegate.gate.report.answer import Tone, tone_of
from tidegate.gate.report.causes import place_of
from tidegate.gate.report.record import Case, Outcome, Report, Step

ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
OUTCOMES: dict[Tone, Outcome] = {"good": "passed", "warned": "passed", "bad": "failed", "unsure": "undecided"}
TAGS: dict[Outcome, str] = {
    "failed": "failure",
    "undecided": "error",
    "skipped": "skipped",
    "passed": "system-out",
}
COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render_junit(report: Report) -> str:
    """JUnit XML: what blocks is a failure, what cannot be told yet an error; a warning passes with its text."""
    root = Element("testsuites", {"name": _legal(report.name)})
    root.extend(_suite(step, report.name) for step in _steps(report))
    root.attrib |= {"tests": _count(root, "testcase"), "failures": _count(root, "failure")}
    root.attrib |= {"errors": _count(root, "error"), "time": _time(report.took or 0.0)}
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _steps(report: Report) -> Sequence[Step]:
    """The steps, the gate's with a case for each finding."""
    if not report.decision:
        return report.steps
    found = tuple(map(_case, report.decision.findings))
    gates = [step for step in report.steps if step.name == "gate"]
    gate = gates[0] if gates else Step("gate", "passed", "", 0.0)
    others = [step for step in report.steps if step.name != "gate"]
    return [*others, Step("gate", gate.outcome, gate.because, gate.seconds, found)]


def _case(found: Finding) -> Case:
    return Case(found.check, OUTCOMES[tone_of(found)], found.because)


def _suite(step: Step, name: str) -> Element:
    suite = Element("testsuite", {"name": step.name})
    suite.extend(_testcase(case, f"{name}.{step.name}") for case in _cases(step))
    suite.attrib |= {"tests": _count(suite, "testcase"), "time": _time(step.seconds)}
    suite.attrib |= {attribute: _count(suite, tag) for attribute, tag in COUNTED.items()}
    return suite


def _cases(step: Step) -> Iterable[Case]:
    """The step's cases, and the step itself where none of them says how it ended."""
    said = any(case.outcome == step.outcome for case in step.cases)
    own = Case(step.name, step.outcome, step.because, seconds=step.seconds)
    return step.cases if said else (*step.cases, own)


def _testcase(case: Case, group: str) -> Element:
    made = Element(
        "testcase", {"classname": _legal(group), "name": _legal(case.name), "time": _time(case.seconds)}
    )
    place = place_of(case)
    text = _legal("\n".join(part for part in (case.because, place) if part))
    if case.outcome == "passed":
        if text:
            SubElement(made, "system-out").text = text
        return made
    SubElement(made, TAGS[case.outcome], {"message": _legal(case.because)}).text = text
    return made


def _count(root: Element, tag: str) -> str:
    return str(sum(1 for _ in root.iter(tag)))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _legal(text: str) -> str:
    """The text without what XML 1.0 cannot hold."""
    return ILLEGAL.sub("\ufffd", text)
