"""Repeats on the very same inputs: each is recorded, and one that ended otherwise before says so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from tidegate.domain import Record
from tidegate.flow.ci.step import Ended, Name, counted, listed
from tidegate.gate.report.record import Case, Outcome
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

CHECKED = "ci.checked"
MAX_NAMED = 100


class Check(Record, frozen=True):
    """One check as the ledger has it: on which inputs, how it ended, and the first of its cases that failed."""

    inputs: str
    outcome: Outcome
    failed: tuple[str, ...] = ()


class Repeated(NamedTuple):
    """How a check ended, with what its repeats say, and how often it ended otherwise before."""

    ended: Ended
    repeats: int


def record_check(root: Path, name: Name, ended: Ended) -> tuple[Check, ...]:
    """Write down how a check ended, and return how it did before on the very same inputs."""
    now = Check(ended.inputs, ended.outcome, ended.failed[:MAX_NAMED])
    with open_ledger(Layout(root).ledger) as ledger:
        events = [event for event in ledger.events(kinds=(CHECKED,)) if event.subject == name]
        ledger.append(CHECKED, name, msgspec.to_builtins(now))
    before = (msgspec.convert(event.body, Check) for event in events)
    return tuple(check for check in before if check.inputs == now.inputs)


def judge_repeats(ended: Ended, before: Sequence[Check], *, policy: Literal["warn", "fail"]) -> Repeated:
    """What is left of a check's outcome beside its repeats: one that passes now and failed before is flaky."""
    failed = set(ended.failed[:MAX_NAMED])
    others = [past for past in before if past.outcome != ended.outcome or set(past.failed) != failed]
    if not others:
        return Repeated(ended, 0)
    was = sorted({name for past in others for name in past.failed} - failed)
    new = sorted(name for name in failed if any(name not in past.failed for past in others))
    because = f"{ended.because}; flaky, {_count(others)} on the same inputs{_flips(was, new)}"
    is_refused = policy == "fail" and ended.outcome == "passed"
    outcome: Outcome = "failed" if is_refused else ended.outcome
    cases = tuple(_marked(case, was, new, is_refused=is_refused) for case in ended.cases)
    return Repeated(ended._replace(outcome=outcome, because=because, cases=cases), len(others))


def _count(others: Sequence[Check]) -> str:
    return f"{counted(len(others), 'time')} ended otherwise"


def _flips(was: list[str], new: list[str]) -> str:
    parts = [f"{listed(was)} failed -> passed"] if was else []
    parts += [f"{listed(new)} passed -> failed"] if new else []
    return f": {', '.join(parts)}" if parts else ""


def _marked(case: Case, was: Sequence[str], new: Sequence[str], *, is_refused: bool) -> Case:
    """A case that flipped says so, and counts as failed where a flake does."""
    if case.name not in was and case.name not in new:
        return case
    flip = "failed before on the same inputs" if case.name in was else "passed before on the same inputs"
    because = f"{case.because} ({flip})" if case.because else flip
    return msgspec.structs.replace(case, because=because, outcome="failed" if is_refused else case.outcome)
