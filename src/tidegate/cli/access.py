"""`tidegate access`: keys for the clients of the gateway."""

import click

from tidegate.cli.output import clock, json_option, print_json, print_table, say
from tidegate.domain import AccessRole
from tidegate.flow.access import list_keys, make_key, revoke_key
from tidegate.store.layout import find_root

ROLES = ("predict", "label", "operate")


@click.group("access")
def command() -> None:
    """Make, list and revoke the keys that clients of the gateway prove themselves with.

    They are asked for where `serve.access = "keys"`.

    \b
    Example:
      tidegate access add mobile-app --role predict --rate 100
    """


@command.command("add")
@click.argument("name")
@click.option(
    "--role", "roles", type=click.Choice(ROLES), multiple=True, help="What it may do; default predict."
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="How often a second it may ask.")
@json_option
def add(name: str, *, roles: tuple[AccessRole, ...], rate: float | None, as_json: bool) -> None:
    """Make a key and print its token, which is not kept.

    Roles: `predict` asks models, `label` tells late truth, `operate` reads metrics and the repository.

    \b
    Example:
      tidegate access add mobile-app
      tidegate access add labeling --role label --rate 10
    """
    made = make_key(find_root(), name, roles or ("predict",), rate=rate)
    if as_json:
        print_json({"name": name, "roles": made.key.roles, "rate": rate, "token": made.token})
        return
    say(made.token)
    say("send it as `authorization: Bearer TOKEN`; it is not kept and cannot be shown again")


@command.command("ls")
@json_option
def ls(*, as_json: bool) -> None:
    """List the keys, without their tokens.

    \b
    Example:
      tidegate access ls
    """
    keys = list_keys(find_root())
    if as_json:
        print_json([{"name": one.name, "roles": one.roles, "rate": one.rate, "at": one.at} for one in keys])
        return
    rows = [
        (one.name, ", ".join(one.roles), f"{one.rate:g}/s" if one.rate else "", clock(one.at)) for one in keys
    ]
    print_table(("name", "roles", "rate", "made"), rows)


@command.command("revoke")
@click.argument("name")
@json_option
def revoke(name: str, *, as_json: bool) -> None:
    """Forget a key: a running gateway refuses it within a second.

    \b
    Example:
      tidegate access revoke mobile-app
    """
    found = revoke_key(find_root(), name)
    if as_json:
        print_json({"name": found.name})
    else:
        say(f"key {found.name} is revoked")
