"""`tidegate ci`: what a CI job runs, and the same on a laptop. Exit 0 pass, 3 block, 4 undecided, 1 error."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.repro import Printer, step_fields
from tidegate.errors import TidegateError
from tidegate.flow.ci import Finished, Foreseen, Watcher, ci, foresee
from tidegate.flow.ci.step import Name
from tidegate.pipeline.job import Request
from tidegate.store.layout import find_root

if TYPE_CHECKING:
    from tidegate.gate.report.record import Case, Step

COLORS = {"passed": "green", "failed": "red", "undecided": "yellow"}
SHOWN = 10


@click.command("ci")
@click.option("--dry-run", is_flag=True, help="Only say what would run, and why; run nothing.")
@click.option("--comment", is_flag=True, help="Also post the report to the pull request, as one comment.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the verdict and errors.")
@json_option
def command(*, dry_run: bool, comment: bool, quiet: bool, as_json: bool) -> int:
    """Run what a CI job runs: style, tests, contract, the stages that changes affect, gate and report.

    Works the same on a laptop. Nothing is trained when a check fails, or when no stage is affected; a verdict that
    is recorded is repeated at no cost. Repeats on the same inputs are recorded: what failed before and passes
    now is called flaky. The report is written in every case.

    Exit code 0 when all passed, 3 when a check failed or the gate blocks, 4 when the gate cannot tell yet, 1 when
    a step could not run at all.

    \b
    Example:
      tidegate ci
      tidegate ci --dry-run
      tidegate ci --comment
    """
    root = find_root()
    printer = StepPrinter(quiet=quiet or as_json)
    stages = Printer(Request(), everything=False, quiet=quiet or as_json)
    if dry_run:
        return _tell_plan(foresee(root), stages, as_json=as_json)
    watcher = Watcher(printer.started, printer.ended, stages.listener(as_json=as_json))
    finished = ci(root, watcher)
    if comment:
        _post(root, finished)
    if as_json:
        print_json(finished.report)
    else:
        _tell(finished)
    return finished.code


class StepPrinter:
    """Prints how each step of a run ends, and what of it failed."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def started(self, name: Name, what: str) -> None:
        """One line before a command runs that may take a while."""
        if not self._quiet:
            say(f"{name:<16} running: {what}", color="blue")
            sys.stdout.flush()

    def ended(self, step: "Step") -> None:
        """One line a step, then the first cases that failed."""
        if self._quiet:
            return
        took = "" if step.outcome == "skipped" else f" in {step.seconds:.1f} s"
        color = "yellow" if step.repeats and step.outcome == "passed" else COLORS.get(step.outcome)
        say(f"{step.name:<16} {step.outcome}{took}: {step.because}", color=color)
        failed = [case for case in step.cases if case.outcome == "failed"]
        for case in failed[:SHOWN]:
            say(f"  {_case(case)}")
        if len(failed) > SHOWN:
            say(f"  and {len(failed) - SHOWN} more, see the report")


def _case(case: "Case") -> str:
    has_place = case.path and not case.name.startswith(case.path)
    place = f"{case.path}:{case.line or 1} " if has_place else ""
    return f"{place}{case.name}{f'  {case.because}' if case.because else ''}"


def _tell(finished: Finished) -> None:
    """The verdict in the gate's words, the answer in the report's, and where that lies."""
    from tidegate.cli.gate import print_decision
    from tidegate.gate.report.answer import answer

    if finished.decision:
        print_decision(finished.decision)
    say(f"report           {_seen_from_here(finished.page)}")
    say(answer(finished.report).sentence, bold=True)


def _seen_from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _tell_plan(foreseen: Foreseen, printer: Printer, *, as_json: bool) -> int:
    if as_json:
        steps = [
            {"name": name, "runs": intent.lines, "because": intent.why_not} for name, intent in foreseen.steps
        ]
        print_json({"steps": steps, "stages": [step_fields(step) for step in foreseen.stages]})
        return 0
    for name, intent in foreseen.steps:
        say(f"{name:<16} {intent.says}")
        if name == "stages":
            printer.steps(foreseen.stages)
    return 0


def _post(root: Path, finished: Finished) -> None:
    """A comment that cannot be posted changes no verdict: forks, for one, may not write."""
    from tidegate.flow.comment import comment

    try:
        url = comment(root, finished.page.read_text(encoding="utf-8"))
    except TidegateError as error:
        url = f"none could be posted, {error}"
    click.echo(f"comment: {url or 'none, this is no job of a pull or merge request'}", err=True)
