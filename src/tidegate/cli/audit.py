"""`tidegate audit`: what happened, and the proof that nobody changed the record."""

from typing import Any

import click

from tidegate.cli.output import clock, json_option, print_json, print_table, say, short
from tidegate.domain import Event
from tidegate.store.layout import Layout, find_root
from tidegate.store.ledger import open_ledger


@click.group("audit")
def command() -> None:
    """Show or verify the ledger of everything that happened.

    \b
    Example:
      tidegate audit log
      tidegate audit verify
    """


@command.command("log")
@click.option("-n", "--last", type=click.IntRange(1), help="Only the last N events.")
@click.option("--kind", multiple=True, help="Only events of this kind; can be repeated.")
@json_option
def log(*, last: int | None, kind: tuple[str, ...], as_json: bool) -> None:
    """Print every event, oldest first: when, what, about what, and why.

    \b
    Example:
      tidegate audit log --kind gate.decided
    """
    with open_ledger(Layout(find_root()).ledger, create=False) as ledger:
        events = ledger.events(kinds=kind)
    shown = events[-last:] if last else events
    if as_json:
        print_json(shown)
        return
    rows = [(event.seq, clock(event.at), event.kind, summary(event)) for event in shown]
    print_table(("event", "at", "kind", "what"), rows)


@command.command("verify")
@json_option
def verify(*, as_json: bool) -> None:
    """Recompute every hash of the chain; exit code 6 when one differs.

    Keep the hash that it prints outside of this machine: it proves later that nothing was cut off.

    \b
    Example:
      tidegate audit verify
    """
    with open_ledger(Layout(find_root()).ledger, create=False) as ledger:
        found = ledger.verify()
    if as_json:
        print_json(found._asdict())
    else:
        say(f"{found.events} events, the chain is unbroken, head {found.head}")


def summary(event: Event) -> str:
    """The event in a line."""
    show = _SUMMARIES.get(event.kind.partition(".")[0])
    return show(event, event.body) if show else event.subject


def _run(event: Event, body: dict[str, Any]) -> str:
    return f"{', '.join(body['stages'])} at commit {body['commit'][:7] or 'none'}"


def _gate(event: Event, body: dict[str, Any]) -> str:
    deciding = [found for found in body["findings"] if found["verdict"] == body["verdict"]]
    because = f": {deciding[0]['because']}" if deciding else ""
    return f"{body['verdict']}, candidate {short(body['candidate'])}{because}"


def _budget(event: Event, body: dict[str, Any]) -> str:
    count = len(body["events"])
    return f"{count} {'verdict' if count == 1 else 'verdicts'} from {event.subject}"


def _bundle(event: Event, body: dict[str, Any]) -> str:
    return f"{body['name']} version {body['version']}, bundle {short(body['digest'])}"


def _release(event: Event, body: dict[str, Any]) -> str:
    return f"release {body['number']}: bundle {short(body['bundle'])} ({body['cause']})"


def _rollout(event: Event, body: dict[str, Any]) -> str:
    rollout = body.get("rollout", body)
    because = f": {rollout['because']}" if rollout["because"] else ""
    return f"{rollout['id']}, canary {short(rollout['candidate'])} at {rollout['weight']:.0%}{because}"


def _alert(event: Event, body: dict[str, Any]) -> str:
    return f"{body['kind']} of {event.subject}{': ' + body['because'] if 'because' in body else ''}"


_SUMMARIES = {
    "run": _run,
    "gate": _gate,
    "budget": _budget,
    "bundle": _bundle,
    "release": _release,
    "rollout": _rollout,
    "alert": _alert,
}
