"""`tidegate ps`: what is live, rolling out and alarming."""

import click

from tidegate.cli.output import clock, json_option, print_json, say, short
from tidegate.flow.endpoint import endpoint_of, is_ready
from tidegate.flow.serve_up import service_process
from tidegate.project import load_config
from tidegate.store.layout import Layout, find_root
from tidegate.store.ledger import open_ledger
from tidegate.store.state import State


@click.command("ps")
@json_option
def command(*, as_json: bool) -> None:
    """Show what is live, rolling out and alarming, and whether the service is up.

    \b
    Example:
      tidegate ps
    """
    root = find_root()
    config, layout = load_config(root), Layout(root)
    address = endpoint_of(root, config)
    process = service_process(layout)
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
    if as_json:
        service = {"process": process, "url": address.url, "is_ready": bool(process) and is_ready(address)}
        print_json({"endpoint": config.project.name, "service": service, **fields(state)})
        return
    up = f"up at {address.url}, process {process}" if process else "not up"
    say(f"{config.project.name}: {up}", bold=True)
    for line in lines(state):
        say(f"  {line}")


def fields(state: State) -> dict[str, object]:
    """What is live, rolling out and alarming, for programs."""
    live = state.live
    version = state.version_of(live.bundle) if live else None
    return {
        "live": live,
        "version": version.version if version else None,
        "rollout": state.rollout,
        "alerts": state.alerts,
    }


def lines(state: State) -> list[str]:
    """The same for people."""
    live, rollout = state.live, state.rollout
    if live is None:
        return ["live     nothing yet"]
    version = state.version_of(live.bundle)
    number = version.version if version else "?"
    since = f"release {live.number} ({live.cause}) since {clock(live.at)}"
    found = [f"live     version {number}, bundle {short(live.bundle)}, {since}"]
    if rollout:
        step = f"step {rollout.step + 1} of {len(rollout.steps)}"
        share = f"canary {short(rollout.candidate)} at {rollout.weight:.0%}"
        found.append(
            f"rollout  {rollout.id} {rollout.phase}, {step}, {share}, since {clock(rollout.started)}"
        )
    else:
        found.append("rollout  none")
    found += [f"{alert.severity:<8} {alert.kind}: {alert.because}" for alert in state.alerts]
    return found if state.alerts else [*found, "alerts   none"]
