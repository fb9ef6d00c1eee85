"""A report as its sections, in the order in which a reviewer asks: each form says the same."""

from datetime import UTC, datetime

from tidegate.gate.report import behavior, causes, verdicts
from tidegate.gate.report.record import Report
from tidegate.gate.report.section import Section, narrowed
from tidegate.gate.report.sentence import quote

ORDER = (
    causes.failures, verdicts.metrics, verdicts.findings, verdicts.slices, causes.merge, causes.repeats,
    behavior.broken, behavior.fixed, behavior.confusion, behavior.suspects, causes.data, causes.params, causes.stages,
    causes.steps, causes.missing, verdicts.budget, verdicts.tested, verdicts.uncovered,
)  # fmt: skip


def sections(report: Report) -> tuple[Section, ...]:
    """The sections that have something to say."""
    found = (build(report) for build in ORDER)
    return tuple(narrowed(section) for section in found if section.rows or section.total or section.note)


def identity(report: Report) -> tuple[str, ...]:
    """What was compared with what, when and how long it took, piece by piece."""
    decision, judged = report.decision, report.candidate
    is_first = decision is not None and decision.baseline is None
    live = f"against live {quote(report.live)}" if report.live else "nothing is live yet" if is_first else ""
    pieces = (
        f"commit {quote(report.commit[:12])}" if report.commit else "",
        live,
        f"test set {quote(decision.test_set[:12])}" if decision else "",
        f"{decision.n or (judged.n if judged else 0):,} rows" if decision else "",
        f"took {causes.took(report.took)}" if report.took else "",
        datetime.fromtimestamp(report.at, UTC).strftime("%Y-%m-%d %H:%M UTC") if report.at > 0 else "",
    )
    return tuple(piece for piece in pieces if piece)
