"""`tidegate monitor`: drift and quality of what is live. Exit 5 while an alert is active."""

import math

import click

from tidegate.cli.output import json_option, print_json, print_table, say
from tidegate.errors import ALERTING
from tidegate.flow.health import Health, health
from tidegate.rollout.decide import e_text
from tidegate.store.layout import find_root

SHOWN = 5


@click.command("monitor")
@json_option
def command(*, as_json: bool) -> int:
    """Measure drift and quality of the live model since its release. Exit code 5 while an alert is active.

    `tidegate up` does the same all the time and raises the alerts; this command only looks.

    \b
    Example:
      tidegate monitor
    """
    found = health(find_root())
    if as_json:
        print_json(found)
    else:
        print_health(found)
    return ALERTING if found.alerts else 0


def print_health(found: Health) -> None:
    """Quality, drift with the most moved features, and the active alerts."""
    rate = f"{found.errors / found.labels:.1%}" if found.labels else "unknown"
    needed = f"alarm at E >= {found.alarm_labels:,}"
    say(f"quality  {found.errors:,} wrong of {found.labels:,} labels ({rate}), promised {found.limit:.1%}")
    say(f"         E = {e_text(found.performance_level)}, {needed}")
    say(f"drift    {found.rows:,} rows in {found.windows:,} windows")
    say(f"         E = {e_text(found.drift_level)}, alarm at E >= {found.alarm_windows:,}")
    moved = [one for one in found.features[:SHOWN] if one.log_score > math.log(2)]
    if moved:
        print_table(("moved", "E", "what"), [(one.name, e_text(one.log_score), one.because) for one in moved])
    for alert in found.alerts:
        say(f"{alert.severity}: {alert.kind}: {alert.because}", color="red")
