"""`tidegate apply`: do exactly what a plan says."""

from pathlib import Path

import click

from tidegate.cli.output import json_option, print_json, say, short
from tidegate.flow.release import Applied, apply
from tidegate.store.layout import find_root


@click.command("apply")
@click.argument("plan", required=False, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def command(*, plan: Path | None, as_json: bool) -> None:
    """Carry out the last plan, or the one in the file PLAN; refuse it when something has changed since.

    The first release takes all traffic; a later one starts a rollout, which `tidegate up` steers.
    Repeating it after success changes nothing.

    \b
    Example:
      tidegate plan && tidegate apply
    """
    applied = apply(find_root(), plan)
    if as_json:
        print_json(applied)
    else:
        _print_applied(applied)


def _print_applied(applied: Applied) -> None:
    plan, release, rollout = applied.plan, applied.release, applied.rollout
    if release:
        say(
            f"release {release.number} is live: {plan.endpoint} version {plan.version}, bundle {short(plan.bundle)}"
        )
        say("serve it with: tidegate up")
    elif rollout:
        say(
            f"rollout {rollout.id} has started: version {plan.version} takes {rollout.weight:.0%} of the traffic"
        )
        say("watch it with: tidegate rollout status --wait 600")
    else:
        say(f"plan {plan.id} is applied already, nothing changed")
