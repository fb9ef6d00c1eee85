"""`repro`: bring the pipeline up to date and record in the ledger what ran."""

import time
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.flow.check import enforced
from tidegate.pipeline.job import QUIET, Listener, Request
from tidegate.pipeline.lockfile import recorded
from tidegate.pipeline.reproduce import ALL, Outcome, forget_run, reproduce

if TYPE_CHECKING:
    from tidegate.domain import Run


def repro(root: Path, request: Request = ALL, *, listener: Listener = QUIET) -> Outcome:
    """Run what is stale, then append `run.finished` if a stage ran; errors as in `reproduce`.

    What a stage wrote is held to the data contract before it counts. A run that was killed after a stage had
    finished is recorded by the next one, under its own id.
    """
    outcome = reproduce(root, request, listener=enforced(root, listener))
    if outcome.ran:
        _append(root, outcome)
    if outcome.id:
        forget_run(root)
    return outcome


def _append(root: Path, outcome: Outcome) -> None:
    import msgspec

    from tidegate.store.layout import Layout
    from tidegate.store.ledger import open_ledger

    with open_ledger(Layout(root).ledger) as ledger:
        recorded = {event.subject for event in ledger.events(kinds=("run.finished",))}
        if outcome.id not in recorded:
            ledger.append("run.finished", outcome.id, msgspec.to_builtins(_run(root, outcome)))


def storable(value: Any) -> Any:
    """A param as JSON can hold it: keys are text, and there is no infinity."""
    if isinstance(value, dict):
        return {str(key): storable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [storable(part) for part in value]
    return value if not isinstance(value, float) or isfinite(value) else str(value)


def _run(root: Path, outcome: Outcome) -> "Run":
    from tidegate.domain import Run
    from tidegate.store.git import head_commit

    lock = recorded(outcome.entries.values())
    return Run(
        id=outcome.id,
        commit=head_commit(root),
        stages=outcome.ran,
        params={name: storable(value) for name, value in lock.params.items()},
        deps=lock.deps,
        outs=lock.outs,
        started=outcome.started,
        ended=time.time(),
    )
