"""The report as SARIF 2.1.0: style complaints, broken rules of the contract and findings of the gate, with places."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote as percent

from tidegate import __version__
from tidegate.domain import Finding
from tidegate.gate.report.answer import tone_of
from tidegate.gate.report.record import Case, Report, Step
from tidegate.gate.report.sentence import clean
from tidegate.project import CONFIG

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"bad": "error", "unsure": "warning", "warned": "note"}
HELP = {
    "style": "The style check that the project configured complains here; `tidegate ci` runs the same check.",
    "contract": "The data breaks a rule of its contract; `tidegate contract check` lists the rows.",
    "gate.not_worse": "The metric must be proven to be at most the margin worse than the live model's.",
    "gate.better": "The metric must be proven to be better than the live model's.",
    "gate.min": "The metric must be proven to reach its value.",
    "gate.max": "The metric must be proven to stay within its value.",
    "gate.slices": "No slice of the test set may be proven worse than live.",
    "gate.churn": "Only so many answers may differ from the live model's.",
    "gate.quantile": "The quantile of the column must be proven to stay within its limit.",
    "gate.size": "The model's file may only be so large.",
    "gate.memory": "A process that loads the model may only grow by so much.",
    "gate.distribution": "The answers must be distributed as the live model's.",
    "gate.simpler": "The candidate must be proven better than simple models.",
    "gate.labels": "Only so many truths of the test set may look wrong.",
    "gate.budget": "A test set judges a limited number of candidates; then fresh labels are needed.",
}


class Result(NamedTuple):
    """One thing to look at: the rule, how bad it is, a sentence, the file and its line."""

    rule: str
    level: str
    text: str
    path: str
    line: int
    subject: str = ""


def render_sarif(report: Report) -> str:
    """SARIF 2.1.0 of what did not pass, for GitHub's code scanning and editors."""
    found = list(_results(report))
    rules = list(dict.fromkeys(result.rule for result in found))
    driver = {"name": "tidegate", "version": __version__, "rules": [_rule(name) for name in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": list(_written(found, rules)),
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _results(report: Report) -> Iterator[Result]:
    for step in report.steps:
        if step.name in ("style", "contract"):
            yield from _complaints(step)
    for found in report.decision.findings if report.decision else ():
        if tone_of(found) != "good":
            yield _finding(found)


def _complaints(step: Step) -> Iterator[Result]:
    """A complaint without a place is about the project's settings."""
    for case in step.cases:
        if case.outcome in ("failed", "undecided"):
            level = "error" if case.outcome == "failed" else "warning"
            yield Result(step.name, level, _said(case), case.path or CONFIG, case.line or 1, case.name)


def _said(case: Case) -> str:
    return f"{case.name}: {case.because}" if case.because else case.name


def _finding(found: Finding) -> Result:
    level, rule = LEVELS[tone_of(found)], f"gate.{found.kind or 'rule'}"
    return Result(rule, level, f"{found.check}: {found.because}", CONFIG, 1, found.check)


def _rule(name: str) -> dict[str, object]:
    text = HELP.get(name, "A rule of the gate, as the project's settings say it.")
    return {"id": name, "shortDescription": {"text": text}, "help": {"text": text}}


def _written(found: Iterable[Result], rules: list[str]) -> Iterator[dict[str, object]]:
    """Each result with a print that stays while lines move; a second one alike counts on."""
    seen: Counter[str] = Counter()
    for result in found:
        print_ = _print(result)
        seen[print_] += 1
        yield {
            "ruleId": result.rule,
            "ruleIndex": rules.index(result.rule),
            "level": result.level,
            "message": {"text": clean(result.text)},
            "locations": [_location(result)],
            "partialFingerprints": {"tidegate/v1": f"{print_}:{seen[print_]}"},
        }


def _print(result: Result) -> str:
    text = "" if result.rule.startswith("gate.") else result.text
    what = "\0".join((result.rule, result.path, result.subject, text))
    return hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:32]


def _location(result: Result) -> dict[str, object]:
    uri = percent(result.path, errors="replace")
    place = {"artifactLocation": {"uri": uri}, "region": {"startLine": max(result.line, 1)}}
    return {"physicalLocation": place}
