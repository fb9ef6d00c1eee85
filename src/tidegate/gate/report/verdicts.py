"""What the gate found: the table of metrics, a sentence a rule, the slices, the budget, the claims tested."""

from collections.abc import Iterator

from tidegate.domain import Consequence, Decision, Finding, Unit, Verdict
from tidegate.gate.report.answer import MARKS, Tone, more_labels, tone_of
from tidegate.gate.report.record import Budget, Comparison, Report, Slice
from tidegate.gate.report.section import Row, Section, listed
from tidegate.gate.report.sentence import quote
from tidegate.gate.words import say, say_interval
from tidegate.project.metric import LOSSES

NOT_COVERED = (
    "Other traffic: the verdict speaks for the population that the rows are a random sample of.",
    "The training recipe: this artifact was judged, another seed gives another one.",
    "Slices that nobody listed, and slices too small to test.",
    "Candidates tuned on the numbers of this page: the budget bounds what is chosen by passing or not.",
    "Test sets that share rows: each content of the test set has a budget of its own.",
)
HIDDEN = "This gate shows verdicts only (`gate.show`): no number of it leaves the gate."
WORDS: dict[Tone, str] = {
    "good": "passes",
    "bad": "blocks",
    "unsure": "cannot tell",
    "warned": "warns",
    "": "",
}


def metrics(report: Report) -> Section:
    """Each metric of the candidate beside live, what was asked of it, and whether that is proven."""
    n = report.decision.n if report.decision else 0
    live = f"live {report.live}".strip()
    columns = ("metric", live, "candidate", "change (95 % interval)", "rule", "verdict")
    rows = tuple(_metric(found, n) for found in report.comparisons)
    hidden = HIDDEN if report.decision and report.decision.show == "verdict" else ""
    return Section("metrics", "Metrics", rows, columns, note=hidden, is_folded=False)


def findings(report: Report) -> Section:
    """Why each rule was decided as it was."""
    found = report.decision.findings if report.decision else ()
    rows = tuple(Row((_finding(one),), tone_of(one)) for one in found)
    return Section("findings", "What each rule found", rows, rank=1, is_folded=False)


def slices(report: Report) -> Section:
    """The parts of the test set on which the candidate does worst."""
    unit = slice_unit(report)
    columns = ("slice", "rows", "live", "candidate", "change (95 % interval)", "verdict")
    rows = tuple(_slice(part, unit) for part in report.slices)
    return Section("slices", "Worst slices", rows, columns, rank=3, most=10, is_folded=False)


def slice_unit(report: Report) -> Unit:
    """Slices are measured by accuracy, in a regression by the mean absolute error."""
    judged = report.candidate or report.baseline
    return "number" if judged and judged.task == "regression" else "share"


def budget(report: Report) -> Section:
    """How much of the test set is used up, and what the next submission is tested at."""
    account, decision = report.budget, report.decision
    left = max(account.submissions - account.asked, 0) if account else 0
    title = f"Test budget: {left} of {account.submissions} submissions left" if account else "Test budget"
    said = [*_account(account, left), *_tested_at(decision)]
    return listed("budget", title, tuple(said), rank=2)


def tested(report: Report) -> Section:
    """What each test tried to refute, in words; of slices once for all."""
    found = report.decision.findings if report.decision else ()
    nulls = {
        (one.kind if one.kind == "slices" else one.check, one.guarantee, one.null): one
        for one in found
        if one.null
    }
    said = tuple(f"{quote(name)} ({kind}) {_aim(one)}." for (name, kind, _), one in nulls.items())
    return listed("tested", "What was tested", said, rank=7)


def uncovered(report: Report) -> Section:
    """What no number of the report speaks about."""
    return listed("uncovered", "Not covered", NOT_COVERED if report.decision else (), rank=7)


def verdict_tone(verdict: Verdict | None, severity: Consequence = "block") -> Tone:
    """How a verdict is shown; no verdict has no tone."""
    tones: dict[Verdict, Tone] = {"pass": "good", "block": "bad", "underpowered": "unsure", "hold": "unsure"}
    tone = tones[verdict] if verdict else ""
    return "warned" if severity == "warn" and tone in ("bad", "unsure") else tone


def _account(account: Budget | None, left: int) -> Iterator[str]:
    if not account:
        return
    yield f"{account.asked} of {account.submissions} submissions on this test set are used, {account.passed} passed."
    yield f"The next one is tested at error {account.next_error:.3g}." if left else "Fresh labels are needed."


def _tested_at(decision: Decision | None) -> Iterator[str]:
    if decision and decision.error:
        yield f"This was submission {decision.submission}, tested at error {decision.error:.3g}."


def _metric(found: Comparison, n: int) -> Row:
    tone = verdict_tone(found.verdict, found.severity)
    cells = (
        _name(found.metric), _value(found.live, found.unit), _value(found.candidate, found.unit),
        change_of(found, found.unit), found.rule, _verdict(tone, more_labels(found.n_needed, n)),
    )  # fmt: skip
    return Row(cells, tone)


def _name(metric: str) -> str:
    return f"{quote(metric)}{' (less is better)' if metric.partition('(')[0] in LOSSES else ''}"


def _slice(part: Slice, unit: Unit) -> Row:
    tone = verdict_tone(part.verdict)
    cells = (
        quote(part.name), f"{part.n:,}", _value(part.live, unit), _value(part.candidate, unit),
        change_of(part, unit), _verdict(tone, None),
    )  # fmt: skip
    return Row(cells, tone)


def change_of(found: Comparison | Slice, unit: Unit) -> str:
    """A change with its interval, `-2.6 [-4.1, -1.2] pp`; "" where there is none."""
    if found.change is None:
        return ""
    unit = "points" if unit == "share" else unit
    value = say(found.change, unit) if unit in ("points", "bytes") else f"{found.change:+.4g}"
    if found.low is None and found.high is None:
        return value
    low, high = _end(found.low, -1), _end(found.high, 1)
    return f"{value.removesuffix(' pp')} {say_interval(low, high, unit)}"


def _end(value: float | None, sign: int) -> float:
    return sign * float("inf") if value is None else value


def _value(value: float | None, unit: Unit) -> str:
    return "" if value is None else say(value, "share" if unit == "points" else unit)


def _verdict(tone: Tone, missing: int | None) -> str:
    if not tone:
        return ""
    needs = f"needs {missing:,} more labels" if missing and tone == "unsure" else WORDS[tone]
    return f"{MARKS[tone]} {needs}"


def _finding(found: Finding) -> str:
    missing = more_labels(found.n_needed, found.n) if found.verdict == "underpowered" else None
    needs = f"; needs {missing:,} more labels" if missing else ""
    return f"{MARKS[tone_of(found)]} {quote(found.check)}: {found.because}{needs}."


def _aim(found: Finding) -> str:
    opens = found.kind in ("slices", "labels", "distribution") and "or more" not in found.null
    where = ", in any slice" if found.kind == "slices" else ""
    return f"{'blocks' if opens else 'passes'} by refuting{where}: {found.null}"
