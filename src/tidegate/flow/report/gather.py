"""Everything that a report says, from what is recorded: rows, verdict, ledger, locks and live bundle."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.domain import Decision, Event
from tidegate.errors import TidegateError
from tidegate.flow.accounts import accounts
from tidegate.flow.judge import find_functions
from tidegate.flow.report.candidate import Candidate, find_candidate
from tidegate.flow.report.cases import SUSPECTS, has_class_scores, show_rows
from tidegate.flow.report.changes import changed_data, changed_params, read_origin
from tidegate.flow.report.forms import form_of, render
from tidegate.flow.report.merge import Outlook, foresee, name_of
from tidegate.flow.report.stages import describe_stages
from tidegate.gate.checks import Evidence
from tidegate.gate.report.comparisons import compare_findings, compare_sides, evaluate_sides
from tidegate.gate.report.differences import Picked, confuse, pick_changed
from tidegate.gate.report.record import Budget, Report, Step
from tidegate.gate.report.worst import worst_slices
from tidegate.gate.suspects import find_suspects
from tidegate.pipeline import job
from tidegate.pipeline.project import open_project
from tidegate.project import Config, Gate, load_config
from tidegate.store.exchange import decided
from tidegate.store.files import write_atomic
from tidegate.store.git import head_commit
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger
from tidegate.store.state import State

MOST_SLICES = 10
MOST_ROWS = 12
MOST_CELLS = 20


class Seen(NamedTuple):
    """What the ledger knows, and the candidate's rows with their verdict; without them, why not."""

    state: State
    events: Sequence[Event]
    candidate: Candidate | None
    why: str = ""

    @property
    def decision(self) -> Decision | None:
        """The recorded verdict on these rows."""
        return self.candidate.decision if self.candidate else None


def gather_report(
    root: Path,
    *,
    steps: Iterable[Step] = (),
    took: float | None = None,
    stages: Iterable[job.Step] | None = None,
) -> Report:
    """What a reviewer is told about the candidate as it lies here; nothing is decided and nothing spent.

    `steps` and `took` are those of a run of `tidegate ci`, `stages` those of its `repro`; without them the report
    says which stages are stale. What cannot be told is said under `missing`.
    """
    config, layout = load_config(root), Layout(root)
    find_functions(root)
    seen, told = _look(config, layout), tuple(steps)
    report = Report(
        config.project.name,
        head_commit(root),
        time.time(),
        live=name_of(seen.state, seen.state.live) if seen.state.live else "",
        took=took,
        steps=told,
        decision=seen.decision,
        stages=describe_stages(root, stages),
        budget=_budget(seen, config.gate),
        missing=(seen.why,) if seen.why else (),
    )
    if seen.state.live:
        report = _with_changes(report, config, layout, digest=seen.state.live.bundle)
    if seen.candidate:
        report = _with_rows(report, config, root, evidence=seen.candidate.evidence)
    evidence = seen.candidate.evidence if seen.candidate else None
    outlook = Outlook(seen.state, seen.decision, evidence, told, report.stages)
    return msgspec.structs.replace(report, merge=foresee(config, layout, outlook))


def write_report(root: Path, path: Path) -> None:
    """Write the report in the form that the file's suffix stands for."""
    form = form_of(path)
    write_atomic(path, render(gather_report(root), form))


def _look(config: Config, layout: Layout) -> Seen:
    with open_ledger(layout.ledger) as ledger:
        state, events = ledger.state(), decided(ledger)
        try:
            return Seen(state, events, find_candidate(config, layout, ledger))
        except TidegateError as error:
            return Seen(state, events, None, str(error))


def _budget(seen: Seen, gate: Gate) -> Budget | None:
    """The account of the candidate's test set."""
    if seen.candidate is None:
        return None
    test_set = seen.candidate.evidence.candidate.test_set
    found = accounts(seen.events, gate, current=test_set)[0]
    return Budget(found.allowed, found.submissions, found.passes, found.next_error)


def _with_changes(report: Report, config: Config, layout: Layout, *, digest: str) -> Report:
    """The report with what differs from what made the live model."""
    try:
        live = read_origin(layout, digest)
        with open_project(layout.root) as project:
            data, params = changed_data(project, live, config), changed_params(project, live)
    except TidegateError as error:
        return _without(report, str(error))
    return msgspec.structs.replace(report, data=data, params=params)


def _with_rows(report: Report, config: Config, root: Path, *, evidence: Evidence) -> Report:
    """The report with what the test set says; where the gate shows only verdicts, with nothing but them."""
    findings = report.decision.findings if report.decision else ()
    if config.gate.show == "verdict":
        return msgspec.structs.replace(report, comparisons=compare_findings(findings))
    sides = evaluate_sides(evidence, findings)
    verdicts = {found.slice: found.verdict for found in findings if found.kind == "slices"}
    report = msgspec.structs.replace(
        report,
        candidate=sides.candidate,
        baseline=sides.live,
        comparisons=compare_sides(sides, evidence, findings),
        slices=worst_slices(config.gate.rule, evidence, verdicts=verdicts, most=MOST_SLICES),
        confusion=confuse(evidence.candidate, evidence.baseline, MOST_CELLS),
    )
    return _with_cases(report, config, root, evidence=evidence)


def _with_cases(report: Report, config: Config, root: Path, *, evidence: Evidence) -> Report:
    """The report with single rows to look at."""
    groups: dict[str, Picked] = {}
    if evidence.baseline:
        fixed, broken = pick_changed(evidence.candidate, evidence.baseline, MOST_ROWS)
        groups = {"fixed": fixed, "broken": broken}
    if has_class_scores(evidence.candidate):
        found = find_suspects(evidence.candidate)
        if isinstance(found, str):
            report = _without(report, f"suspect truths: {found}")
        else:
            groups[SUSPECTS] = Picked(len(found), found[:MOST_ROWS])
    try:
        shown = show_rows(config, root, evidence, groups=groups)
    except TidegateError as error:
        return _without(report, str(error))
    return msgspec.structs.replace(
        report, fixed=shown.get("fixed"), broken=shown.get("broken"), suspects=shown.get(SUSPECTS)
    )


def _without(report: Report, why: str) -> Report:
    return msgspec.structs.replace(report, missing=(*report.missing, why))
