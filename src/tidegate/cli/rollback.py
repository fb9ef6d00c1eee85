"""`tidegate rollback`: flip traffic back, within a second."""

import click

from tidegate.cli.output import json_option, print_json, say, short
from tidegate.flow.release import RolledBack, rollback
from tidegate.store.layout import find_root


@click.command("rollback")
@click.option("--to", metavar="BUNDLE", help="A version number or the start of a bundle's digest.")
@json_option
def command(*, to: str | None, as_json: bool) -> None:
    """Send all traffic back: abort the rollout in progress, else release the previous bundle again.

    Gateways follow within a second and no request fails. `--to` can be repeated safely.

    \b
    Example:
      tidegate rollback
      tidegate rollback --to 2
    """
    done = rollback(find_root(), to=to)
    if as_json:
        print_json(done)
    else:
        _print_done(done)


def _print_done(done: RolledBack) -> None:
    if done.rollout:
        say(f"rollout {done.rollout.id} is rolled back: all traffic to {short(done.bundle)}")
    if done.release:
        say(f"release {done.release.number} is live: all traffic to {short(done.bundle)}")
    if not done.rollout and not done.release:
        say(f"bundle {short(done.bundle)} is live already, nothing changed")
