"""`tidegate replay`: held-out rows as traffic, to try a rollout or an alarm out."""

import sys
from typing import Literal

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.errors import TidegateError
from tidegate.flow.replay import Replayed, Traffic, replay
from tidegate.store.layout import find_root


@click.command("replay")
@click.option("-n", "--requests", type=click.IntRange(1), help="How many requests, at most.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="How long, at most.",
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Requests a second; all it can without."
)
@click.option("--shift", type=click.Choice(["invert", "brighter", "darker"]), help="Distort the inputs.")
@click.option(
    "--labels/--no-labels", default=True, help="Send the truth after the answers.", show_default=True
)
@click.option(
    "--until", type=click.Choice(["decided", "alert"]), help="Stop at the rollout's end or an alert."
)
@json_option
def command(
    *,
    requests: int | None,
    seconds: float,
    rate: float | None,
    shift: str | None,
    labels: bool,
    until: Literal["decided", "alert"] | None,
    as_json: bool,
) -> int:
    """Send held-out rows, and their truth, to the endpoint, each as a user of its own.

    Stops at the first bound that is met. Exit code 1 when a request failed, or when what --until waits for
    did not come in time.

    \b
    Example:
      tidegate replay --requests 500
      tidegate replay --until decided --seconds 120
    """
    traffic = Traffic(requests=requests, seconds=seconds, rate=rate, labels=labels, shift=shift, until=until)
    done = replay(find_root(), traffic, progress=_show if sys.stderr.isatty() and not as_json else _ignore)
    problem = _problem(done, until)
    if as_json:
        print_json(done)
        return 1 if problem else 0
    print_replayed(done)
    if problem:
        raise TidegateError("replay", problem, hint="tidegate rollout status, or `tidegate log`")
    return 0


def _problem(done: Replayed, until: str | None) -> str:
    if done.failed:
        return f"{done.failed} of {done.sent} requests failed: {done.problem}"
    return f"no {until} within {done.seconds:.0f} s" if until and not done.outcome else ""


def print_replayed(done: Replayed) -> None:
    """What was sent and what came back."""
    wrong = f", {done.wrong:,} of them answered wrong" if done.labeled else ""
    say(
        f"{done.sent:,} requests in {done.seconds:.1f} s, {done.failed} failed, {done.labeled:,} labeled{wrong}"
    )
    say(f"latency p50 {done.p50_ms:.1f} ms, p99 {done.p99_ms:.1f} ms")
    if done.outcome:
        say(f"stopped: {done.outcome.replace('_', ' ')}")


def _show(sent: int) -> None:
    click.echo(f"\r{sent:,} requests", err=True, nl=False)


def _ignore(sent: int) -> None:
    """Nobody watches."""
