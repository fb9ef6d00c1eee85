"""May I merge? The first line of a report in plain words: yes, no, or not yet, and why."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tidegate.domain import Decision, Finding
from tidegate.gate.report.record import Report, Step
from tidegate.gate.report.sentence import quote
from tidegate.gate.words import say

Tone = Literal["good", "bad", "unsure", "warned", ""]

MARKS: dict[Tone, str] = {"good": "✅", "bad": "❌", "unsure": "⏸", "warned": "⚠️", "": "▫️"}
SHOWN = 3
FAILURES = {
    "style": "{failed} of the style check",
    "tests": "{failed} of {cases} tests fail",
    "contract": "the data breaks {failed} of its contract",
}
NOUNS = {"style": "complaint", "contract": "rule"}
UNNAMED = {
    "style": "the style check fails",
    "tests": "the tests fail",
    "contract": "the data breaks its contract",
    "stages": "the pipeline fails",
    "gate": "the gate fails",
}
CAUSES = {
    "not_worse": "{metric} is worse than live",
    "better": "{metric} is not better than live",
    "min": "{metric} stays below {bound}",
    "max": "{metric} stays above {bound}",
    "slices": "the model got worse on {slice}",
    "churn": "too many answers change",
    "quantile": "{metric} is above {bound}",
    "size": "the model is too large",
    "memory": "the model needs too much memory",
    "distribution": "the answers are distributed otherwise than live's",
    "simpler": "it is not better than a simpler model, {metric}",
    "labels": "too many truths look wrong",
}


class Answer(NamedTuple):
    """What to do and why: `words` is the verdict, each of `reasons` a sentence with quoted parts."""

    tone: Tone
    words: str
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The whole answer; of many reasons the first."""
        shown = "; ".join(self.reasons[:SHOWN])
        more = len(self.reasons) - SHOWN
        tail = f"; and {more} more" if more > 0 else ""
        return f"{self.words}: {shown}{tail}" if shown else self.words


def answer(report: Report) -> Answer:
    """One failed step or one block forbids the merge; else what is undecided postpones it."""
    decision = report.decision
    failed = tuple(
        _failure(step) for step in report.steps if step.outcome == "failed" and _speaks(step, decision)
    )
    blocked = _causes(_judged(decision, "block"))
    if failed or blocked:
        return Answer("bad", "do not merge", failed + blocked)
    waiting = tuple(_wait(found) for found in _judged(decision, "underpowered", "hold"))
    waiting += tuple(
        _open(step) for step in report.steps if step.outcome == "undecided" and _speaks(step, decision)
    )
    if waiting:
        return Answer("unsure", "cannot tell yet", waiting)
    if decision:
        return Answer("good", "you may merge", (_proof(decision),))
    passed: list[str] = [step.name for step in report.steps if step.outcome == "passed"]
    if passed:
        return Answer(
            "good", "you may merge", (f"{_list(passed)} passed, and nothing that the gate judges changed",)
        )
    return Answer("unsure", "cannot tell", ("nothing was checked",))


def tone_of(found: Finding) -> Tone:
    """How a finding is shown; what only warns never forbids."""
    if found.verdict == "pass":
        return "good"
    if found.severity == "warn":
        return "warned"
    return "bad" if found.verdict == "block" else "unsure"


def more_labels(needed: int | None, n: int) -> int | None:
    """The labels that are missing to prove it; None when nobody knows."""
    return needed - n if needed and needed > n else None


def _speaks(step: Step, decision: Decision | None) -> bool:
    """The gate's own findings say more than its step."""
    return step.name != "gate" or not decision or decision.verdict == "pass"


def _judged(decision: Decision | None, *verdicts: str) -> list[Finding]:
    findings = decision.findings if decision else ()
    return [found for found in findings if found.severity == "block" and found.verdict in verdicts]


def _failure(step: Step) -> str:
    failed = sum(case.outcome == "failed" for case in step.cases)
    if not failed or step.name not in FAILURES:
        return UNNAMED[step.name]
    counted = _plural(failed, NOUNS[step.name]) if step.name in NOUNS else f"{failed:,}"
    return FAILURES[step.name].format(failed=counted, cases=f"{len(step.cases):,}")


def _causes(blocked: Sequence[Finding]) -> tuple[str, ...]:
    """A cause a rule; of slices the first speaks for all."""
    parts = [found for found in blocked if found.kind == "slices"]
    more = f", and {_plural(len(parts) - 1, 'more slice')}" if len(parts) > 1 else ""
    others = (found for found in blocked if found.kind != "slices" or found is parts[0])
    return tuple(f"{_cause(found)}{more if found.kind == 'slices' else ''}" for found in others)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _cause(found: Finding) -> str:
    words = CAUSES.get(found.kind, "{check} is refuted").format(
        metric=quote(found.metric), slice=quote(found.slice), check=quote(found.check),
        bound="" if found.bound is None else say(found.bound, found.unit),
    )  # fmt: skip
    return (
        words
        if found.estimate is None or found.unit != "points"
        else f"{words}, {say(found.estimate, 'points')}"
    )


def _wait(found: Finding) -> str:
    if found.kind == "budget":
        return "the budget of this test set is spent, fresh labels are needed"
    missing = more_labels(found.n_needed, found.n)
    if missing:
        return f"{quote(found.check)} needs {missing:,} more labels"
    return f"{quote(found.check)} is neither proven nor refuted"


def _open(step: Step) -> str:
    return f"{step.name} is undecided"


def _proof(decision: Decision) -> str:
    if decision.baseline is None:
        return "a first release, every rule that needs no live model is proven"
    return "every rule is proven"


def _list(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
