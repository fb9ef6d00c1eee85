"""The verdict: a pure function of rules, evidence and the decisions that went before."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tidegate.domain import Decision, Finding, Verdict
from tidegate.errors import UsageError
from tidegate.gate.checks import Evidence, check
from tidegate.gate.custom import sources_digest
from tidegate.gate.finding import Terms
from tidegate.gate.rows import count
from tidegate.gate.simpler import beats_dummy, judge_simpler
from tidegate.project import CONFIG, Gate, Measured, Memory, Simpler, Size, write_unit
from tidegate.stats.budget import Account, Grant, balance
from tidegate.stats.budget import next_level as level_after

TRAINED = Simpler(than=("linear", "tree"))
NOTHING_LEARNED = {
    "pass": "is refuted",
    "block": "is proven",
    "underpowered": "is neither refuted nor proven",
}


class Question(NamedTuple):
    """What a submission asks, as digests; asked again it has the same answer."""

    candidate: str
    baseline: str | None
    test_set: str
    rules: str


def decide(
    gate: Gate, evidence: Evidence, history: Sequence[Decision], *, now: float, commit: str
) -> Decision:
    """May the candidate ship?

    Over all `gate.submissions` on one test set a bad candidate passes with probability `gate.error` at
    most, even when each is chosen by which earlier ones passed. A question that `history` has answered
    gets that decision back and spends nothing. Raises UsageError for rules that cannot be judged.
    """
    recorded = answered(gate, evidence, history)
    if recorded:
        return recorded
    question = _ask(gate, evidence)
    spent = spent_on(question.test_set, history)
    error = next_level(gate, spent)
    findings = (
        _judge(gate, evidence, error) if error else (_exhausted(gate, spent, count(evidence.candidate)),)
    )
    return Decision(
        **question._asdict(),
        commit=commit,
        findings=findings if gate.show == "interval" else tuple(hide(found) for found in findings),
        verdict=combine(findings),
        error=error,
        submission=spent.submissions + 1,
        at=now,
        n=count(evidence.candidate),
        show=gate.show,
    )


def answered(gate: Gate, evidence: Evidence, history: Iterable[Decision]) -> Decision | None:
    """The decision that answers this question already, if there is one.

    Of rows that equal the live model's in every answer nothing new is asked: the pass stands that they were
    released on.
    """
    question = _ask(gate, evidence)
    is_live = question.candidate == question.baseline
    for past in history:
        known = _question_of(past)
        if known == question or (
            is_live and past.verdict == "pass" and known._replace(baseline=question.baseline) == question
        ):
            return past
    return None


def spent_on(test_set: str, history: Iterable[Decision]) -> Account:
    """Distinct submissions on a test set so far, and how many of them passed."""
    asked = [past for past in history if past.test_set == test_set]
    passed = {_question_of(past) for past in asked if past.verdict == "pass"}
    return balance(question in passed for question in dict.fromkeys(map(_question_of, asked)))


def next_level(gate: Gate, spent: Account) -> float:
    """The error that the next submission is tested at; 0 when the test set's budget is spent."""
    return level_after(spent, Grant(gate.submissions, gate.error))


def combine(findings: Iterable[Finding]) -> Verdict:
    """One block blocks; what is not all proven is underpowered. Warnings have no part in it."""
    verdicts = {finding.verdict for finding in findings if finding.severity == "block"}
    if "block" in verdicts:
        return "block"
    return "pass" if verdicts <= {"pass"} else "underpowered"


def hide(finding: Finding) -> Finding:
    """The finding without its numbers: what leaves a gate that shows verdicts alone."""
    if finding.kind == "budget":
        return finding
    words = f"`{finding.null}` {NOTHING_LEARNED[finding.verdict]}" if finding.null else finding.verdict
    return Finding(
        finding.check, finding.verdict, None, None, None, finding.n, None, words, finding.guarantee,
        severity=finding.severity, kind=finding.kind, metric=finding.metric, slice=finding.slice,
        unit=finding.unit, bound=finding.bound, error=finding.error, method=finding.method, null=finding.null,
    )  # fmt: skip


def rules_digest(gate: Gate) -> str:
    """SHA-256 of the gate's settings: under other rules the same rows are another question.

    Rules with a metric of the user's own are others when its source is.
    """
    settings = msgspec.json.encode(gate, order="sorted", enc_hook=write_unit)
    own = sources_digest(rule.named for rule in gate.rule if isinstance(rule, Measured))
    return hashlib.sha256(settings + own.encode()).hexdigest()


def _ask(gate: Gate, evidence: Evidence) -> Question:
    if not gate.rule:
        hint = "leave `rule` out for the default, `not_worse`"
        raise UsageError(CONFIG, "gate.rule: empty, a gate needs at least one rule", hint=hint)
    candidate, live, artifact = evidence.candidate, evidence.baseline, evidence.artifact
    rules = rules_digest(gate)
    if artifact and any(isinstance(rule, Size | Memory) for rule in gate.rule):
        rules = hashlib.sha256(f"{rules} {artifact.digest}".encode()).hexdigest()
    return Question(candidate.digest, live.digest if live else None, candidate.test_set, rules)


def _question_of(past: Decision) -> Question:
    return Question(past.candidate, past.baseline, past.test_set, past.rules)


def _judge(gate: Gate, evidence: Evidence, error: float) -> tuple[Finding, ...]:
    """Every rule; while nothing is live the dummy stands in for it, and simple models say what they say."""
    terms = Terms(error, gate.error, gate.power)
    findings = [found for rule in gate.rule for found in check(rule, evidence, terms)]
    if evidence.baseline is None:
        findings = [found for found in findings if found.check != "simpler dummy"]
        findings.append(beats_dummy(evidence.candidate, terms))
        if not any(isinstance(rule, Simpler) for rule in gate.rule):
            findings += judge_simpler(TRAINED, evidence.candidate, evidence.challengers, terms=terms)
    return tuple(findings)


def _exhausted(gate: Gate, spent: Account, n: int) -> Finding:
    because = (
        f"{spent.submissions} submissions were judged on this test set, its budget is {gate.submissions}: "
        "fresh labels needed"
    )
    used = float(spent.submissions)
    return Finding("budget", "underpowered", used, used, used, n, None, because, kind="budget")
