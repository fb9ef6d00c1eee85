"""A decision as a page for the reviewer: rendered from what was recorded, nothing computed again."""

from collections.abc import Iterable

from tidegate.domain import Decision, Finding
from tidegate.gate.pairs import points
from tidegate.project import Better, Churn, Gate, Min, NotWorse, Rule

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

DUMMY = "passes by refuting: the accuracy is at most that of always giving the most frequent answer"


def render_report(decision: Decision, *, name: str, gate: Gate) -> str:
    """The Markdown of one decision about the project `name`; its first line says whether to ship."""
    parts = [
        f"### {_headline(decision, name)}",
        _identity(decision),
        _table(decision.findings),
        "\n".join(f"- `{_escaped(found.check)}`: {_escaped(found.because)}." for found in decision.findings),
        _hypotheses(decision, gate),
        _budget(decision, gate),
        "**Not covered.**\n" + "\n".join(f"- {line}" for line in NOT_COVERED),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(decision: Decision, name: str) -> str:
    at_fault = [found.check for found in decision.findings if found.verdict == decision.verdict]
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
    unit, show = (" %", _percent) if _kind(found) in ("min", "churn") else (" pp", points)
    needed = f"{found.n_needed:,}" if found.n_needed else ""
    span = f"[{show(found.low)}, {show(found.high)}]{unit}"
    check = _escaped(found.check).replace("|", "\\|")
    return check, found.verdict, f"{show(found.estimate)}{unit}", span, f"{found.n:,}", needed


def _hypotheses(decision: Decision, gate: Gate) -> str:
    """What each test tried to refute, in words; only for rules that found something."""
    kinds = {_kind(found): found.guarantee for found in decision.findings}
    nulls = [*((_tag(rule), _null(rule)) for rule in gate.rule), ("beats_dummy", DUMMY)]
    lines = [f"- `{kind}` ({kinds[kind]}) {null}." for kind, null in nulls if kind in kinds]
    return "\n".join(["**What was tested.**", *lines]) if lines else ""


def _null(rule: Rule) -> str:
    if isinstance(rule, Min):
        return f"passes by refuting: the {rule.metric} is below {_percent(rule.value)} %"
    if isinstance(rule, Churn):
        return f"passes by refuting: more than {_percent(rule.max)} % of the answers change"
    if isinstance(rule, NotWorse):
        return f"passes by refuting: the {rule.metric} is {_plain(rule.margin)} pp or more below live"
    if isinstance(rule, Better):
        return f"passes by refuting: the {rule.metric} is at most {_plain(rule.by)} pp above live"
    return (
        f"blocks by refuting, in any slice: the {rule.metric} is at most {_plain(rule.margin)} pp below live"
    )


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


def _kind(found: Finding) -> str:
    return found.check.split()[0]


def _tag(rule: Rule) -> str:
    return str(rule.__struct_config__.tag)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _plain(share: float) -> str:
    return f"{100 * share:.3g}"


def _escaped(text: str) -> str:
    """A slice's value may hold what Markdown takes for the end of the line or of code."""
    return " ".join(text.split()).replace("`", "'")
