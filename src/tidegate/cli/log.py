"""`tidegate log`: the last answers that were given."""

import click

from tidegate.cli.output import clock, json_option, print_json, print_table, say, short
from tidegate.domain import Prediction
from tidegate.store.layout import Layout, find_root
from tidegate.store.predictions import damaged_segments, recent_predictions

SHOWN = 3


@click.command("log")
@click.option(
    "-n", "--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many."
)
@json_option
def command(*, last: int, as_json: bool) -> None:
    """Show recent predictions, newest first; with --json also inputs and scores.

    `flags` are the rules of the data contract that a row broke although it was answered.

    \b
    Example:
      tidegate log -n 5
    """
    folder = Layout(find_root()).log
    rows = recent_predictions(folder, last)
    if as_json:
        print_json([{name: getattr(row, name) for name in Prediction.__struct_fields__} for row in rows])
        return
    heads = ("at", "request", "unit", "role", "bundle", "output", "score", "ms", "status", "flags")
    print_table(heads, [_line(row) for row in rows])
    for name in damaged_segments(folder):
        say(f"segment {name} is damaged: rows behind the damage are not shown", color="yellow")


def _line(row: Prediction) -> tuple[object, ...]:
    score = f"{max(row.scores):.3f}" if row.scores else ""
    answer = "" if row.output is None else row.output
    shown = (row.role, short(row.bundle), answer, score, f"{row.latency_ms:.2f}", row.status)
    more = f" and {len(row.flags) - SHOWN} more" if len(row.flags) > SHOWN else ""
    return (clock(row.at), row.request, row.unit, *shown, ", ".join(row.flags[:SHOWN]) + more)
