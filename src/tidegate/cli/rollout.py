"""`tidegate rollout`: look at the rollout in progress, and take it into your own hands."""

import time

import click

from tidegate.cli.output import json_option, print_json, print_table, say, short
from tidegate.domain import TERMINAL_PHASES
from tidegate.errors import BLOCKED, UNDECIDED
from tidegate.flow.steer import Status, steer
from tidegate.flow.steer import status as status_of
from tidegate.rollout.decide import e_text, wait_text
from tidegate.store.layout import find_root

POLL_S = 0.2


@click.group("rollout")
def command() -> None:
    """Watch, pause, resume, promote or abort the rollout.

    \b
    Example:
      tidegate rollout status --wait 600
      tidegate rollout abort
    """


@command.command("status")
@click.option("--wait", "wait_s", type=click.FloatRange(0), help="Wait up to N seconds for its end.")
@json_option
def status(*, wait_s: float | None, as_json: bool) -> int:
    """Show the newest rollout and its evidence. Exit code 0, 3 when it was rolled back, 4 while undecided.

    \b
    Example:
      tidegate rollout status --wait 600
    """
    root = find_root()
    found = status_of(root)
    end = time.monotonic() + (wait_s or 0)
    while found.rollout.phase not in TERMINAL_PHASES and time.monotonic() < end:
        time.sleep(POLL_S)
        found = status_of(root)
    if as_json:
        print_json(found)
    else:
        print_status(found)
    return {"promoted": 0, "rolled_back": BLOCKED}.get(found.rollout.phase, UNDECIDED)


def print_status(found: Status) -> None:
    """The rollout in a line, why it is where it is, and a table of its guards."""
    rollout = found.rollout
    phase = rollout.phase.replace("_", " ")
    share = f"canary {short(rollout.candidate)} at {rollout.weight:.0%}"
    say(f"rollout {rollout.id} {phase}, step {rollout.step + 1} of {len(rollout.steps)}, {share}", bold=True)
    if rollout.because:
        say(f"  {rollout.because}")
    if not found.evidence:
        return
    rows = [
        (
            guard.metric,
            f"{guard.canary_events:,} of {guard.canary_units:,}",
            f"{guard.stable_events:,} of {guard.stable_units:,}",
            e_text(guard.log_harm),
            e_text(guard.log_safe),
        )
        for guard in found.evidence.guards
    ]
    print_table(("guard", "canary", "stable", "E (worse)", "E (safe)"), rows)
    for one in found.remaining:
        say(f"hold: {wait_text(one)}, if the canary is as good as stable")


def _act(name: str, *, as_json: bool) -> None:
    moved = steer(find_root(), name)
    if as_json:
        print_json(moved)
    else:
        say(f"rollout {moved.id} {moved.phase.replace('_', ' ')}: canary at {moved.weight:.0%}")


@command.command("pause")
@json_option
def pause(*, as_json: bool) -> None:
    """Stay at this step; harm still rolls back.

    \b
    Example:
      tidegate rollout pause
    """
    _act("pause", as_json=as_json)


@command.command("resume")
@json_option
def resume(*, as_json: bool) -> None:
    """Go on after a pause.

    \b
    Example:
      tidegate rollout resume
    """
    _act("resume", as_json=as_json)


@command.command("promote")
@json_option
def promote(*, as_json: bool) -> None:
    """Give the canary all traffic now, on your own judgment.

    \b
    Example:
      tidegate rollout promote
    """
    _act("promote", as_json=as_json)


@command.command("abort")
@json_option
def abort(*, as_json: bool) -> None:
    """Send all traffic back to stable now.

    \b
    Example:
      tidegate rollout abort
    """
    _act("abort", as_json=as_json)
