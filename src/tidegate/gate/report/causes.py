"""Why the candidate differs and what follows: steps of the run, data, params, stages, and what a merge would do."""

from collections.abc import Iterable

from tidegate.gate.report.answer import MARKS, Tone
from tidegate.gate.report.record import Case, Changed, Outcome, Report, Stage, Step
from tidegate.gate.report.section import Row, Section, listed
from tidegate.gate.report.sentence import quote

TONES: dict[Outcome, Tone] = {"passed": "good", "failed": "bad", "undecided": "unsure", "skipped": ""}
STAGE_TONES: dict[str, Tone] = {"ran": "good", "restored": "good", "failed": "bad", "stale": "unsure"}


def steps(report: Report) -> Section:
    """Each step of the run in order: how it ended and how long it took."""
    rows = tuple(
        Row((_step(step), step.because, took(step.seconds)), TONES[step.outcome]) for step in report.steps
    )
    return Section("steps", "Steps", rows, ("step", "what happened", "took"), rank=3)


def failures(report: Report) -> Section:
    """What failed in the steps before the gate, each with its place."""
    failed = [
        Row((_case(case),), "bad")
        for step in report.steps
        if step.outcome == "failed"
        for case in step.cases
        if case.outcome == "failed"
    ]
    return Section("failures", "What failed", tuple(failed), total=len(failed), rank=1, is_folded=False)


def repeats(report: Report) -> Section:
    """Steps that ended otherwise before, on the very same inputs."""
    said = tuple(
        f"{step.name}: ended otherwise {_times(step.repeats)} before on the same inputs, it cannot be relied on."
        for step in report.steps
        if step.repeats
    )
    return listed("repeats", "Flaky repeats", said, rank=2)


def data(report: Report) -> Section:
    """Data that differs from what made the live model."""
    return _changes("data", "Data that changed", report.data)


def params(report: Report) -> Section:
    """Params that differ from those of the live model."""
    return _changes("params", "Params that changed", report.params)


def stages(report: Report) -> Section:
    """Why each stage ran again, or did not have to."""
    rows = tuple(map(_stage, report.stages))
    return Section("stages", "Stages", rows, ("stage", "what happened", "because", "took"), rank=5)


def merge(report: Report) -> Section:
    """What a merge would do."""
    return listed("merge", "If merged", report.merge, rank=1)._replace(is_folded=False)


def missing(report: Report) -> Section:
    """What could not be told or measured, and why."""
    unmeasured = report.candidate.missing if report.candidate else {}
    said = (*report.missing, *(f"{quote(name)} is not measured: {why}" for name, why in unmeasured.items()))
    return listed("missing", "What could not be told", said, rank=2)


def place_of(case: Case) -> str:
    """Where a case is: `path:line`, or `path`, or ""."""
    return f"{case.path}:{case.line}" if case.path and case.line else case.path


def took(seconds: float) -> str:
    """A duration for people; "" where none was measured."""
    if seconds <= 0:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    return (
        f"{whole // 3600} h {whole % 3600 // 60:02} min"
        if whole >= 3600
        else f"{whole // 60} min {whole % 60:02} s"
    )


def _changes(key: str, title: str, changed: Iterable[Changed]) -> Section:
    rows = tuple(
        Row((quote(one.name), _quoted(one.was), _quoted(one.now), "; ".join(one.notes))) for one in changed
    )
    return Section(key, title, rows, (("file" if key == "data" else "param"), "live", "now", "how"), rank=4)


def _quoted(text: str) -> str:
    return quote(text) if text else ""


def _step(step: Step) -> str:
    return f"{MARKS[TONES[step.outcome]]} {step.name}"


def _case(case: Case) -> str:
    place = f" at {quote(place_of(case))}" if case.path else ""
    because = f": {case.because}" if case.because else ""
    return f"{MARKS['bad']} {quote(case.name)}{place}{because}"


def _stage(stage: Stage) -> Row:
    tone = STAGE_TONES.get(stage.action, "")
    return Row((quote(stage.name), stage.action, "; ".join(stage.because), took(stage.seconds)), tone)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
