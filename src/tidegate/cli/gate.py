"""`tidegate gate`: may the candidate ship? Exit 0 pass, 3 block, 4 underpowered."""

from collections.abc import Sequence
from pathlib import Path

import click

from tidegate.cli.output import clock, json_option, print_json, print_table, say, say_verdict, short
from tidegate.domain import Decision, Finding
from tidegate.errors import BLOCKED, UNDECIDED
from tidegate.flow.judge import judge, needs, needs_of_easeml
from tidegate.flow.report import form_of, write_report
from tidegate.gate.plan import Need
from tidegate.store.layout import find_root

EXIT_CODES = {"pass": 0, "block": BLOCKED, "underpowered": UNDECIDED, "hold": UNDECIDED}


@click.command("gate")
@click.option("--plan", "only_plan", is_flag=True, help="Only print how many labels each rule would need.")
@click.option(
    "--planner",
    type=click.Choice(["exact", "easeml"]),
    default="exact",
    help="With --plan, whose formulas: tidegate's tests, or ease.ml/ci's bounds for comparison.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the report: Markdown, or by suffix .html, .xml (JUnit), .sarif or .json.",
)
@click.option(
    "--share", metavar="REMOTE", default="", help="Stand in one line with all who use this git remote."
)
@json_option
def command(*, only_plan: bool, planner: str, report: Path | None, share: str, as_json: bool) -> int:
    """Decide with a stated error rate whether the candidate may ship.

    Compares the evaluation rows of the candidate with those of the live model. The verdict is recorded in
    the ledger and counts against the budget of the test set; asking again about the same rows is free.

    \b
    Example:
      tidegate gate
      tidegate gate --report gate.md
      tidegate gate --share origin
      tidegate gate --plan
      tidegate gate --plan --planner easeml
    """
    root = find_root()
    if report:
        form_of(report)  # before the test set is asked
    if not only_plan:
        return _tell(judge(root, remote=share), root, report=report, as_json=as_json)
    return _print_needs(needs_of_easeml(root) if planner == "easeml" else needs(root), as_json=as_json)


def _tell(decision: Decision, root: Path, *, report: Path | None, as_json: bool) -> int:
    if report:
        write_report(root, report)
    if as_json:
        print_json(decision)
    else:
        print_decision(decision)
    return EXIT_CODES[decision.verdict]


def print_decision(decision: Decision) -> None:
    """The verdict, then one line a check with its numbers."""
    against = f"against live {decision.baseline[:12]}" if decision.baseline else "nothing is live yet"
    say_verdict(decision.verdict, f"candidate {decision.candidate[:12]} {against}")
    for finding in decision.findings:
        say_finding(finding)
    asked = f"submission {decision.submission} on test set {short(decision.test_set)}"
    say(f"  {asked}, tested at error {decision.error:.3g}, decided {clock(decision.at)}")


def say_finding(finding: Finding) -> None:
    """One check: its verdict, why, and the labels it still needs."""
    verdict = finding.verdict if finding.severity == "block" or finding.verdict == "pass" else "warn"
    say(f"  {finding.check:<22} {verdict:<12} {finding.because}")
    if finding.verdict == "underpowered" and finding.n_needed:
        say(f"  {'':<22} {'':<12} needs {finding.n_needed:,} labeled rows, has {finding.n:,}")


def _print_needs(found: Sequence[Need], *, as_json: bool) -> int:
    if as_json:
        print_json([need._asdict() for need in found])
        return 0
    rows = [
        (
            need.rule,
            need.assuming,
            f"{need.error:.3g}",
            f"{need.power:.0%}" if need.power else "",
            _labels(need.labels),
        )
        for need in found
    ]
    print_table(("rule", "assuming", "error", "power", "labels"), rows)
    return 0


def _labels(count: int | None) -> str:
    return "no number suffices" if count is None else f"{count:,}"
