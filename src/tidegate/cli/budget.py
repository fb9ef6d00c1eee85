"""`tidegate budget`: how often a test set may still be asked, and one ledger of verdicts for all machines."""

from collections.abc import Sequence
from pathlib import Path

import click

from tidegate.cli.output import clock, json_option, print_json, say, short
from tidegate.flow.accounts import Balance, Fresh, Overview, overview
from tidegate.flow.budget import export, merge_files, pull, push
from tidegate.store.exchange import Conflict, Merged
from tidegate.store.layout import find_root

remote_argument = click.argument("remote", default="origin")


@click.group("budget", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Show what is spent of each test set, and what the next submission costs.

    A test set is known by the digest of its ids and truth, so its budget survives rebases, new clones and jobs
    that run again. `push` and `pull` share the verdicts through the git remote, `export` and `merge` through files.

    \b
    Example:
      tidegate budget
      tidegate budget pull && tidegate gate && tidegate budget push
    """
    if context.invoked_subcommand:
        return
    found = overview(find_root())
    if as_json:
        print_json(_plain(found))
    else:
        _show(found)


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def export_command(file: Path, *, as_json: bool) -> None:
    """Write every verdict that is known here to FILE, JSON lines that prove that nothing was changed in them.

    \b
    Example:
      tidegate budget export budget.jsonl
    """
    done = export(find_root(), file)
    if as_json:
        print_json(done._asdict())
    else:
        say(f"{_count(done.events, 'verdict')} in {file}, head {done.head}")


@command.command("merge")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def merge_command(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Take in the verdicts of exported FILES that are not known here; known ones count once.

    Files that were changed by hand are refused with exit code 6.

    \b
    Example:
      tidegate budget merge ci-1.jsonl ci-2.jsonl
    """
    merged = merge_files(find_root(), files)
    if as_json:
        print_json(_merged(merged))
    else:
        _tell(merged)


@command.command("pull")
@remote_argument
@json_option
def pull_command(remote: str, *, as_json: bool) -> None:
    """Take in the verdicts that the git REMOTE keeps, `origin` unless named, under refs/tidegate/budget.

    \b
    Example:
      tidegate budget pull
      tidegate budget pull upstream --json
    """
    merged = pull(find_root(), remote)
    if as_json:
        print_json(_merged(merged))
    else:
        _tell(merged)


@command.command("push")
@remote_argument
@json_option
def push_command(remote: str, *, as_json: bool) -> None:
    """Pull, then give the git REMOTE the verdicts that it does not know.

    When several jobs push at once each of them is counted. No branch is touched.

    \b
    Example:
      tidegate budget push
    """
    done = push(find_root(), remote)
    if as_json:
        print_json({"events": done.events, "sent": done.sent, **_merged(done.merged)})
    else:
        _tell(done.merged)
        say(f"{_count(done.sent, 'verdict')} sent, {remote} keeps {done.events}")


def _show(found: Overview) -> None:
    if not found.test_sets:
        say("no test set was asked yet")
    for one in found.test_sets:
        _show_account(one)
    for conflict in found.conflicts:
        _warn(conflict)
    if found.fresh:
        first = found.fresh[0]
        say(f"a fresh test set needs about, to pass at error {first.error:.3g} with {first.power:.0%} power:")
    for need in found.fresh:
        say(f"  {_labels(need)} for {need.rule} ({need.assuming})")


def _show_account(one: Balance) -> None:
    rows = f", {one.rows:,} rows" if one.rows else ""
    now = ", the present one" if one.is_current else ""
    say(f"test set {short(one.test_set)}{rows}{now}", bold=True)
    asked = f", last {clock(one.last)}" if one.last else ""
    say(f"  {one.submissions} of {one.allowed} submissions, {one.passes} passed{asked}")
    say(f"  error {one.error_spent:.3g} spent, {one.error_left:.3g} left")
    say(f"  {_next(one)}")
    if one.apart:
        apart = f"{_count(one.apart, 'submission')} tested at more than the line allows"
        say(f"  ! {apart}, by {one.excess:.3g} in all")


def _next(one: Balance) -> str:
    if not one.next_error:
        return "the budget is spent: fresh labels needed"
    blocked, passed = one.error_left - one.cost_if_blocked, one.error_left - one.cost_if_passed
    leaves = f"leaves {blocked:.3g} if it is blocked, {passed:.3g} if it passes"
    return f"the next submission is tested at error {one.next_error:.3g} and {leaves}"


def _labels(one: Fresh) -> str:
    return "no number" if one.labels is None else f"{one.labels:,} labels"


def _tell(merged: Merged) -> None:
    say(f"{_count(merged.new, 'new verdict')}, {merged.known} known already")
    for conflict in merged.conflicts:
        _warn(conflict)


def _warn(one: Conflict) -> None:
    answers = " and ".join(one.verdicts)
    where = f"candidate {short(one.candidate)} on test set {short(one.test_set)}"
    say(
        f"! {where} was given {answers} by different machines; `{one.verdicts[0]}`, the strictest test's, stands"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _merged(merged: Merged) -> dict[str, object]:
    return {**merged._asdict(), "conflicts": _dicts(merged.conflicts)}


def _plain(found: Overview) -> dict[str, object]:
    return {
        "test_sets": _dicts(found.test_sets),
        "conflicts": _dicts(found.conflicts),
        "fresh": _dicts(found.fresh),
    }


def _dicts(records: Sequence[Balance] | Sequence[Conflict] | Sequence[Fresh]) -> list[dict[str, object]]:
    return [record._asdict() for record in records]
