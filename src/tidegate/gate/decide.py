"""The verdict: a pure function of rules, evidence and the decisions that went before."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tidegate.domain import Decision, Finding, Verdict
from tidegate.errors import UsageError
from tidegate.gate.checks import Evidence, Terms, beats_dummy, check
from tidegate.gate.evaluate import rows_digest, test_set_digest
from tidegate.project import CONFIG, Gate
from tidegate.stats.budget import level


class Question(NamedTuple):
    """What a submission asks, as digests; asked again it has the same answer."""

    candidate: str
    baseline: str | None
    test_set: str
    rules: str


class Spent(NamedTuple):
    """What earlier submissions took from the budget of a test set."""

    submissions: int
    passes: int


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
        _judge(gate, evidence, error) if error else (_exhausted(gate, spent, len(evidence.candidate.ids)),)
    )
    return Decision(
        **question._asdict(),
        commit=commit,
        findings=findings,
        verdict=combine(findings),
        error=error,
        submission=spent.submissions + 1,
        at=now,
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


def spent_on(test_set: str, history: Iterable[Decision]) -> Spent:
    """Distinct submissions on a test set so far, and how many of them passed."""
    verdicts = {_question_of(past): past.verdict for past in history if past.test_set == test_set}
    return Spent(len(verdicts), list(verdicts.values()).count("pass"))


def next_level(gate: Gate, spent: Spent) -> float:
    """The error that the next submission is tested at; 0 when the test set's budget is spent."""
    if spent.submissions >= gate.submissions:
        return 0.0
    return level(spent.passes, submissions=gate.submissions, error=gate.error)


def combine(findings: Iterable[Finding]) -> Verdict:
    """One block blocks; what is not all proven is underpowered."""
    verdicts = {finding.verdict for finding in findings}
    if "block" in verdicts:
        return "block"
    return "pass" if verdicts == {"pass"} else "underpowered"


def rules_digest(gate: Gate) -> str:
    """SHA-256 of the gate's settings: under other rules the same rows are another question."""
    return hashlib.sha256(msgspec.json.encode(gate, order="sorted")).hexdigest()


def _ask(gate: Gate, evidence: Evidence) -> Question:
    if not gate.rule:
        hint = "leave `rule` out for the default, `not_worse`"
        raise UsageError(CONFIG, "gate.rule: empty, a gate needs at least one rule", hint=hint)
    candidate, baseline = evidence
    live = rows_digest(baseline) if baseline else None
    return Question(rows_digest(candidate), live, test_set_digest(candidate), rules_digest(gate))


def _question_of(past: Decision) -> Question:
    return Question(past.candidate, past.baseline, past.test_set, past.rules)


def _judge(gate: Gate, evidence: Evidence, error: float) -> tuple[Finding, ...]:
    terms = Terms(error, gate.error, gate.power)
    findings = tuple(found for rule in gate.rule for found in check(rule, evidence, terms))
    return findings if evidence.baseline else (*findings, beats_dummy(evidence.candidate, terms))


def _exhausted(gate: Gate, spent: Spent, n: int) -> Finding:
    because = (
        f"{spent.submissions} submissions were judged on this test set, its budget is {gate.submissions}: "
        "fresh labels needed"
    )
    used = float(spent.submissions)
    return Finding("budget", "underpowered", used, used, used, n, None, because)
