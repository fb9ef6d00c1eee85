"""A decision as a page for the reviewer: rendered from what was recorded, nothing computed again."""

from collections.abc import Iterable

from tidegate.domain import Decision, Finding
from tidegate.gate.words import say, say_interval
from tidegate.project import Gate

HEADLINES = {
    "pass": "✅ {name}: may ship, every rule is proven",
    "block": "❌ {name}: must not ship, {names}",
    "underpowered": "⏸ {name}: cannot tell yet, {names}",
    "hold": "⏸ {name}: on hold, {names}",
}

NOT_COVERED = (
    "Other traffic: the verdict speaks for the population that the rows are a random sample of.",
    "The training recipe: this artifact was judged, another seed gives another one.",
    "Slices that nobody listed, and slices too small to test.",
    "Candidates tuned on the numbers of this page: the budget bounds what is chosen by passing or not.",
    "Test sets that share rows: each content of the test set has a budget of its own.",
)


def render_report(decision: Decision, *, name: str, gate: Gate) -> str:
    """The Markdown of one decision about the project `name`; its first line says whether to ship."""
    parts = [
        f"### {_headline(decision, name)}",
        _identity(decision),
        _table(decision.findings),
        "\n".join(f"- `{_escaped(found.check)}`: {_escaped(found.because)}." for found in decision.findings),
        _hypotheses(decision),
        _budget(decision, gate),
        "**Not covered.**\n" + "\n".join(f"- {line}" for line in NOT_COVERED),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(decision: Decision, name: str) -> str:
    judged = [found for found in decision.findings if found.severity == "block"]
    at_fault = [found.check for found in judged if found.verdict == decision.verdict]
    names = ", ".join(f"`{_escaped(check)}`" for check in at_fault)
    return HEADLINES[decision.verdict].format(name=name, names=names)


def _identity(decision: Decision) -> str:
    live = f"live `{decision.baseline[:12]}`" if decision.baseline else "nothing live"
    commit = f" · commit `{decision.commit[:7]}`" if decision.commit else ""
    return (
        f"Candidate `{decision.candidate[:12]}` against {live} on test set `{decision.test_set[:12]}`{commit}"
    )


def _table(findings: Iterable[Finding]) -> str:
    rows = [("check", "verdict", "estimate", "interval", "rows", "rows needed")]
    rows += [("---", "---", "---:", "---:", "---:", "---:")]
    rows += [_cells(found) for found in findings if found.check != "budget"]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) if len(rows) > 2 else ""


def _cells(found: Finding) -> tuple[str, str, str, str, str, str]:
    needed = f"{found.n_needed:,}" if found.n_needed else ""
    estimate = "" if found.estimate is None else say(found.estimate, found.unit)
    ends = found.low is not None and found.high is not None
    span = say_interval(found.low or 0.0, found.high or 0.0, found.unit) if ends else ""
    verdict = found.verdict if found.severity == "block" else f"{found.verdict} (warning)"
    check = _escaped(found.check).replace("|", "\\|")
    return check, verdict, estimate, span, f"{found.n:,}", needed


def _hypotheses(decision: Decision) -> str:
    """What each test tried to refute, in words; of slices once for all."""
    nulls = {
        (found.kind if found.kind == "slices" else found.check, found.guarantee, found.null): found
        for found in decision.findings
        if found.null
    }
    lines = [f"- `{_escaped(check)}` ({kind}) {_aim(found)}." for (check, kind, _), found in nulls.items()]
    return "\n".join(["**What was tested.**", *lines]) if lines else ""


def _aim(found: Finding) -> str:
    opens = found.kind in ("slices", "labels", "distribution") and "or more" not in found.null
    where = ", in any slice" if found.kind == "slices" else ""
    return f"{'blocks' if opens else 'passes'} by refuting{where}: {_escaped(found.null)}"


def _budget(decision: Decision, gate: Gate) -> str:
    spent = f"**Test budget.** Submission {decision.submission} of {gate.submissions} on this test set"
    if not decision.error:
        return f"{spent}: fresh labels needed."
    return (
        f"{spent}, passing tested at error {decision.error:.3g}: "
        f"over all of them a bad candidate passes with probability {gate.error:g} at most. "
        "The low end of an interval (of `churn` the high end) is drawn at that error, "
        f"the other end at {gate.error:g}: an interval clear of its bound is the verdict."
    )


def _escaped(text: str) -> str:
    """A slice's value may hold what Markdown takes for the end of the line or of code."""
    return " ".join(text.split()).replace("`", "'")
